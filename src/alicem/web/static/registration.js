/**
 * Steps 6 and 7: the code becomes a registration, the credential arrives (OpenID4VCI 1.0), the phone seals its vault and activates.
 */

import { KDF, pinKey } from "./code.js";
import { jsonObject, now, random } from "./encoding.js";
import { check, decrypt, newReceivingKey, publicJwk, sign, unpack } from "./jose.js";
import { atWork } from "./keys.js";
import { verifyIssued } from "./sdjwt.js";
import { saveAll, sealVault, vaultKey } from "./state.js";
import { checkChain } from "./x509.js";

const GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code";

/** The server did not issue what it offered. */
export class NotIssued extends Error {}

/**
 * @param {import("./enrolment.js").Session} session @param {string} code @param {string} challenge Of step 6.
 * @returns {Promise<{registration: string, salt: Uint8Array, replyKey: CryptoKey}>} What the `code` message carries, and what opens the answer.
 */
export async function register(session, code, challenge) {
  const salt = random(32);
  const pin = await pinKey(code, salt, KDF);
  const reply = await newReceivingKey();
  const payload = {
    aud: session.origin, session: session.session, challenge, reply_key: await publicJwk(reply.publicKey), iat: now(),
  };
  const inner = await sign(pin.sign, "alicem-pin+jwt", payload, { jwk: pin.jwk });
  const registration = await sign(atWork(session.keys).sign, "alicem-registration+jwt", inner);
  return { registration, salt, replyKey: reply.privateKey };
}

/** @param {string} share The JWE of step 7. @param {CryptoKey} replyKey @returns {Promise<Uint8Array>} */
export const openShare = (share, replyKey) => decrypt(share, replyKey);

/**
 * Fetch the credential an offer stands for (§4.1, §6, §7, §8) and verify it as it arrives.
 * @param {any} offer @param {import("./enrolment.js").Session} session
 * @returns {Promise<{credential: string, anchor: string}>}
 */
export async function obtainCredential(offer, session) {
  const offered = typeof offer === "string" ? jsonObject(offer) : offer;
  if (offered.credential_issuer !== session.origin) throw new NotIssued("the offer names another issuer");
  const code = offered.grants[GRANT]["pre-authorized_code"];
  const form = new URLSearchParams({ grant_type: GRANT, "pre-authorized_code": code });
  const { access_token: token } = await post("/credential/token", form);
  const { c_nonce: nonce } = await post("/credential/nonce");
  const holder = session.keys.public;
  const proof = await sign(
    atWork(session.keys).sign, "openid4vci-proof+jwt", { aud: session.origin, iat: now(), nonce }, { jwk: holder },
  );
  const body = JSON.stringify({ credential_configuration_id: "identity", proofs: { jwt: [proof] } });
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const { credentials } = await post("/credential/credential", body, headers);
  const { credential } = credentials[0];
  const { anchor } = await verifyIssued(credential, { anchor: null, holder, issuer: session.origin });
  return { credential, anchor };
}

/**
 * @param {string} receipt @param {string} anchor @param {string} origin
 * @returns {Promise<any>} What the receipt says, once its signature leads to the pinned certificate.
 */
export async function verifyReceipt(receipt, anchor, origin) {
  const unverified = unpack(receipt, "alicem-receipt+jwt");
  const { key } = await checkChain(unverified.header.x5c, anchor);
  const said = await check(unverified, key);
  if (said.iss !== origin) throw new Error("the receipt is of another server");
  return said;
}

/**
 * The phone is enrolled: record, keys and vault are written together.
 * @param {import("./enrolment.js").Session} session
 * @param {{salt: Uint8Array, share: Uint8Array, credential: string, anchor: string, receipt: string, accessKey: object | null, language: string, account?: string}} made
 */
export async function keep(session, made) {
  const { keys, origin } = session;
  const { anchor, language, account = null } = made;
  const vault = await sealVault(await vaultKey(atWork(keys), made.share), {
    version: 1, credential: made.credential, access_key: made.accessKey, receipt: made.receipt, history: [],
  });
  await saveAll({ origin, account, kdf: KDF, anchor, language }, made.salt, keys, vault, made.receipt);
}

async function post(path, body, headers = {}) {
  const response = await fetch(path, { method: "POST", body, headers }).catch(() => null);
  if (!response?.ok) throw new NotIssued(`${path}: ${response?.status ?? "no answer"}`);
  return response.json();
}
