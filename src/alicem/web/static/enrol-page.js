/**
 * The enrolment page: the seven steps on one screen after another. The protocol is in enrolment.js; each step's own work is beside it.
 */

import { checkDevice, fillCast } from "./enrol-start.js";
import { chipSays, chipStep, closeChip, onBatch } from "./enrol-chip.js";
import { consentStep, faceStopped, onAction, onLight } from "./enrol-face.js";
import { codeRefused, codeStep, confirmationStep, finish } from "./enrol-code.js";
import { contactStep, documentStep, onSmallRefusal } from "./enrol-forms.js";
import { keyStep } from "./enrol-key.js";
import { NotOpened, converse, isAlive, openSession } from "./enrolment.js";
import { load, loadEnrolment, saveEnrolment, unprotect } from "./state.js";
import { byId, element, given, problem, ready, reason, say, show, shown, t, tOr } from "./ui.js";

/** What the steps share. `accessKey`: what was typed in step 3 opens the chip again later, so the vault keeps it. */
const enrolment = { session: null, line: null, step: null, accessKey: null, demo: null };

const STEPS = { 1: keyStep, 2: contactStep, 3: documentStep, 4: chipStep, 5: consentStep, 6: codeStep, 7: confirmationStep };
let waiting = null; // a step that came while a refusal is read
let over = false; // the last word was said

function onMessage(message) {
  if (message.type === "step") return onStep(message);
  if (message.type === "chip_batch") return onBatch(enrolment, message);
  if (message.type === "action") return onAction(message);
  if (message.type === "light") return onLight(message);
  if (message.type === "hint") return onHint(message);
  if (message.type === "queue") return onQueue(message);
  if (message.type === "receipt") return finish(enrolment, message);
  if (message.type === "refused") return onRefused(message);
  throw new Error(`unknown message ${message.type}`);
}

function onStep(message) {
  enrolment.step = message;
  byId("leave").hidden = message.step === 1 || message.step > 6;
  if (message.step !== 4) closeChip();
  if (waiting !== null) waiting = message;
  else STEPS[message.step](enrolment, message);
}

/** Every place is taken: where the person stands in the queue, told again when it changes. */
function onQueue({ position }) {
  byId("leave").hidden = false;
  byId("queue-said").textContent = t("enrolment.js.queue", { count: position });
  if (shown() === "queue") say(byId("queue-said").textContent);
  else show("queue");
}

function onHint({ hint }) {
  const text = tOr(`enrolment.js.hint.${hint}`, "");
  if (enrolment.step?.step !== 5) return hint === "none" ? undefined : chipSays(text);
  byId("hint").textContent = text;
  if (hint !== "none") say(text);
}

function onRefused(message) {
  faceStopped();
  codeRefused(message.reason);
  if (!message.final && onSmallRefusal(message)) return;
  waiting = message.final ? null : {};
  if (message.final) forget();
  showRefusal(reason(message.reason), message);
}

function forget() {
  over = true;
  void saveEnrolment(null);
}

/** A refusal has its own screen: cause, what to do, the ways on. */
function showRefusal({ cause, next, ways = [] }, { final = true, tries_left: tries = null } = {}) {
  byId("refused-cause").textContent = cause;
  byId("refused-next").textContent = next;
  byId("refused-tries").hidden = tries === null;
  if (tries !== null) byId("refused-tries").textContent = t("enrolment.js.tries", { count: tries });
  byId("refused-ways").replaceChildren(...ways.map((way) => element("li", tOr(`enrolment.js.ways.${way}`, way))));
  byId("again").hidden = final;
  byId("restart").hidden = !final;
  byId("restart").href = `/enrol${location.search}`;
  byId("leave").hidden = true;
  show("refused");
}

function onEnded(why) {
  faceStopped();
  byId("line").hidden = true;
  if (why === null || over) return;
  if (why === "taken_over") over = true;
  else forget();
  const moved = { cause: t("enrolment.js.taken_over"), next: t("enrolment.js.taken_over_next") };
  showRefusal(why === "taken_over" ? moved : reason(why));
}

function onConnection(open) {
  byId("line").hidden = open;
  if (!open) say(byId("line").textContent);
}

function begin(session) {
  enrolment.session = session;
  enrolment.line = converse(session, {
    message: onMessage,
    connection: onConnection,
    ended: onEnded,
  });
}

async function start() {
  problem("choose-problem", "");
  byId("start").disabled = true;
  try {
    begin(await openSession(given.origin));
  } catch (error) {
    byId("start").disabled = false;
    if (!(error instanceof NotOpened)) throw error;
    const { cause, next } = reason(error.reason);
    problem("choose-problem", `${cause} ${next}`);
  }
}

function listen() {
  byId("start").addEventListener("click", start);
  byId("office").addEventListener("click", () => showRefusal(reason("office_path")));
  byId("cancel").addEventListener("click", () => enrolment.line.send("cancel"));
  byId("again").addEventListener("click", () => {
    const next = waiting?.step ? waiting : enrolment.step;
    waiting = null;
    STEPS[next.step](enrolment, next);
  });
}

/** Nothing that goes wrong here may leave a person before a dead screen. */
function onFault() {
  faceStopped();
  enrolment.line?.leave();
  if (!over) showRefusal(reason("internal"));
  over = true;
}

/** Enrolling again is allowed: the old identity is replaced when the new one is complete. */
const hasIdentity = async (found) => Boolean(found?.activate) || (await load().catch(() => ({ phone: null }))).phone !== null;

async function main() {
  await ready();
  window.addEventListener("unhandledrejection", onFault);
  listen();
  byId("colours").checked = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  enrolment.demo = await fillCast();
  const found = await loadEnrolment().catch(() => null);
  byId("already").hidden = !(await hasIdentity(found));
  if (isAlive(found)) {
    enrolment.accessKey = found.keys && (await unprotect(found.keys, found.kept));
    return begin(found);
  }
  byId("start").disabled = !(await checkDevice());
}

void main();
