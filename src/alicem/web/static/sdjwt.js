/**
 * The credential on the phone: an SD-JWT VC (RFC 9901). Taken apart, shown in part, bound to one request by the device key.
 */

import { b64, fromUtf8, jsonObject, now, sha256, unb64 } from "./encoding.js";
import { check, cleanJwk, sign, unpack } from "./jose.js";
import { checkChain } from "./x509.js";

export const TYP = "dc+sd-jwt";

/** @typedef {{name: string, value: any, text: string}} Disclosure */
/** @typedef {{issuerJwt: string, disclosures: Disclosure[]}} SdJwt */

/** @param {string} token @returns {SdJwt} Nothing verified. */
export function parse(token) {
  const parts = token.split("~");
  if (parts.length < 2 || parts.length > 66 || parts.at(-1) !== "") throw new Error("not an issued SD-JWT");
  return { issuerJwt: parts[0], disclosures: parts.slice(1, -1).map(disclosure) };
}

function disclosure(text) {
  const array = JSON.parse(fromUtf8(unb64(text)));
  if (!Array.isArray(array) || array.length !== 3 || typeof array[1] !== "string") throw new Error("not a disclosure");
  return { name: array[1], value: array[2], text };
}

/**
 * Verify a credential as it arrives: its issuer's chain, its signature, that it is ours, that every disclosure was signed.
 * @param {string} token
 * @param {{anchor: string | null, holder: import("./jose.js").Jwk, issuer: string}} expected
 * @returns {Promise<{claims: Record<string, any>, payload: any, anchor: string}>}
 */
export async function verifyIssued(token, { anchor, holder, issuer }) {
  const { issuerJwt, disclosures } = parse(token);
  const unverified = unpack(issuerJwt, TYP);
  const chain = await checkChain(unverified.header.x5c, anchor);
  const payload = await check(unverified, chain.key);
  const bound = JSON.stringify(cleanJwk(payload.cnf?.jwk)) === JSON.stringify(cleanJwk(holder));
  if (!bound || payload.iss !== issuer || !(payload.exp > now())) throw new Error("the credential is not for this phone");
  for (const { text } of disclosures) {
    if (!payload._sd.includes(b64(await sha256(text)))) throw new Error("a disclosure the issuer did not sign");
  }
  return { claims: claimsOf(disclosures), payload, anchor: chain.anchor };
}

/** @param {Disclosure[]} disclosures @returns {Record<string, any>} */
export const claimsOf = (disclosures) => Object.fromEntries(disclosures.map(({ name, value }) => [name, value]));

/** @param {string} token @returns {{claims: Record<string, any>, payload: any}} Of a credential this phone verified when it came. */
export function read(token) {
  const { issuerJwt, disclosures } = parse(token);
  return { claims: claimsOf(disclosures), payload: jsonObject(unpack(issuerJwt, TYP).payload) };
}

/**
 * Show some claims to one verifier, for one request (RFC 9901 §4.3, OpenID4VP 1.0 §8.4).
 * @param {string} token
 * @param {string[]} names Claims to disclose; one the credential lacks is left out.
 * @param {{nonce: string, audience: string, transactionData: string[], sign: import("./jose.js").Signer}} binding `sign`: the device key's.
 * @returns {Promise<string>}
 */
export async function present(token, names, { nonce, audience, transactionData, sign: signs }) {
  const { issuerJwt, disclosures } = parse(token);
  const shown = disclosures.filter(({ name }) => names.includes(name)).map(({ text }) => text);
  const presented = [issuerJwt, ...shown, ""].join("~");
  const hashes = await Promise.all(transactionData.map(async (one) => b64(await sha256(one))));
  const proof = {
    nonce,
    aud: audience,
    iat: now(),
    sd_hash: b64(await sha256(presented)),
    ...(hashes.length && { transaction_data_hashes: hashes, transaction_data_hashes_alg: "sha-256" }),
  };
  return presented + (await sign(signs, "kb+jwt", proof));
}
