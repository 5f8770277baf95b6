/**
 * Bytes and text as the protocols write them: base64url without padding (RFC 4648 §5), UTF-8, JSON, SHA-256.
 */

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** @param {string} text @returns {Uint8Array} */
export const utf8 = (text) => encoder.encode(text);

/** @param {Uint8Array} bytes @returns {string} Throws on bytes that are not UTF-8. */
export const fromUtf8 = (bytes) => strict.decode(bytes);

/** @param {ArrayBuffer | Uint8Array} bytes @returns {string} */
export function b64(bytes) {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  let binary = "";
  for (let at = 0; at < view.length; at += 0x8000) binary += String.fromCharCode(...view.subarray(at, at + 0x8000));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text Canonical base64url; anything else throws. @returns {Uint8Array} */
export function unb64(text) {
  if (typeof text !== "string" || !/^[\w-]*$/.test(text)) throw new Error("not base64url");
  const bytes = fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  if (b64(bytes) !== text) throw new Error("not canonical base64url");
  return bytes;
}

/** @param {string} text Standard base64, as in `x5c`. @returns {Uint8Array} */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} bytes @returns {string} Upper case, as status words are written. */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();

/** @param {string} text @returns {Uint8Array} */
export function unhex(text) {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** @param {...Uint8Array} parts @returns {Uint8Array} */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {number} number @param {number} length @returns {Uint8Array} Big-endian; exact up to 2⁵³. */
export function bigEndian(number, length) {
  const bytes = new Uint8Array(length);
  for (let at = length - 1; at >= 0; at -= 1) {
    bytes[at] = number % 256;
    number = Math.floor(number / 256);
  }
  return bytes;
}

/** @param {Uint8Array | string} data Text is hashed as UTF-8. @returns {Promise<Uint8Array>} */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", typeof data === "string" ? utf8(data) : data));
}

/** @param {number} length @returns {Uint8Array} */
export const random = (length) => crypto.getRandomValues(new Uint8Array(length));

/** @param {Uint8Array} a @param {Uint8Array} b @returns {boolean} */
export const equal = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

/** @returns {number} Seconds since 1970: the `iat` of everything signed here. */
export const now = () => Math.floor(Date.now() / 1000);

/** @param {Uint8Array | string} data @returns {any} A JSON object; anything else throws. */
export function jsonObject(data) {
  const tree = JSON.parse(typeof data === "string" ? data : fromUtf8(data));
  if (tree === null || typeof tree !== "object" || Array.isArray(tree)) throw new Error("not a JSON object");
  return tree;
}
