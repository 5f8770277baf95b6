/**
 * The identity while it is open: opened by a right code, kept in memory alone, gone when it is closed.
 */

import { activateIfDue, adoptCode, instruct } from "./instruction.js";
import { load, openVault, saveVault, sealVault, vaultKey } from "./state.js";
import { byId } from "./ui.js";

/**
 * `key` opens and seals the vault; `phones`: how many active phones the account has, null where it was not told.
 * @type {{code: string, key: CryptoKey | null, content: import("./state.js").Vault | null, phones: number | null}}
 */
export const opened = { code: "", key: null, content: null, phones: null };

/** Open with the code, for the first time or again. Raises as `instruct`. @param {string} code */
export const open = async (code) => take((await activateIfDue(code)) ?? (await instruct("open", "", code)), code);

/** Finish a change of code, which opens too. Raises as `open`. @param {string} next */
export const openWithNewCode = async (next) => take(await adoptCode(next), next);

/** @param {import("./instruction.js").Done} done @param {string} code */
async function take({ share, phones, unlocked }, code) {
  const key = await vaultKey(unlocked, share);
  const content = await openVault(key, (await load()).vault);
  Object.assign(opened, { code, key, content, phones });
}

/** An instruction by the owner of what is open. @param {import("./instruction.js").Purpose} purpose @param {string} subject */
export const order = (purpose, subject) => instruct(purpose, subject, opened.code);

/** @param {object[]} history What the vault holds from here on. */
export async function keepHistory(history) {
  opened.content = { ...opened.content, history };
  await saveVault(await sealVault(opened.key, opened.content));
}

/** Nothing of it stays in memory, nor in the page. */
export function close() {
  Object.assign(opened, { code: "", key: null, content: null, phones: null });
  for (const id of ["identity", "history"]) byId(id).replaceChildren();
}
