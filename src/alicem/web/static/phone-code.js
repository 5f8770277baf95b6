/**
 * Another code, in two phases; and a change found unfinished after a reload or a lost line (approval.md, "Another code").
 */

import { isTrivial } from "./code.js";
import { AccountClosed, adoptCode, changeCode, keepCode } from "./instruction.js";
import { opened, openWithNewCode } from "./phone-open.js";
import { isExpected, stopOrExplain } from "./refusals.js";
import { read } from "./sdjwt.js";
import { byId, once, problem, say, show, t } from "./ui.js";

const SIX = /^\d{6}$/;

/** @param {{home: (said: string) => void, begin: () => Promise<void>, gone: () => void}} ways Where the page goes on. */
export function listenForCodes({ home, begin, gone }) {
  onSubmit("change-form", () => change(home, begin, gone));
  onSubmit("begun-form", () => finish(home, gone));
  byId("begun-keep").addEventListener("click", () => void once(byId("begun-form"), () => keepOld(begin)));
}

/** The screen of another code. */
export function askForAnother() {
  for (const id of ["change-first", "change-again"]) byId(id).value = "";
  problem("change-problem", "");
  show("change");
}

function typed() {
  const [next, again] = ["change-first", "change-again"].map((id) => byId(id).value);
  const birth = read(opened.content.credential).claims.birthdate?.slice(2).replaceAll("-", "");
  const wrong = [
    [!SIX.test(next), "phone.js.code_six", "change-first"],
    [isTrivial(next, birth ? [birth] : []), "phone.js.trivial", "change-first"],
    [next === opened.code, "phone.js.same_code", "change-first"],
    [next !== again, "phone.js.codes_differ", "change-again"],
  ].find(([is]) => is);
  if (!wrong) return next;
  problem("change-problem", t(wrong[1]), byId(wrong[2]));
  return null;
}

async function change(home, begin, gone) {
  const next = typed();
  if (next === null) return;
  problem("change-problem", "");
  say(t("phone.js.working"));
  try {
    await changeCode(opened.code, next);
  } catch (error) {
    if (error instanceof AccountClosed) return gone();
    return stopOrExplain(error, "change-problem");
  }
  try {
    await adoptCode(next);
  } catch (error) {
    if (!isExpected(error)) throw error;
    return begin(); // which finds the change unfinished, or done
  }
  opened.code = next;
  home(t("phone.js.code_changed"));
}

async function finish(home, gone) {
  const next = byId("begun-code").value;
  byId("begun-code").value = "";
  if (!SIX.test(next)) return problem("begun-problem", t("phone.js.code_six"), byId("begun-code"));
  problem("begun-problem", "");
  say(t("phone.js.working"));
  try {
    await openWithNewCode(next);
    home(t("phone.js.code_changed"));
  } catch (error) {
    if (error instanceof AccountClosed) return gone();
    stopOrExplain(error, "begun-problem", byId("begun-code"));
  }
}

async function keepOld(begin) {
  try {
    const kept = await keepCode();
    await begin();
    byId("adopted").hidden = kept;
  } catch (error) {
    stopOrExplain(error, "begun-problem");
  }
}

function onSubmit(id, work) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    void once(byId(id), work);
  });
}
