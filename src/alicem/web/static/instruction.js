/**
 * An instruction to the server: signed by the code, then by the phone, counted by the server before the code is looked at
 * (approval.md, "Instruction"). The answer brings the share that opens the vault.
 */

import { pinKey } from "./code.js";
import { b64, fromUtf8, jsonObject, now, sha256, unb64 } from "./encoding.js";
import { cleanJwk, decrypt, newReceivingKey, publicJwk, sign, thumbprint } from "./jose.js";
import { erase, load, savePhone } from "./state.js";

/** @typedef {"activate" | "open" | "approve" | "suspend" | "close"} Purpose */

/** The server said no: `outcome` is a row of reasons, with what is left. */
export class InstructionRefused extends Error {
  constructor({ outcome, tries_left: triesLeft = null, pause_seconds: pauseSeconds = 0 }) {
    super(outcome);
    Object.assign(this, { outcome, triesLeft, pauseSeconds });
  }
}

/** The account had been closed by an instruction whose answer was lost; everything here is erased. */
export class AccountClosed extends Error {}

/** No answer came: the instruction stays pending and is sent again before the next. */
export class NoAnswer extends Error {}

/**
 * One instruction at a time, tabs included: two under the same number would look like a copied phone and suspend the account.
 * @param {Purpose} purpose
 * @param {string} subject What the instruction is for; its hash is signed.
 * @param {string} code
 * @returns {Promise<{share: Uint8Array, receipt: string | null}>} Raises `InstructionRefused`, `NoAnswer`, `AccountClosed`.
 */
export async function instruct(purpose, subject, code) {
  return navigator.locks.request("alicem instruction", async () => {
    const { phone, keys } = await load();
    await settle(phone);
    const pin = await pinKey(code, unb64(phone.salt), phone.kdf);
    const reply = await newReceivingKey();
    const { challenge } = await post("/phone/challenge", {});
    phone.sequence += 1;
    await savePhone(phone); // before anything is signed with it
    const inner = await sign(pin.key, "alicem-pin+jwt", {
      aud: phone.origin,
      challenge,
      sequence: phone.sequence,
      purpose,
      request: b64(await sha256(subject)),
      reply_key: await publicJwk(reply.publicKey),
      iat: now(),
    });
    const kid = await thumbprint(cleanJwk(phone.device_key.public));
    phone.pending = await sign(keys.device.privateKey, "alicem-instruction+jwt", inner, { kid });
    await savePhone(phone);
    const answer = await send(phone);
    return { share: await decrypt(answer.share, reply.privateKey), receipt: answer.receipt ?? null };
  });
}

/** Learn the outcome of an instruction whose answer was lost, so that its number is used up on both sides. */
async function settle(phone) {
  if (phone.pending === null) return;
  const closing = purposeOf(phone.pending) === "close";
  const answer = await send(phone).catch((error) => error);
  if (answer instanceof NoAnswer) throw answer;
  // An erased account is unknown to the server: its phone is refused like a stranger's.
  if (closing && (!(answer instanceof Error) || answer.outcome === "instruction_refused")) {
    await erase();
    throw new AccountClosed("the account was closed");
  }
}

const purposeOf = (instruction) => jsonObject(payloadOf(fromUtf8(payloadOf(instruction)))).purpose;
const payloadOf = (token) => unb64(token.split(".")[1]);

/** Send what is pending; forget it once there is an answer, whatever it says. */
async function send(phone) {
  const answer = await post("/phone/instruction", { instruction: phone.pending }).catch((error) => error);
  if (answer instanceof NoAnswer) throw answer;
  phone.pending = null;
  await savePhone(phone);
  if (answer instanceof Error) throw answer;
  return answer;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  if (response === null || response.status >= 500) throw new NoAnswer("the server does not answer");
  const answer = await response.json();
  if (!response.ok) throw new InstructionRefused(answer);
  return answer;
}
