/**
 * A passkey of this device as the phone uses it (WebAuthn Level 3): it confirms statements, and its PRF output keeps the device key.
 */

import { b64, random, sha256, unb64, utf8 } from "./encoding.js";
import { cleanJwk } from "./jose.js";

const ES256 = -7;
const PRF_INPUT = utf8("alicem phone v1");
const PROMPT_MS = 55_000; // the server's challenge lives a minute

/** The owner did not confirm, or the key is no longer there; nothing was signed. */
export class KeyRefused extends Error {}

/** This authenticator makes passkeys without PRF: nothing can be kept under them. */
export class NoPrf extends KeyRefused {}

/** @returns {Promise<boolean>} Whether browser and device have PRF and verify their user. */
export async function hasPasskeys() {
  const has = await window.PublicKeyCredential?.getClientCapabilities?.().catch(() => null);
  return Boolean(has?.["extension:prf"] && has.userVerifyingPlatformAuthenticator);
}

/**
 * The first prompt: a new passkey.
 * @returns {Promise<{credential: string, publicKey: import("./jose.js").Jwk}>} Raises `NoPrf`, `DOMException`.
 */
export async function register() {
  const made = /** @type {any} */ (
    await navigator.credentials.create({
      publicKey: {
        challenge: random(32), // nothing is attested: the passkey is shown to the server by its first assertion
        rp: { name: "Alicem", id: location.hostname },
        user: { id: random(16), name: "Alicem", displayName: "Alicem" },
        pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
        authenticatorSelection: { authenticatorAttachment: "platform", residentKey: "preferred", userVerification: "required" },
        timeout: PROMPT_MS,
        extensions: /** @type {any} */ ({ prf: {} }),
      },
    })
  );
  if (!made.getClientExtensionResults().prf?.enabled) {
    forget(b64(made.rawId));
    throw new NoPrf("the passkey has no PRF");
  }
  const key = await crypto.subtle.importKey(
    "spki", made.response.getPublicKey(), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"],
  );
  return { credential: b64(made.rawId), publicKey: cleanJwk(await crypto.subtle.exportKey("jwk", key)) };
}

/**
 * One prompt: the PRF output, and the assertion whose challenge is the SHA-256 of a statement.
 * @param {string} credential @param {string} statement ASCII.
 * @returns {Promise<{prf: Uint8Array, assertion: {authenticator_data: string, client_data: string, signature: string}}>}
 *   Raises `NoPrf`, `DOMException`.
 */
export async function assert(credential, statement) {
  const got = /** @type {any} */ (
    await navigator.credentials.get({
      publicKey: {
        challenge: await sha256(statement),
        rpId: location.hostname,
        allowCredentials: [{ type: "public-key", id: unb64(credential), transports: ["internal"] }],
        userVerification: "required",
        timeout: PROMPT_MS,
        extensions: /** @type {any} */ ({ prf: { eval: { first: PRF_INPUT } } }),
      },
    })
  );
  const prf = got.getClientExtensionResults().prf?.results?.first;
  if (!prf) throw new NoPrf("the passkey gave no PRF output");
  const { authenticatorData, clientDataJSON, signature } = got.response;
  return {
    prf: new Uint8Array(prf),
    assertion: { authenticator_data: b64(authenticatorData), client_data: b64(clientDataJSON), signature: b64(signature) },
  };
}

/** Tell the device that this passkey is of no use any more, where the browser can. @param {string} credential */
export function forget(credential) {
  const signal = window.PublicKeyCredential?.signalUnknownCredential;
  void signal?.call(PublicKeyCredential, { rpId: location.hostname, credentialId: credential }).catch(() => {});
}
