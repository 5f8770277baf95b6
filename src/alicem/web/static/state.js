/**
 * What the phone keeps, in IndexedDB (phone-state.md): the record readable without the code, the keys, and the vault that only the
 * code opens, with the server's help. An enrolment in progress waits under a fourth key and is gone when it ends.
 */

import { b64, concat, fromUtf8, jsonObject, utf8 } from "./encoding.js";
import { atWork, deviceKey, discard, heldHere } from "./keys.js";
import { hkdf } from "./seal.js";

const DATABASE = "alicem";
const STORE = "state";
const VAULT = utf8("alicem vault v1");
const MOST_HISTORY = 500;

/**
 * @typedef {{version: 1, origin: string, account: string | null, sequence: number, salt: string, kdf: object, device_key: any,
 *   anchor: string | null, language: string, pending: string | null, assertion: object | null, next_salt: string | null}} Phone
 */
/** @typedef {import("./keys.js").Keys} Keys */
/** @typedef {import("./keys.js").Unlocked} Unlocked */
/** @typedef {{version: 1, credential: string, access_key: object | null, receipt: string, history: object[]}} Vault */

/** The record has a version this page does not know: nothing is changed. */
export class UnknownVersion extends Error {}

/** The vault is of another time of this phone: a right answer's share does not open it. */
export class VaultLost extends Error {}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another tab holds the storage"));
  });
}

/**
 * Run `work` on the object store; resolves once it is durable.
 * @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest | void} work
 */
async function transaction(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const running = database.transaction(STORE, mode, { durability: "strict" });
      const request = work(running.objectStore(STORE));
      running.oncomplete = () => resolve(request?.result);
      running.onabort = running.onerror = () => reject(running.error);
    });
  } finally {
    database.close();
  }
}

/** @param {string} key */
const get = (key) => transaction("readonly", (store) => store.get(key));

/** @param {Record<string, any>} values Written together or not at all; undefined erases. */
const put = (values) =>
  transaction("readwrite", (store) => {
    for (const [key, value] of Object.entries(values)) value === undefined ? store.delete(key) : store.put(value, key);
  });

/**
 * The phone as it is. `held`: what `keys.unlock` takes. `forgotten`: the browser lost a part of it.
 * @returns {Promise<{phone: Phone | null, held: any, vault: Uint8Array | null, forgotten: boolean}>}
 */
export async function load() {
  const [phone = null, keys = null, vault = null] = await Promise.all([get("phone"), get("keys"), get("vault")]);
  if (phone !== null && phone.version !== 1) throw new UnknownVersion(`version ${phone.version}`);
  const here = keys !== null || phone?.device_key.kind !== "webcrypto";
  const whole = phone !== null && vault !== null && here;
  const empty = phone === null && vault === null && keys === null;
  return { phone, held: phone && { ...phone.device_key, ...keys }, vault, forgotten: !whole && !empty };
}

/**
 * All at once: an enrolment that ends. The receipt waits outside the vault until the account is active: `activate` is signed over it,
 * and nothing else opens the vault before.
 * @param {Partial<Phone>} fields @param {Uint8Array} salt @param {Keys} keys @param {Uint8Array} vault @param {string} receipt
 */
export const saveAll = (fields, salt, keys, vault, receipt) =>
  put({
    phone: newPhone({ ...fields, device_key: deviceKey(keys) }, salt), keys: heldHere(keys), vault, enrolment: { activate: receipt },
  });

/** @param {Phone} phone */
export const savePhone = (phone) => put({ phone });

/** @param {Uint8Array} vault */
export const saveVault = (vault) => put({ vault });

/** Whatever an enrolment must find again after a reload; erased with it. */
export const saveEnrolment = (enrolment) => put({ enrolment: enrolment ?? undefined });
export const loadEnrolment = async () => (await get("enrolment")) ?? null;

/** Erase everything this page keeps; resolves when it is gone. */
export async function erase() {
  const { held } = await load().catch(() => ({ held: null }));
  await new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = () => resolve(undefined);
    request.onerror = () => reject(request.error);
  });
  discard(held);
}

/** Ask the browser not to throw the storage away when space is short. @returns {Promise<boolean>} Whether it said so. */
export async function persist() {
  const storage = navigator.storage;
  return Boolean((await storage?.persisted?.().catch(() => false)) || (await storage?.persist?.().catch(() => false)));
}

/** @param {Unlocked} unlocked @param {Uint8Array} share 32 bytes of the server. @returns {Promise<CryptoKey>} What opens the vault. */
export const vaultKey = async (unlocked, share) =>
  hkdf(await unlocked.bind(share), new Uint8Array(), VAULT, ["encrypt", "decrypt"]);

const LATER = utf8("alicem enrolment v1");
const keyOfEnrolment = (keys) => vaultKey(atWork(keys), LATER);

/** What an enrolment needs again after a reload, readable by this browser alone. @param {Keys} keys @param {object} content */
export async function protect(keys, content) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await keyOfEnrolment(keys), utf8(JSON.stringify(content)));
  return concat(iv, new Uint8Array(sealed));
}

/** @param {Keys} keys @param {Uint8Array | undefined} kept @returns {Promise<any>} */
export async function unprotect(keys, kept) {
  if (!kept) return null;
  const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv: kept.slice(0, 12) }, await keyOfEnrolment(keys), kept.slice(12));
  return jsonObject(new Uint8Array(opened));
}

/** @param {CryptoKey} key Of `vaultKey`. @param {Vault} content @returns {Promise<Uint8Array>} */
export async function sealVault(key, content) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const kept = { ...content, history: content.history.slice(-MOST_HISTORY) };
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: VAULT }, key, utf8(JSON.stringify(kept)));
  return concat(Uint8Array.of(1), iv, new Uint8Array(sealed));
}

/** @param {CryptoKey} key Of `vaultKey`. @param {Uint8Array} vault @returns {Promise<Vault>} Raises `VaultLost`, `UnknownVersion`. */
export async function openVault(key, vault) {
  if (vault[0] !== 1) throw new UnknownVersion(`vault version ${vault[0]}`);
  const parameters = { name: "AES-GCM", iv: vault.slice(1, 13), additionalData: VAULT };
  const opened = await crypto.subtle.decrypt(parameters, key, vault.slice(13)).catch(() => null);
  if (opened === null) throw new VaultLost("the vault does not open");
  const content = jsonObject(fromUtf8(new Uint8Array(opened)));
  if (content.version !== 1) throw new UnknownVersion(`vault content version ${content.version}`);
  return content;
}

/** @param {Partial<Phone>} fields @param {Uint8Array} salt @returns {Phone} */
export function newPhone(fields, salt) {
  const empty = { version: /** @type {1} */ (1), origin: "", account: null, sequence: 0, kdf: {}, device_key: {}, anchor: null };
  return { ...empty, language: "fr", pending: null, assertion: null, next_salt: null, ...fields, salt: b64(salt) };
}
