/**
 * The phone's end of the enrolment protocol (enrolment.md): one session over as many connections as it takes, signed by the device
 * key, its sealed members readable by the session process alone. What the person sees is the page's business.
 */

import { now, utf8 } from "./encoding.js";
import { newReceivingKey, publicJwk, sign } from "./jose.js";
import { atWork } from "./keys.js";
import { createSeal } from "./seal.js";
import { saveEnrolment } from "./state.js";

const SUBPROTOCOL = "alicem.enrolment.v1";
const RESUME_MS = 10 * 60_000;
const PAUSES_MS = [300, 1000, 2000, 4000, 8000];
const FIRST_TRIES = 4; // before it is asked whether the session is gone
const IDS_A_CONNECTION = 100_000; // ids rise over the session; a session has 6 000 messages
const MOST_BUFFERED = 500_000; // bytes waiting on the line beyond which a frame is left out

/** Close codes that end the session, as rows of reasons.toml. */
const ENDS = new Map([
  [1009, "wire_malformed"], [4400, "wire_malformed"], [4401, "wire_malformed"], [4403, null],
  [4408, "session_expired"], [4409, "taken_over"], [4500, "internal"], [4503, "busy"],
]);

/** The server would not open a session; `reason` is a row of reasons.toml. */
export class NotOpened extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * What must survive a reload. `keys`, made in step 1, become the phone's when the enrolment ends, and not before: a phone that is already
 * enrolled stays so.
 * @typedef {{session: string, url: string, origin: string, expires: number, termsVersion: string, connections: number,
 *   keys: import("./keys.js").Keys | null, seal: CryptoKeyPair, processKey: object | null, kept?: Uint8Array, issued?: Uint8Array,
 *   reply?: {replyKey: CryptoKey, salt: Uint8Array}}} Session `kept`: what step 3 said; `issued`: the credential, once it is here, both
 *   protected; `reply`: what opens step 7.
 */

/** @param {string} origin @returns {Promise<Session>} A new session. Raises `NotOpened`. */
export async function openSession(origin) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/enrolment", { method: "POST", headers, body: "{}" }).catch(() => null);
  if (response?.status !== 201) throw new NotOpened(response?.status === 429 ? "rate_limited" : response ? "busy" : "internal");
  const opened = await response.json();
  const session = {
    session: opened.session,
    url: opened.url,
    origin,
    expires: Date.now() + opened.expires_in * 1000,
    termsVersion: opened.terms_version,
    connections: 0,
    keys: null,
    seal: await newReceivingKey(),
    processKey: null,
  };
  await saveEnrolment(session);
  return session;
}

/** @param {any} found What storage gave. @returns {boolean} Whether it is a session that may still live. */
export const isAlive = (found) => Boolean(found?.session) && found.expires > Date.now();

/** The statement that binds a connection to the device key. @param {Session} session @param {import("./keys.js").Keys} keys */
async function proof(session, keys, challenge, purpose, more = {}) {
  const payload = {
    aud: session.origin, session: session.session, challenge, iat: now(), purpose,
    seal_key: await publicJwk(session.seal.publicKey), ...more,
  };
  return sign(atWork(keys).sign, "alicem-enrolment+jwt", payload, { jwk: keys.public });
}

/**
 * @typedef {object} Handlers
 * @property {(message: any) => void} message Every message of the server but `step` with `resume`.
 * @property {(open: boolean) => void} connection The line is there, or being found again.
 * @property {(reason: string | null) => void} ended A row of reasons.toml, `taken_over`, or null when a message already said why.
 */

/**
 * Talk to the server until the session ends.
 * @param {Session} session @param {Handlers} handlers
 */
