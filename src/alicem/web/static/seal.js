/**
 * Members that only the session process opens (enrolment.md, "Sealed members"): chip answers, document lines, camera frames.
 */

import { b64, bigEndian, utf8 } from "./encoding.js";
import { cleanJwk } from "./jose.js";

/**
 * @param {CryptoKey} ownPrivate The phone's seal key (ECDH).
 * @param {any} processJwk `seal_key` of the server's step 3.
 * @param {string} session
 * @returns {Promise<(type: string, id: number, plaintext: Uint8Array) => Promise<string>>} What seals a message.
 */
export async function createSeal(ownPrivate, processJwk, session) {
  const other = await crypto.subtle.importKey("jwk", cleanJwk(processJwk), { name: "ECDH", namedCurve: "P-256" }, true, []);
  const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: other }, ownPrivate, 256);
  const key = await hkdf(shared, utf8(session), utf8("alicem seal v1"), ["encrypt"]);
  return async (type, id, plaintext) => {
    const additionalData = utf8(`${type}\n${id}`);
    // ids never repeat in a session, so neither does a nonce.
    return b64(await crypto.subtle.encrypt({ name: "AES-GCM", iv: bigEndian(id, 12), additionalData }, key, plaintext));
  };
}

/**
 * @param {BufferSource} ikm @param {Uint8Array} salt @param {Uint8Array} info @param {KeyUsage[]} uses
 * @returns {Promise<CryptoKey>} An AES-256-GCM key by HKDF-SHA-256 (RFC 5869).
 */
export async function hkdf(ikm, salt, info, uses) {
  const base = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveKey"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt, info };
  return crypto.subtle.deriveKey(parameters, base, { name: "AES-GCM", length: 256 }, false, uses);
}
