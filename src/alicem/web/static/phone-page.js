/**
 * The phone's home: the identity as held here, opened with the code; its history; deletion in two taps.
 */

import { jsonObject } from "./encoding.js";
import { AccountClosed, instruct } from "./instruction.js";
import { unpack } from "./jose.js";
import { whyNot } from "./refusals.js";
import { read } from "./sdjwt.js";
import { UnknownVersion, erase, load, loadEnrolment, openVault, saveEnrolment } from "./state.js";
import { byId, element, list, longDate, moment, once, problem, ready, say, show, t, tOr } from "./ui.js";

const HIDDEN = ["chip_key"];
let code = ""; // held while the identity is open, for a deletion in two taps

async function open() {
  const typed = byId("code").value;
  if (!/^\d{6}$/.test(typed)) return problem("open-problem", t("phone.js.code_six"), byId("code"));
  problem("open-problem", "");
  say(t("phone.js.working"));
  try {
    showIdentity(await unlock(typed));
    code = typed;
  } catch (error) {
    if (error instanceof AccountClosed) show("erased");
    else problem("open-problem", whyNot(error), byId("code"));
  } finally {
    byId("code").value = "";
  }
}

/** An enrolment that was cut before its last instruction is activated first. @returns {Promise<import("./state.js").Vault>} */
async function unlock(typed) {
  const unfinished = await loadEnrolment();
  const { share } = unfinished?.activate
    ? await instruct("activate", unfinished.activate, typed)
    : await instruct("open", "", typed);
  if (unfinished?.activate) await saveEnrolment(null);
  const { keys, vault } = await load();
  return openVault(keys, share, vault);
}

function showIdentity({ credential, history }) {
  const { claims, payload } = read(credential);
  byId("specimen").hidden = payload.specimen !== true;
  byId("identity").replaceChildren(
    ...Object.entries(claims)
      .filter(([name]) => !HIDDEN.includes(name))
      .flatMap(([name, value]) => [element("dt", tOr(`phone.js.claims.${name}`, name)), element("dd", written(name, value))]),
  );
  byId("history-none").hidden = history.length > 0;
  byId("history").replaceChildren(...history.toReversed().map(entry));
  show("open");
}

/** @param {string} name @param {any} value */
function written(name, value) {
  if (name === "sex") return t(`phone.js.sex.${["unspecified", "male", "female"][value]}`);
  if (/date/.test(name) && /^\d{4}-\d\d-\d\d$/.test(value)) return longDate(value);
  return Array.isArray(value) ? value.join(", ") : String(value);
}

function entry({ at, asker, level, claims, outcome }) {
  const item = document.createElement("li");
  const done = outcome === "done";
  item.append(
    element("strong", t("phone.js.history_entry", { asker, level: tOr(`phone.js.levels.${level}`, level) })),
    element("span", t(done ? "phone.js.outcome_done" : "phone.js.outcome_not"), done ? "tag good" : "tag bad"),
    element("small", moment(at)),
    element("small", claims.map((name) => tOr(`phone.js.claims.${name}`, name)).join(", ")),
  );
  return item;
}

async function closeAccount() {
  try {
    const { receipt } = await instruct("close", "close", code);
    await erase();
    byId("closing").hidden = false;
    const { erased } = jsonObject(unpack(receipt, "alicem-receipt+jwt").payload);
    list("erased", erased.map(({ what }) => tOr(`enrolment.js.kept.${what}`, what)), "yes");
    code = "";
    show("erased");
  } catch (error) {
    problem("delete-problem", whyNot(error));
  }
}

function sure(open) {
  byId("delete-sure").hidden = !open;
  problem("delete-problem", "");
  (open ? byId("delete-sure").querySelector("h3") : byId("delete")).focus();
}

function lock() {
  code = "";
  byId("identity").replaceChildren();
  byId("history").replaceChildren();
  sure(false);
  show("locked");
}

function listen() {
  byId("open-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void once(event.target, open);
  });
  byId("lock").addEventListener("click", lock);
  byId("delete").addEventListener("click", () => sure(true));
  byId("delete-not").addEventListener("click", () => sure(false));
  byId("delete-now").addEventListener("click", () => void once(byId("delete-sure"), closeAccount));
}

async function main() {
  await ready();
  listen();
  try {
    const { phone, forgotten } = await load();
    const unfinished = Boolean((await loadEnrolment())?.activate);
    for (const line of document.querySelectorAll("[data-when]")) line.hidden = (line.dataset.when === "unfinished") !== unfinished;
    show(forgotten ? "forgotten" : phone === null ? "none" : "locked");
  } catch (error) {
    if (!(error instanceof UnknownVersion)) throw error;
    show("unknown");
  }
}

void main();
