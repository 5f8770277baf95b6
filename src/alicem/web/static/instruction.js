/**
 * An instruction to the server: signed by the code, then by the phone, counted by the server before the code is looked at
 * (approval.md, "Instruction"). The answer brings the share that opens the vault.
 */

import { pinKey } from "./code.js";
import { b64, now, sha256, unb64 } from "./encoding.js";
import { cleanJwk, decrypt, newReceivingKey, publicJwk, sign, thumbprint } from "./jose.js";
import { load, savePhone } from "./state.js";

/** @typedef {"activate" | "open" | "approve" | "suspend" | "close"} Purpose */

/** The server said no: `outcome` is a row of reasons, with what is left. */
export class InstructionRefused extends Error {
  constructor({ outcome, tries_left: triesLeft = null, pause_seconds: pauseSeconds = 0 }) {
    super(outcome);
    Object.assign(this, { outcome, triesLeft, pauseSeconds });
  }
}

/** No answer came: the instruction stays pending and is sent again before the next. */
export class NoAnswer extends Error {}

/**
 * One instruction at a time, tabs included: two under the same number would look like a copied phone and suspend the account.
 * @param {Purpose} purpose
 * @param {string} subject What the instruction is for; its hash is signed.
 * @param {string} code
 * @returns {Promise<{share: Uint8Array, receipt: string | null}>} Raises `InstructionRefused`, `NoAnswer`.
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
  try {
    await send(phone);
  } catch (error) {
    if (error instanceof NoAnswer) throw error; // a refusal settles it as well as a success
  }
}

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
