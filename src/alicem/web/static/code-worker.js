/**
 * Derives the PIN key away from the page, so that it never stops moving (approval.md, "PIN key").
 * Message in: `{code, salt, kdf}`; message out: `{jwk}` with its private scalar, or `{error}`.
 */

import { argon2id } from "./vendor/@noble/hashes/argon2.js";
import { weierstrass } from "./vendor/@noble/curves/abstract/weierstrass.js";
import { b64, unhex, utf8 } from "./encoding.js";

/** SP 800-186 §3.2.1.3. */
const P256 = {
  p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
  n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  h: 1n,
  a: 0xffffffff00000001000000000000000000000000fffffffffffffffffffffffcn,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  Gx: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  Gy: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
};
const Point = weierstrass(P256);

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ jwk: await derive(data) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};

/** @param {{code: string, salt: Uint8Array, kdf: {name: string, memory_kib: number, passes: number, lanes: number}}} given */
async function derive({ code, salt, kdf }) {
  if (kdf.name !== "argon2id") throw new Error("unknown key derivation");
  const stretched = argon2id(utf8(code), salt, { m: kdf.memory_kib, t: kdf.passes, p: kdf.lanes, dkLen: 32 });
  const base = await crypto.subtle.importKey("raw", stretched, "HKDF", false, ["deriveBits"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt, info: utf8("alicem pin key v1") };
  const okm = new Uint8Array(await crypto.subtle.deriveBits(parameters, base, 384));
  const integer = okm.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const d = (integer % (P256.n - 1n)) + 1n; // FIPS 186-5 A.2.1
  const { x, y } = Point.BASE.multiply(d).toAffine();
  const member = (number) => b64(unhex(number.toString(16).padStart(64, "0")));
  return { kty: "EC", crv: "P-256", d: member(d), x: member(x), y: member(y) };
}