export function converse(session, handlers) {
  const line = { socket: null, id: 0, over: false, tries: 0, lostAt: Date.now(), challenge: "" };
  let seal = null;
  let queue = Promise.resolve();

  function connect() {
    session.connections += 1;
    line.id = session.connections * IDS_A_CONNECTION;
    void saveEnrolment(session);
    const socket = new WebSocket(new URL(session.url, session.origin.replace(/^http/, "ws")), SUBPROTOCOL);
    line.socket = socket;
    socket.onmessage = ({ data }) => enqueue(() => receive(JSON.parse(data)));
    socket.onclose = ({ code }) => line.socket === socket && closed(code);
  }

  async function receive(message) {
    if (message.type === "step") await remember(message);
    if (message.type === "step" && message.resume) {
      return transmit("resume", { proof: await proof(session, session.keys, message.challenge, "resume") });
    }
    handlers.message(message);
  }

  async function remember(message) {
    line.tries = 0;
    if (message.challenge) line.challenge = message.challenge;
    if (message.seal_key) {
      session.processKey = message.seal_key;
      await saveEnrolment(session);
    }
    handlers.connection(true);
  }

  async function closed(code) {
    if (line.over) return;
    if (code === 1000 || ENDS.has(code)) return end(code === 1000 ? null : ENDS.get(code));
    if (line.tries === 0) line.lostAt = Date.now();
    const gone = Date.now() - line.lostAt > RESUME_MS || Date.now() > session.expires;
    // A browser does not tell a session that is gone from a server that is: a server that answers has no such session.
    if (gone || (line.tries >= FIRST_TRIES && (await answers()))) return end("session_expired");
    handlers.connection(false);
    setTimeout(() => line.over || connect(), PAUSES_MS[Math.min(line.tries, PAUSES_MS.length - 1)]);
    line.tries += 1;
  }

  const answers = () => fetch("/live").then((answer) => answer.ok, () => false);

  function end(reason) {
    line.over = true;
    handlers.ended(reason);
  }

  /** One thing at a time, so that ids leave in order. */
  function enqueue(work) {
    queue = queue.then(work).catch(() => stop("wire_malformed"));
    return queue;
  }

  function transmit(type, members) {
    if (line.socket?.readyState !== WebSocket.OPEN) return;
    line.id += 1;
    line.socket.send(JSON.stringify({ v: 1, type, id: line.id, ...members }));
  }

  async function transmitSealed(type, plaintext) {
    if (line.socket?.readyState !== WebSocket.OPEN) return;
    seal ??= await createSeal(session.seal.privateKey, session.processKey, session.session);
    const id = line.id + 1;
    const sealed = await seal(type, id, plaintext);
    transmit(type, { sealed });
  }

  function stop(reason) {
    if (line.over) return;
    line.over = true;
    line.socket?.close();
    handlers.ended(reason);
  }

  connect();
  return {
    /** @param {string} type @param {object} [members] */
    send: (type, members = {}) => enqueue(() => transmit(type, members)),
    /** @param {string} type @param {object | Uint8Array} content */
    sendSealed: (type, content) =>
      enqueue(() => transmitSealed(type, content instanceof Uint8Array ? content : utf8(JSON.stringify(content)))),
    /**
     * Step 1: show the new keys. Raises `KeyRefused`: nothing was said, and step 1 goes on.
     * @param {{path: string, language: string}} chosen @param {Awaited<ReturnType<typeof import("./keys.js").make>>} made
     */
    choose: async ({ path, language }, { keys, confirm }) => {
      const { socket, challenge } = line;
      const said = await proof(session, keys, challenge, "choose", { path, terms_version: session.termsVersion });
      const passkey = await confirm(said);
      session.keys = keys;
      await saveEnrolment(session);
      if (socket !== line.socket) return; // the line was lost meanwhile: step 1 begins again with another challenge
      await enqueue(() => transmit("choose", { path, language, key_kind: keys.kind, proof: said, ...(passkey && { passkey }) }));
    },
    /** Whether the line can take another picture now. */
    ready: () => line.socket?.readyState === WebSocket.OPEN && line.socket.bufferedAmount < MOST_BUFFERED,
    /** Leave for good, without a word more. */
    leave: () => {
      line.over = true;
      line.socket?.close();
    },
    /** As a lost line: for tests of resuming. */
    drop: () => line.socket?.close(),
  };
}
