/**
 * The phone's home: which of its screens the phone as it is calls for, the identity opened with the code, the ways on from there.
 */

import { AccountClosed, NoAnswer, settleChange } from "./instruction.js";
import { SCREENS, listenForAccount } from "./phone-account.js";
import { askForAnother, listenForCodes } from "./phone-code.js";
import { listenForCopy, showCopy } from "./phone-copy.js";
import { showHistory } from "./phone-history.js";
import { close, open, opened } from "./phone-open.js";
import { onFault, stopOrExplain } from "./refusals.js";
import "./forget.js";
import { read } from "./sdjwt.js";
import { UnknownVersion, load, loadEnrolment, persist } from "./state.js";
import { byId, element, forKey, longDate, once, problem, ready, say, show, t, tOr } from "./ui.js";

const HIDDEN = ["chip_key"];
const OPEN_MS = 5 * 60_000; // without a touch, then it closes
let closing = 0;

const WAYS = { ...SCREENS, history: showHistory, copy: showCopy, change: askForAnother, home: () => (opened.content ? home() : begin()), lock: () => begin() };

/** The screen for the phone as it is. */
async function begin() {
  close();
  const { phone, forgotten } = await load();
  if (forgotten) return show("forgotten");
  if (phone === null) return show("none");
  forKey(phone.device_key.kind);
  if (phone.next_salt && (await changeIsUnfinished())) return show("begun");
  const unfinished = Boolean((await loadEnrolment())?.activate);
  for (const line of document.querySelectorAll("[data-when]")) line.hidden = (line.dataset.when === "unfinished") !== unfinished;
  show("locked");
}

/** An answer that was lost is asked for again; without a server the question stays open. */
async function changeIsUnfinished() {
  await settleChange().catch((error) => {
    if (!(error instanceof NoAnswer)) throw error;
  });
  const { phone } = await load();
  byId("adopted").hidden = Boolean(phone.next_salt);
  return Boolean(phone.next_salt);
}

async function onOpen() {
  const code = byId("code").value;
  byId("code").value = "";
  if (!/^\d{6}$/.test(code)) return problem("open-problem", t("phone.js.code_six"), byId("code"));
  problem("open-problem", "");
  say(t("phone.js.working"));
  try {
    await open(code);
    byId("adopted").hidden = true;
    home();
    WAYS[asked()]?.();
  } catch (error) {
    if (error instanceof AccountClosed) gone();
    else if (error instanceof UnknownVersion) show("unknown");
    else stopOrExplain(error, "open-problem", byId("code"));
  }
}

/** Where another page sent the person on to, once. */
function asked() {
  const way = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return way;
}

/** The open identity, with word of what was just done. */
function home(said = "") {
  const { claims, payload } = read(opened.content.credential);
  byId("specimen").hidden = payload.specimen !== true;
  byId("identity").replaceChildren(
    ...Object.entries(claims)
      .filter(([name]) => !HIDDEN.includes(name))
      .flatMap(([name, value]) => [element("dt", tOr(`phone.js.claims.${name}`, name)), element("dd", written(name, value))]),
  );
  byId("done").hidden = said === "";
  byId("done").textContent = said;
  byId("others-way").hidden = !(opened.phones > 1);
  void persist().then((kept) => (byId("may-forget").hidden = kept));
  show("open");
  say(said);
  touched();
}

/** @param {string} name @param {any} value */
function written(name, value) {
  if (name === "sex") return t(`phone.js.sex.${["unspecified", "male", "female"][value]}`);
  if (/date/.test(name) && /^\d{4}-\d\d-\d\d$/.test(value)) return longDate(value);
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** What is open closes by itself when nobody is there. */
function touched() {
  clearTimeout(closing);
  closing = setTimeout(() => opened.content && void begin(), OPEN_MS);
}

function gone() {
  byId("closing").hidden = true;
  show("erased");
}

function listen() {
  byId("open-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void once(event.target, onOpen);
  });
  for (const way of document.querySelectorAll("[data-way]")) way.addEventListener("click", () => WAYS[way.dataset.way]());
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => opened.content && touched());
  listenForAccount({ home, gone });
  listenForCodes({ home, begin, gone });
  listenForCopy({ gone });
}

async function main() {
  await ready();
  window.addEventListener("unhandledrejection", onFault);
  listen();
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof UnknownVersion)) throw error;
    show("unknown");
  }
}

void main();
