/**
 * JOSE as Alicem uses it: ES256 and ECDH-ES with A256GCM on P-256, nothing else, whatever a message asks for.
 * The same rules as `alicem.jose`; WebCrypto does the arithmetic.
 */

import { b64, bigEndian, concat, jsonObject, sha256, unb64, utf8 } from "./encoding.js";

/** @typedef {{kty: string, crv: string, x: string, y: string}} Jwk */
/** @typedef {{header: any, payload: Uint8Array, signingInput: Uint8Array, signature: Uint8Array}} Unverified */

const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const ECDH = { name: "ECDH", namedCurve: "P-256" };
const ES256 = { name: "ECDSA", hash: "SHA-256" };
const MOST = 256 * 1024;

/** @param {boolean} [extractable] @returns {Promise<CryptoKeyPair>} A signing key whose private half never leaves the browser, unless asked otherwise. */
export const newSigningKey = (extractable = false) =>
  /** @type {any} */ (crypto.subtle.generateKey(ECDSA, extractable, ["sign"]));

/** @param {Jwk & {d: string}} jwk @returns {Promise<CryptoKey>} To sign ES256 with; it cannot be read out again. */
export const signingKey = (jwk) =>
  crypto.subtle.importKey("jwk", { ...cleanJwk(jwk), d: jwk.d }, ECDSA, false, ["sign"]);

/** @returns {Promise<CryptoKeyPair>} A one-use key to receive with. */
export const newReceivingKey = () => /** @type {any} */ (crypto.subtle.generateKey(ECDH, false, ["deriveBits"]));

/** @param {CryptoKey} key A public key. @returns {Promise<Jwk>} */
export async function publicJwk(key) {
  return cleanJwk(await crypto.subtle.exportKey("jwk", key));
}

/** @param {any} jwk @returns {Jwk} The four members of a P-256 key; anything else throws. */
export function cleanJwk(jwk) {
  if (jwk?.kty !== "EC" || jwk.crv !== "P-256" || unb64(jwk.x).length !== 32 || unb64(jwk.y).length !== 32) {
    throw new Error("not a P-256 key");
  }
  return { kty: "EC", crv: "P-256", x: jwk.x, y: jwk.y };
}

/** @param {Jwk} jwk @returns {Promise<string>} RFC 7638 with SHA-256. */
export async function thumbprint(jwk) {
  const { crv, kty, x, y } = cleanJwk(jwk);
  return b64(await sha256(JSON.stringify({ crv, kty, x, y })));
}

/** @param {any} jwk @returns {Promise<CryptoKey>} To verify ES256 with. */
export const verifyingKey = (jwk) => crypto.subtle.importKey("jwk", cleanJwk(jwk), ECDSA, true, ["verify"]);

/** @typedef {(input: Uint8Array) => Promise<Uint8Array>} Signer ES256 by a key of any kind: 64 bytes. */

/** @param {CryptoKey} key A private key of this browser. @returns {Signer} */
export const signer = (key) => async (input) => new Uint8Array(await crypto.subtle.sign(ES256, key, input));

/**
 * A compact JWS.
 * @param {Signer} signs @param {string} typ @param {object | string} payload @param {object} [header]
 * @returns {Promise<string>}
 */
export async function sign(signs, typ, payload, header = {}) {
  const head = JSON.stringify({ alg: "ES256", typ, ...header });
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  const signingInput = `${b64(utf8(head))}.${b64(utf8(body))}`;
  return `${signingInput}.${b64(await signs(utf8(signingInput)))}`;
}

/** Take a compact JWS apart, insisting on `typ` and ES256. @param {string} token @param {string} typ @returns {Unverified} */
export function unpack(token, typ) {
  const parts = typeof token === "string" && token.length <= MOST ? token.split(".") : [];
  if (parts.length !== 3) throw new Error("not a compact JWS");
  const header = jsonObject(unb64(parts[0]));
  if (header.alg !== "ES256" || header.typ !== typ || "crit" in header) throw new Error(`not a ${typ} signed with ES256`);
  return {
    header,
    payload: unb64(parts[1]),
    signingInput: utf8(`${parts[0]}.${parts[1]}`),
    signature: unb64(parts[2]),
  };
}

/** @param {Unverified} token @param {CryptoKey} key @returns {Promise<any>} The payload as an object, once `key` has verified it. */
export async function check(token, key) {
  const right = await crypto.subtle.verify(ES256, key, token.signature, token.signingInput);
  if (!right) throw new Error("the signature is wrong");
  return jsonObject(token.payload);
}

/**
 * A compact JWE that only the holder of `jwk` opens.
 * @param {any} jwk @param {Uint8Array} plaintext @param {object} [header] @returns {Promise<string>}
 */
export async function encryptTo(jwk, plaintext, header = {}) {
  const own = /** @type {CryptoKeyPair} */ (await newReceivingKey());
  const head = { alg: "ECDH-ES", enc: "A256GCM", epk: await publicJwk(own.publicKey), ...header };
  const protectedPart = b64(utf8(JSON.stringify(head)));
  const key = await agree(own.privateKey, jwk, head, "encrypt");
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = new Uint8Array(
    await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8(protectedPart) }, key, plaintext),
  );
  return [protectedPart, "", b64(iv), b64(sealed.subarray(0, -16)), b64(sealed.subarray(-16))].join(".");
}

/** @param {string} token @param {CryptoKey} privateKey @returns {Promise<Uint8Array>} */
export async function decrypt(token, privateKey) {
  const parts = typeof token === "string" && token.length <= MOST ? token.split(".") : [];
  if (parts.length !== 5 || parts[1] !== "") throw new Error("not a compact JWE with direct agreement");
  const header = jsonObject(unb64(parts[0]));
  if (header.alg !== "ECDH-ES" || header.enc !== "A256GCM" || "zip" in header || "crit" in header) {
    throw new Error("not ECDH-ES with A256GCM");
  }
  const key = await agree(privateKey, header.epk, header, "decrypt");
  const [iv, ciphertext, tag] = parts.slice(2).map(unb64);
  const opened = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv, additionalData: utf8(parts[0]) }, key, concat(ciphertext, tag),
  );
  return new Uint8Array(opened);
}

/** RFC 7518 §4.6.2: ECDH, then one round of the Concat KDF. */
async function agree(privateKey, jwk, header, use) {
  const other = await crypto.subtle.importKey("jwk", cleanJwk(jwk), ECDH, true, []);
  const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: other }, privateKey, 256));
  const party = (text) => prefixed(text === undefined ? new Uint8Array() : unb64(text));
  const info = concat(prefixed(utf8("A256GCM")), party(header.apu), party(header.apv), bigEndian(256, 4));
  const raw = await sha256(concat(bigEndian(1, 4), shared, info));
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);
}

const prefixed = (bytes) => concat(bigEndian(bytes.length, 4), bytes);

