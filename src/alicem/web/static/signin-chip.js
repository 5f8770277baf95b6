/**
 * The document read again for a sign-in (approval.md, "eidas3"): this phone proves itself, gives what opens the chip sealed to the session
 * process, and carries what passes. What the person sees is the page's business.
 */

import { SigninEnds } from "./approval.js";
import { ChipLost } from "./chip.js";
import { now, utf8 } from "./encoding.js";
import { newReceivingKey, publicJwk, sign } from "./jose.js";
import { batchOf, firstContact, run } from "./relay.js";
import { createSeal } from "./seal.js";

const SUBPROTOCOL = "alicem.chip.v1";
const PAUSES_MS = [300, 1000, 2000, 4000, 8000];
const IDS_A_CONNECTION = 100_000; // ids rise over the reading, which has 600 messages a connection
/** Close codes that end the reading, as rows of reasons.toml. */
const ENDS = new Map([
  [1009, "wire_malformed"], [4400, "wire_malformed"], [4401, "wire_malformed"], [4403, "signin_expired"],
  [4408, "signin_expired"], [4409, "signin_expired"], [4500, "process_died"], [4503, "busy"],
]);

/** The person stopped the reading. */
export class Stopped extends Error {}

/**
 * @typedef {object} Screen
 * @property {(from: number) => Promise<import("./chip.js").Chip>} lay Ask for the document, and open it; `from`: the fraction already read.
 * @property {() => void} lost The document is gone.
 * @property {(fraction: number) => void} progress
 * @property {(name: string) => void} hint
 * @property {(position: number) => void} queue
 * @property {(reason: string) => void} refused Another document may do.
 * @property {(open: boolean) => void} line The connection is there, or being found again.
 */

/**
 * @param {{request: import("./approval.js").Request, reference: string, unlocked: import("./keys.js").Unlocked, phone: any, accessKey: object}} about
 * @param {Screen} screen @param {AbortSignal} signal
 * @returns {Promise<void>} Once the chip is proven. Raises `SigninEnds`, `Stopped`.
 */
export async function readAgain({ request, reference, unlocked, phone, accessKey }, screen, signal) {
  const keys = await newReceivingKey();
  const line = { socket: null, connections: 0, id: 0, tries: 0 };
  let seal = null;
  let chip = null;
  let laid = 0; // which asking for the document is the last
  let queue = Promise.resolve();
  let settle = null;
  const ended = new Promise((resolve, reject) => (settle = { resolve, reject }));

  const proof = async (challenge) =>
    sign(unlocked.sign, "alicem-chip+jwt", {
      aud: phone.origin, session: request.state, challenge, iat: now(), seal_key: await publicJwk(keys.publicKey),
    }, { jwk: phone.device_key.public });

  function connect() {
    line.connections += 1;
    line.id = line.connections * IDS_A_CONNECTION;
    const socket = new WebSocket(new URL(`/signin/chip/${reference}`, phone.origin.replace(/^http/, "ws")), SUBPROTOCOL);
    line.socket = socket;
    socket.onmessage = ({ data }) => enqueue(() => receive(JSON.parse(data)));
    socket.onclose = ({ code }) => line.socket === socket && closed(code);
  }

  /** @type {Record<string, (message: any) => Promise<void> | void>} */
  const steps = {
    proof: async ({ challenge }) => send("proof", { proof: await proof(challenge) }),
    access: async ({ seal_key: other }) => {
      seal = await createSeal(keys.privateKey, other, request.state);
      await sendSealed("access_key", accessKey);
    },
    chip: ({ resume_at: from }) => void find(from).catch((error) => end(error)),
  };

  async function receive(message) {
    line.tries = 0;
    screen.line(true);
    if (message.type === "step") return steps[message.name](message);
    if (message.type === "chip_batch") return onBatch(message);
    if (message.type === "hint") return screen.hint(message.hint);
    if (message.type === "queue") return screen.queue(message.position);
    if (message.type === "proven") return end(null);
    if (message.type !== "refused") throw new Error(`unknown message ${message.type}`);
    return message.final ? end(new SigninEnds(message.reason)) : screen.refused(message.reason);
  }

  /** Not in the queue of messages: a person takes time, and the line may be lost meanwhile. */
  async function find(from) {
    laid += 1;
    const mine = laid;
    chip?.close();
    chip = null;
    while (mine === laid && !signal.aborted) {
      const opened = await screen.lay(from).catch(onlyLost);
      const answers = opened && (await firstContact(opened).catch(onlyLost));
      if (mine !== laid) return opened?.close();
      if (answers) {
        chip = opened;
        return enqueue(() => sendSealed("chip_found", { answers }));
      }
      screen.lost();
    }
  }

  async function onBatch(message) {
    const [from, to] = message.progress;
    const commands = batchOf(message);
    const answers = [];
    try {
      if (chip === null) throw new ChipLost("no chip");
      await run(chip, commands, (done, of) => screen.progress(from + ((to - from) * done) / of), answers);
      await sendSealed("chip_answers", { answers });
    } catch (error) {
      onlyLost(error);
      screen.lost();
      if (answers.length > 0) await sendSealed("chip_lost", { answers });
      else send("chip_lost");
    }
  }

  function closed(code) {
    if (ENDS.has(code)) return end(new SigninEnds(ENDS.get(code)));
    if (now() >= request.expires || line.tries >= PAUSES_MS.length) return end(new SigninEnds("signin_expired"));
    screen.line(false);
    setTimeout(() => line.socket && connect(), PAUSES_MS[line.tries]);
    line.tries += 1;
  }

  /** One thing at a time, so that ids leave in order. */
  function enqueue(work) {
    queue = queue.then(work).catch((error) => end(error));
    return queue;
  }

  function send(type, members = {}) {
    if (line.socket?.readyState !== WebSocket.OPEN) return;
    line.id += 1;
    line.socket.send(JSON.stringify({ v: 1, type, id: line.id, ...members }));
  }

  async function sendSealed(type, content) {
    const sealed = await seal(type, line.id + 1, utf8(JSON.stringify(content)));
    send(type, { sealed });
  }

  function end(error) {
    const socket = line.socket;
    line.socket = null; // nothing that it still says is heard
    laid += 1;
    socket?.close();
    chip?.close();
    if (error) settle.reject(error);
    else settle.resolve();
  }

  signal.addEventListener("abort", () => {
    send("cancel");
    end(new Stopped("the person stopped"));
  });
  connect();
  return ended;
}

function onlyLost(error) {
  if (!(error instanceof ChipLost)) throw error;
}
