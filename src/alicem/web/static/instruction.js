/**
 * An instruction to the server: signed by the code, then by the phone, counted by the server before the code is looked at
 * (approval.md, "Instruction", "Another code"). The answer brings the share that opens the vault.
 */

import { pinKey } from "./code.js";
import { b64, fromUtf8, jsonObject, now, random, sha256, unb64 } from "./encoding.js";
import { cleanJwk, decrypt, newReceivingKey, publicJwk, sign, thumbprint } from "./jose.js";
import { unlock } from "./keys.js";
import { VaultLost, erase, load, loadEnrolment, saveEnrolment, savePhone } from "./state.js";

/** @typedef {"activate" | "open" | "approve" | "suspend" | "close" | "suspension_code" | "remove_others" | "renew" | "copy"} Purpose */
/** @typedef {{share: Uint8Array, receipt: string | null, phones: number | null, unlocked: import("./keys.js").Unlocked}} Done */

/** The server said no: `outcome` is a row of reasons, with what is left. */
export class InstructionRefused extends Error {
  constructor({ outcome, tries_left: triesLeft = null, pause_seconds: pauseSeconds = 0 }) {
    super(outcome);
    Object.assign(this, { outcome, triesLeft, pauseSeconds });
  }
}

/** The server does not know this phone: another took its place, or its account is gone. */
export class UnknownPhone extends Error {}

/** The account had been closed by an instruction whose answer was lost; everything here is erased. */
export class AccountClosed extends Error {}

/** No answer came, or `limited`: come back later. What was sent stays pending and is sent again before the next. */
export class NoAnswer extends Error {
  constructor(limited) {
    super("the server does not answer");
    this.limited = limited;
  }
}

/** The owner took longer to confirm than the server's challenge lives; nothing was counted. */
export class TooLate extends Error {}

/**
 * @param {Purpose} purpose @param {string} subject What the instruction is for; its hash is signed. @param {string} code
 * @returns {Promise<Done>} Raises `InstructionRefused`, `UnknownPhone`, `NoAnswer`, `AccountClosed`, `TooLate`, `KeyRefused`, `VaultLost`.
 */
export const instruct = (purpose, subject, code) =>
  alone((at) => {
    at.phone.next_salt = null; // whatever is done with the code of today ends a change that was begun
    return perform(at, { purpose, code, salt: at.phone.salt, about: async () => ({ subject }) });
  });

/** An enrolment that was cut before its last instruction: the first right code activates it. @param {string} code @returns {Promise<Done | null>} */
export async function activateIfDue(code) {
  const receipt = (await loadEnrolment())?.activate;
  if (!receipt) return null;
  const done = await instruct("activate", receipt, code);
  await saveEnrolment(null);
  return done;
}

/** First phase of another code; the code of today stays the one. Raises as `instruct`. @param {string} code @param {string} next */
export const changeCode = (code, next) =>
  alone(async (at) => {
    const salt = random(32);
    const pin = await pinKey(next, salt, at.phone.kdf);
    const about = async (challenge) => {
      at.phone.next_salt = b64(salt); // stored with the instruction, before it is sent
      const statement = { aud: at.phone.origin, challenge };
      const subject = await sign(pin.sign, "alicem-new-pin+jwt", statement, { jwk: pin.jwk });
      return { subject, members: { pin_key: subject } };
    };
    return perform(at, { purpose: "change", code, salt: at.phone.salt, about });
  });

/** Second phase: once it is done, `next` is the code. Raises as `instruct`. @param {string} next */
export const adoptCode = (next) =>
  alone((at) => perform(at, { purpose: "adopt", code: next, salt: at.phone.next_salt, about: async () => ({ subject: "adopt" }) }));

/** Keep the code of today: the one that was begun is forgotten. @returns {Promise<boolean>} Not so where it was in force already. */
export const keepCode = () =>
  alone(async ({ phone }) => {
    if (!phone.next_salt) return false;
    await savePhone({ ...phone, next_salt: null });
    return true;
  });

