/**
 * The few bytes of X.509 that `x5c` needs: a walk over DER to the key, the dates and the signature of P-256 certificates,
 * and the check that a chain ends at the certificate pinned at enrolment (RFC 5280 §6, one path, no extensions but CA).
 */

import { b64, concat, equal, fromBase64, sha256 } from "./encoding.js";

const SEQUENCE = 0x30;
const EC_P256 = hexBytes("06072a8648ce3d020106082a8648ce3d030107");
const ECDSA_SHA256 = hexBytes("06082a8648ce3d040302");
const BASIC_CONSTRAINTS_CA = hexBytes("0603551d13"); // 2.5.29.19
const ES256 = { name: "ECDSA", hash: "SHA-256" };

/** @typedef {{tag: number, start: number, end: number, body: number}} Node */
/** @typedef {{der: Uint8Array, signed: Uint8Array, signature: Uint8Array, key: CryptoKey, from: Date, until: Date, authority: boolean}} Certificate */

/**
 * The key of the leaf of `x5c`, once its chain is right and ends at `anchor`.
 * @param {string[]} x5c Standard base64, leaf first (RFC 7515 §4.1.6).
 * @param {string | null} anchor Base64url SHA-256 of the top certificate; null to learn it, at enrolment.
 * @param {Date} at
 * @returns {Promise<{key: CryptoKey, leafHash: string, anchor: string}>}
 */
export async function checkChain(x5c, anchor, at = new Date()) {
  if (!Array.isArray(x5c) || x5c.length < 1 || x5c.length > 4) throw new Error("x5c is not a short chain");
  const chain = await Promise.all(x5c.map((one) => parseCertificate(fromBase64(one))));
  for (const [depth, certificate] of chain.entries()) {
    const signer = chain[Math.min(depth + 1, chain.length - 1)];
    if (at < certificate.from || at > certificate.until) throw new Error("a certificate is out of its dates");
    if (signer !== certificate && !signer.authority) throw new Error("a certificate is signed by one that may not sign");
    const right = await crypto.subtle.verify(ES256, signer.key, certificate.signature, certificate.signed);
    if (!right) throw new Error("a certificate's signature is wrong");
  }
  const top = b64(await sha256(chain[chain.length - 1].der));
  if (anchor !== null && top !== anchor) throw new Error("the chain does not end at the pinned certificate");
  return { key: chain[0].key, leafHash: b64(await sha256(chain[0].der)), anchor: top };
}

/** @param {Uint8Array} der @returns {Promise<Certificate>} */
export async function parseCertificate(der) {
  const [signed, algorithm, signature] = children(der, node(der, 0));
  if (!holds(der, algorithm, ECDSA_SHA256)) throw new Error("a certificate is not signed with ECDSA and SHA-256");
  const fields = children(der, signed).filter((field) => field.tag !== 0xa0); // without [0] version
  const [, , , validity, , keyInfo] = fields;
  const [from, until] = children(der, validity).map((time) => date(der, time));
  return {
    der,
    signed: der.slice(signed.start, signed.end),
    signature: rawSignature(der.subarray(signature.body + 1, signature.end)),
    key: await publicKey(der, keyInfo),
    from,
    until,
    authority: isAuthority(der, fields.find((field) => field.tag === 0xa3)),
  };
}

/** ECDSA-Sig-Value (RFC 3279 §2.2.3) as the 64 bytes WebCrypto takes. */
function rawSignature(der) {
  const [r, s] = children(der, node(der, 0)).map((part) => der.subarray(part.body, part.end));
  return concat(fixed(r), fixed(s));
}

function fixed(integer) {
  const significant = integer[0] === 0 ? integer.subarray(1) : integer;
  if (significant.length > 32) throw new Error("an integer is too long for P-256");
  return concat(new Uint8Array(32 - significant.length), significant);
}

function publicKey(der, keyInfo) {
  const [algorithm, bits] = children(der, keyInfo);
  if (!holds(der, algorithm, EC_P256)) throw new Error("a certificate's key is not P-256");
  const point = der.slice(bits.body + 1, bits.end);
  return crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
}

/** BasicConstraints with cA TRUE (RFC 5280 §4.2.1.9). */
function isAuthority(der, extensions) {
  if (!extensions) return false;
  for (const extension of children(der, node(der, extensions.body))) {
    const parts = children(der, extension);
    if (!equal(der.subarray(parts[0].start, parts[0].end), BASIC_CONSTRAINTS_CA)) continue;
    const value = parts[parts.length - 1];
    const [flag] = children(der, node(der, value.body));
    return flag?.tag === 0x01 && der[flag.body] === 0xff;
  }
  return false;
}

/** UTCTime or GeneralizedTime (RFC 5280 §4.1.2.5). */
function date(der, time) {
  const text = String.fromCharCode(...der.subarray(time.body, time.end));
  const long = time.tag === 0x17 ? (Number(text.slice(0, 2)) < 50 ? "20" : "19") + text : text;
  const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(long);
  if (!found) throw new Error("a certificate's date is malformed");
  const [year, month, ...rest] = found.slice(1).map(Number);
  return new Date(Date.UTC(year, month - 1, ...rest));
}

/** @returns {Node} The DER node that starts at `at`. */
function node(der, at) {
  let length = der[at + 1];
  let body = at + 2;
  if (length > 0x80 && length <= 0x83) {
    const size = length - 0x80;
    length = der.subarray(body, body + size).reduce((sum, byte) => sum * 256 + byte, 0);
    body += size;
  }
  if (!(length >= 0) || length === 0x80 || body + length > der.length) throw new Error("DER is cut short");
  return { tag: der[at], start: at, end: body + length, body };
}

/** @returns {Node[]} */
function children(der, parent) {
  if (![SEQUENCE, 0xa3].includes(parent.tag)) throw new Error("a sequence was expected");
  const found = [];
  for (let at = parent.body; at < parent.end; ) {
    const child = node(der, at);
    found.push(child);
    at = child.end;
  }
  return found;
}

/** Whether a sequence's content begins with exactly these bytes. */
function holds(der, sequence, content) {
  return equal(der.subarray(sequence.body, sequence.body + content.length), content);
}

function hexBytes(text) {
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}
