/**
 * Device key and device secret, by kind (phone-state.md): in the hardware key store of a native shell, under a passkey, or in this
 * browser. One interface over the three: `make` at enrolment, `atWork` until it ends, `unlock` for each instruction afterwards.
 */

import { b64, concat, random, unb64, utf8 } from "./encoding.js";
import { cleanJwk, newSigningKey, publicJwk, signer, signingKey, thumbprint } from "./jose.js";
import { KeyRefused, assert, forget, hasPasskeys, register } from "./passkey.js";

/** @typedef {"keystore" | "passkey" | "webcrypto"} Kind */
/**
 * Keys of an enrolment, as IndexedDB can hold them; nothing in them can be read out.
 * @typedef {{kind: Kind, public: import("./jose.js").Jwk, handle: Record<string, string>, device: {privateKey: CryptoKey} | null,
 *   secret: CryptoKey | null}} Keys `handle`: what the record keeps of them afterwards; `device`: null in a key store.
 */
/**
 * Keys at work. `bind`: HMAC-SHA-256 of the share under the device secret; `assertion`: that the passkey took part, for that kind.
 * @typedef {{sign: import("./jose.js").Signer, bind: (share: Uint8Array) => Promise<ArrayBuffer>, assertion: object | null}} Unlocked
 */

const SECRET = utf8("alicem device secret v1");
const WRAPPING = utf8("alicem device key v1");
const HMAC = { name: "HMAC", hash: "SHA-256", length: 256 };

const bridge = () => window.AlicemNfc;
const hasKeystore = () => typeof bridge()?.createKey === "function";

/** @returns {Promise<Kind>} The strongest kind this browser has. */
export async function strongest() {
  if (hasKeystore()) return "keystore";
  return (await hasPasskeys()) ? "passkey" : "webcrypto";
}

/**
 * New keys. `confirm` is called once with the statement that introduces them (the proof of `choose`): what a passkey adds to it.
 * @param {Kind} kind
 * @returns {Promise<{keys: Keys, confirm: (statement: string) => Promise<object | null>}>} Raises `KeyRefused`, `NoPrf`.
 */
export const make = (kind) => ({ keystore: makeInKeystore, passkey: makeUnderPasskey, webcrypto: makeHere })[kind]();

/** @param {Keys} keys @returns {Unlocked} The keys of an enrolment, which ask nobody but the key store's owner. */
export const atWork = ({ handle, device, secret }) => ({
  sign: device ? signer(device.privateKey) : (input) => signInKeystore(handle.alias, input),
  bind: (share) => crypto.subtle.sign("HMAC", secret, share),
  assertion: null,
});

/**
 * The keys of an enrolled phone, for one instruction. A passkey prompts here, once.
 * @param {any} held `device_key` of the record, and what the browser holds beside it.
 * @param {string} statement The inner JWS, which the passkey confirms.
 * @returns {Promise<Unlocked>} Raises `KeyRefused`.
 */
export async function unlock(held, statement) {
  if (held.kind === "webcrypto") return atWork(held);
  if (held.kind === "passkey") return unlockUnderPasskey(held, statement);
  const bind = async (share) => crypto.subtle.sign("HMAC", await unwrapInKeystore(held), share);
  return { sign: (input) => signInKeystore(held.alias, input), bind, assertion: null };
}

/** @param {Keys} keys @returns {object} `device_key` of the record. */
export const deviceKey = (keys) => ({ kind: keys.kind, public: keys.public, ...keys.handle });

/** @param {Keys} keys @returns {object | undefined} What the browser holds beside the record: of `webcrypto` alone. */
export const heldHere = ({ kind, device, secret }) => (kind === "webcrypto" ? { device, secret } : undefined);

/** These keys are of no use any more: what can be taken back is. @param {any} held As for `unlock`, or null. */
export const discard = (held) => held?.kind === "passkey" && forget(held.credential);

// --- in this browser ---

async function makeHere() {
  const device = await newSigningKey();
  const secret = /** @type {CryptoKey} */ (await crypto.subtle.generateKey(HMAC, false, ["sign"]));
  const keys = { kind: "webcrypto", public: await publicJwk(device.publicKey), handle: {}, device, secret };
  return { keys, confirm: async () => null };
}

// --- in a hardware key store ---

async function makeInKeystore() {
  const alias = `alicem-${b64(random(8))}`; // a new one each time: the earlier key lives until the new enrolment is complete
  const made = await asked(bridge().createKey(alias));
  const handle = { alias, wrapped: made.wrapped };
  const keys = { kind: "keystore", public: cleanJwk(made.public), handle, device: null, secret: await unwrapInKeystore(handle) };
  return { keys, confirm: async () => null };
}

const signInKeystore = async (alias, input) => unb64(await asked(bridge()?.sign(alias, b64(input))));

const unwrapInKeystore = async ({ alias, wrapped }) =>
  crypto.subtle.importKey("raw", unb64(await asked(bridge()?.unwrap(alias, wrapped))), HMAC, false, ["sign"]);

async function asked(answer) {
  try {
    return (await answer) ?? fail();
  } catch {
    return fail();
  }
}

function fail() {
  throw new KeyRefused("the key store did not answer as asked");
}

// --- under a passkey ---

async function makeUnderPasskey() {
  const { credential, publicKey } = await prompted(register());
  const pair = await newSigningKey(true);
  const jwk = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const keys = {
    kind: "passkey", public: cleanJwk(jwk), handle: { credential }, device: { privateKey: await signingKey(jwk) }, secret: null,
  };
  async function confirm(statement) {
    const { prf, assertion } = await prompted(assert(credential, statement));
    keys.secret = await secretFrom(prf);
    keys.handle.wrapped = await wrap(prf, jwk);
    return { public_key: publicKey, assertion };
  }
  return { keys, confirm };
}

async function unlockUnderPasskey({ credential, wrapped, public: jwk }, statement) {
  const { prf, assertion } = await prompted(assert(credential, statement));
  const [device, secret] = await prompted(Promise.all([unwrap(prf, jwk, wrapped), secretFrom(prf)]));
  return { ...atWork({ handle: {}, device: { privateKey: device }, secret }), assertion };
}

/** Whatever the authenticator or its browser says no with, the person reads one sentence. */
const prompted = (work) =>
  work.catch((error) => {
    throw error instanceof DOMException ? new KeyRefused(error.name) : error;
  });

/** @param {Uint8Array} prf @param {KeyUsage[]} uses */
async function from(prf, info, algorithm, uses) {
  const base = await crypto.subtle.importKey("raw", prf, "HKDF", false, ["deriveKey"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  return crypto.subtle.deriveKey(parameters, base, algorithm, false, uses);
}

const secretFrom = (prf) => from(prf, SECRET, HMAC, ["sign"]);
const wrappingFrom = (prf, use) => from(prf, WRAPPING, { name: "AES-GCM", length: 256 }, [use]);

async function wrap(prf, jwk) {
  const iv = random(12);
  const additionalData = utf8(await thumbprint(jwk));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, await wrappingFrom(prf, "encrypt"), unb64(jwk.d));
  return b64(concat(iv, new Uint8Array(sealed)));
}

async function unwrap(prf, jwk, wrapped) {
  const bytes = unb64(wrapped);
  const parameters = { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData: utf8(await thumbprint(jwk)) };
  const scalar = await crypto.subtle.decrypt(parameters, await wrappingFrom(prf, "decrypt"), bytes.slice(12));
  return signingKey({ ...jwk, d: b64(scalar) });
}
