/**
 * The security code on the phone's side: which codes are too easy, and the key a code becomes. The code itself goes nowhere.
 */

import { cleanJwk, signer, signingKey } from "./jose.js";

/** @typedef {{name: string, memory_kib: number, passes: number, lanes: number}} Kdf */

/** @type {Kdf} approval.md, "PIN key" */
export const KDF = { name: "argon2id", memory_kib: 19456, passes: 2, lanes: 1 };

/**
 * @param {string} code Six digits. @param {Uint8Array} salt 32 bytes. @param {Kdf} kdf
 * @returns {Promise<{sign: import("./jose.js").Signer, jwk: import("./jose.js").Jwk}>} The PIN key at work, and its public half.
 */
export async function pinKey(code, salt, kdf = KDF) {
  const jwk = await inWorker({ code, salt, kdf });
  return { sign: signer(await signingKey(jwk)), jwk: cleanJwk(jwk) };
}

function inWorker(given) {
  const worker = new Worker(new URL("./code-worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.jwk ? resolve(data.jwk) : reject(new Error(data.error)));
    worker.onerror = () => reject(new Error("the code's worker did not start"));
    worker.postMessage(given);
  }).finally(() => worker.terminate());
}

/**
 * Whether a code is one of the first a thief would try (approval.md, "Trivial codes").
 * @param {string} code Six digits. @param {string[]} birthDates Of the holder, `YYMMDD`.
 */
export function isTrivial(code, birthDates = []) {
  return sameDigits(code) || aRun(code) || aRepeatedBlock(code) || birthDates.some((day) => aBirthDate(code, day));
}

const sameDigits = (code) => new Set(code).size === 1;

/** Rising or falling by one all along, 9 followed by 0. */
function aRun(code) {
  const steps = [...code].slice(1).map((digit, at) => (Number(digit) - Number(code[at]) + 10) % 10);
  return steps.every((step) => step === 1) || steps.every((step) => step === 9);
}

function aRepeatedBlock(code) {
  return code === code.slice(0, 2).repeat(3) || code === code.slice(0, 3).repeat(2);
}

function aBirthDate(code, day) {
  const [year, month, date] = [day.slice(0, 2), day.slice(2, 4), day.slice(4, 6)];
  return [date + month + year, year + month + date, month + date + year].includes(code);
}
