/**
 * How a page reaches the chip of a document: one small interface over every carrier.
 *
 * @typedef {{transmit: (apdu: Uint8Array) => Promise<Uint8Array>, close: () => void}} Chip
 * @typedef {{name: string, open: () => Promise<Chip>}} Carrier
 */

import { hex, unhex } from "./encoding.js";

const ANSWER_MS = 10_000;

/** The tag went out of reach, or the carrier broke. */
export class ChipLost extends Error {}

/**
 * The carriers this browser has, best first.
 * @param {{demoOrigin: string | null, persona: string | null, wrong: string | null}} config
 * @returns {Carrier[]}
 */
export function carriers({ demoOrigin, persona, wrong }) {
  const found = [];
  if (window.AlicemNfc) found.push(nativeCarrier(window.AlicemNfc));
  if (demoOrigin && persona) found.push(specimenCarrier(demoOrigin, persona, wrong));
  return found;
}

/** A software chip of the demonstration: one binary message an APDU, each way. @returns {Carrier} */
export function specimenCarrier(demoOrigin, persona, wrong) {
  const address = new URL(`/chips/${encodeURIComponent(persona)}`, demoOrigin.replace(/^http/, "ws"));
  if (wrong) address.searchParams.set("wrong", wrong);
  return { name: "specimen", open: () => openSocket(address) };
}

function openSocket(address) {
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  let waiting = null;
  const fail = () => {
    waiting?.reject(new ChipLost("the chip is out of reach"));
    waiting = null;
  };
  socket.onmessage = ({ data }) => {
    waiting?.resolve(new Uint8Array(data));
    waiting = null;
  };
  const transmit = (apdu) =>
    withTimeout(
      new Promise((resolve, reject) => {
        if (socket.readyState !== WebSocket.OPEN) return reject(new ChipLost("the chip is out of reach"));
        waiting = { resolve, reject };
        socket.send(apdu);
      }),
    );
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve({ transmit, close: () => socket.close() });
    socket.onclose = socket.onerror = () => {
      fail();
      reject(new ChipLost("the chip did not answer"));
    };
  });
}

/**
 * The bridge of a native shell: `state()`, `transceive(hex) -> hex`, `close()`; a lost tag makes `transceive` throw.
 * @returns {Carrier}
 */
export function nativeCarrier(bridge) {
  const transmit = async (apdu) => {
    try {
      return unhex(await bridge.transceive(hex(apdu)));
    } catch {
      throw new ChipLost("the chip is out of reach");
    }
  };
  return {
    name: "phone",
    open: async () => {
      if ((await bridge.state()) !== "ready") throw new ChipLost("no document on the reader");
      return { transmit, close: () => void bridge.close() };
    },
  };
}

function withTimeout(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new ChipLost("the chip took too long")), ANSWER_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
