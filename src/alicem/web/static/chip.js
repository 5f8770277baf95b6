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

/** The demonstration no longer has the visitor's picture that this chip was to carry. */
export class PictureGone extends ChipLost {}

const GONE = 4404; // how the demonstration closes such a chip

/**
 * The carriers this browser has, best first.
 * @param {{demoOrigin: string | null, persona: string | null, wrong: string | null, portrait: string | null}} config
 * @returns {Carrier[]}
 */
export function carriers({ demoOrigin, persona, wrong, portrait }) {
  const found = [];
  if (window.AlicemNfc) found.push(nativeCarrier(window.AlicemNfc));
  if (demoOrigin && persona) found.push(specimenCarrier(demoOrigin, persona, { wrong, portrait }));
  return found;
}

/** A software chip of the demonstration: one binary message an APDU, each way. `asked`: what is special about it. @returns {Carrier} */
export function specimenCarrier(demoOrigin, persona, asked) {
  const address = new URL(`/chips/${encodeURIComponent(persona)}`, demoOrigin.replace(/^http/, "ws"));
  for (const [name, value] of Object.entries(asked)) if (value) address.searchParams.set(name, value);
  return { name: "specimen", open: () => openSocket(address) };
}

function openSocket(address) {
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  let waiting = null;
  let why = new ChipLost("the chip is out of reach");
  socket.onmessage = ({ data }) => {
    waiting?.resolve(new Uint8Array(data));
    waiting = null;
  };
  const transmit = (apdu) =>
    withTimeout(
      new Promise((resolve, reject) => {
        if (socket.readyState !== WebSocket.OPEN) return reject(why);
        waiting = { resolve, reject };
        socket.send(apdu);
      }),
    );
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve({ transmit, close: () => socket.close() });
    socket.onclose = socket.onerror = ({ code }) => {
      if (code === GONE) why = new PictureGone("the picture is gone");
      waiting?.reject(why);
      waiting = null;
      reject(why);
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