/** A change of code whose last answer was lost: learn how it ended. Raises `NoAnswer`. */
export const settleChange = () => alone(async () => {});

/**
 * One instruction at a time, tabs included: two under the same number would look like a copied phone and suspend the account.
 * Whatever was sent before is settled first.
 */
const alone = (work) =>
  navigator.locks.request("alicem instruction", async () => {
    const at = await load();
    if (at.phone === null || at.forgotten) throw new VaultLost("the storage is not whole");
    return work({ ...at, closing: await settle(at.phone) });
  });

async function perform({ phone, held, closing }, { purpose, code, salt, about }) {
  const pin = await pinKey(code, unb64(salt), phone.kdf);
  const reply = await newReceivingKey();
  const asked = Date.now();
  const { challenge, expires_in: lives } = await post("/phone/challenge", {});
  phone.sequence += 1;
  await savePhone(phone); // before anything is signed with it
  const { subject, members = {} } = await about(challenge);
  const inner = await sign(pin.sign, "alicem-pin+jwt", {
    aud: phone.origin,
    challenge,
    sequence: phone.sequence,
    purpose,
    request: b64(await sha256(subject)),
    reply_key: await publicJwk(reply.publicKey),
    iat: now(),
    ...members,
  });
  const unlocked = await unlock(held, inner);
  const kid = await thumbprint(cleanJwk(phone.device_key.public));
  phone.pending = await sign(unlocked.sign, "alicem-instruction+jwt", inner, { kid });
  phone.assertion = unlocked.assertion;
  await savePhone(phone);
  const answer = await send(phone).catch((error) => refusedAt(error, Date.now() - asked > lives * 1000, closing));
  const share = await decrypt(answer.share, reply.privateKey);
  return { share, receipt: answer.receipt ?? null, phones: answer.phones ?? null, unlocked };
}

/** What a refusal means: that the challenge had died, that the account is gone as was asked, that nobody here is known. */
async function refusedAt(error, late, closing) {
  if (!(error instanceof UnknownPhone)) throw error;
  if (late) throw new TooLate("the challenge was over");
  if (!closing) throw error;
  await erase();
  throw new AccountClosed("the account was closed");
}

/**
 * Learn the outcome of an instruction whose answer was lost, so that its number is used up on both sides.
 * @returns {Promise<boolean>} Whether it asked to close the account and was refused as a stranger's: done, or never arrived.
 */
async function settle(phone) {
  if (!phone.pending) return false;
  const closing = payloadOf(phone.pending).purpose === "close";
  const answer = await send(phone).catch((error) => error);
  if (answer instanceof NoAnswer) throw answer;
  return closing && answer instanceof UnknownPhone;
}

/** @param {string} instruction @returns {any} What the code signed. */
const payloadOf = (instruction) => jsonObject(bodyOf(fromUtf8(bodyOf(instruction))));
const bodyOf = (token) => unb64(token.split(".")[1]);

/** Send what is pending; forget it once there is an answer, whatever it says. */
async function send(phone) {
  const { pending: instruction, assertion } = phone;
  const answer = await post("/phone/instruction", { instruction, ...(assertion && { assertion }) }).catch((error) => error);
  if (answer instanceof NoAnswer) throw answer;
  const done = !(answer instanceof Error);
  Object.assign(phone, { pending: null, assertion: null, ...saltAfter(phone, payloadOf(instruction).purpose, done) });
  await savePhone(phone);
  if (!done) throw answer;
  return answer;
}

/** A code that was adopted is the code from here on; a change that was not taken has no second phase. */
function saltAfter({ next_salt: next }, purpose, done) {
  if (purpose === "adopt" && done) return { salt: next, next_salt: null };
  return purpose === "change" && !done ? { next_salt: null } : {};
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (!answer || response.status >= 500 || response.status === 429) throw new NoAnswer(response?.status === 429);
  if (response.status === 401) throw new UnknownPhone("the server does not know this phone");
  if (!response.ok) throw new InstructionRefused(answer);
  return answer;
}
