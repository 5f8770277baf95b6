/**
 * What an instruction that failed says to the person: beside its field, with what is left, or on the screen of a phone that stopped.
 */

import { InstructionRefused, NoAnswer, TooLate, UnknownPhone } from "./instruction.js";
import { KeyRefused } from "./passkey.js";
import { VaultLost } from "./state.js";
import { byId, clock, element, problem, reason, say, show, t } from "./ui.js";

/** Outcomes after which this phone does nothing more: the person enrols again. */
export const STOPPED = ["account_locked", "account_suspended", "clone_suspected"];
let counting = 0;

/** @param {any} error @returns {boolean} Whether it is one of the ways an instruction ends, and no fault of the page. */
export const isExpected = (error) =>
  [InstructionRefused, NoAnswer, TooLate, UnknownPhone, KeyRefused, VaultLost].some((kind) => error instanceof kind);

/** Say it beside its field. Anything unexpected is thrown on. @param {any} error @param {string} place @param {HTMLElement} [field] */
export function explain(error, place, field) {
  if (!isExpected(error)) throw error;
  problem(place, sentence(error), error instanceof InstructionRefused ? field : undefined);
  if (error.pauseSeconds) countDown(place, error.pauseSeconds);
}

/** As `explain`; but a phone that can do nothing more says so on a screen of its own. */
export function stopOrExplain(error, place, field) {
  if (error instanceof UnknownPhone) show("stranger");
  else if (error instanceof VaultLost) show("forgotten");
  else if (STOPPED.includes(error.outcome)) stopped(error.outcome);
  else explain(error, place, field);
}

/** A fault of the page is said where the person is looking. */
export function onFault() {
  const { cause, next } = reason("internal");
  const place = document.querySelector("[data-screen]:not([hidden]) .problem");
  if (place) place.textContent = `${cause} ${next}`;
}

function stopped(outcome) {
  const { cause, next } = reason(outcome);
  byId("stopped-cause").textContent = cause;
  byId("stopped-next").textContent = next;
  const leave = byId("stopped-delete"); // a suspended account can still be closed by its owner; a locked one needs document and face first
  if (leave) leave.hidden = outcome === "account_locked";
  show("stopped");
}

function sentence(error) {
  if (error instanceof NoAnswer) return t(error.limited ? "phone.js.limited" : "phone.js.no_answer");
  if (error instanceof TooLate) return t("phone.js.too_late");
  if (error instanceof KeyRefused) return t("phone.js.key_refused");
  if (error instanceof UnknownPhone) return t("phone.js.stranger");
  if (error instanceof VaultLost) return t("phone.js.vault_lost");
  const { cause, next } = reason(error.outcome);
  if (error.pauseSeconds) return `${cause} ${t("phone.js.pause", { time: clock(error.pauseSeconds) })}`;
  return `${cause} ${error.triesLeft ? t("phone.js.tries", { count: error.triesLeft }) : next}`;
}

/** The pause, second by second, for whoever looks; a screen reader hears its end. */
function countDown(place, seconds) {
  const over = performance.now() + seconds * 1000;
  document.querySelector(".countdown")?.remove();
  const line = element("p", "", "countdown");
  line.setAttribute("aria-hidden", "true");
  byId(place).after(line);
  clearInterval(counting);
  const tell = () => {
    const left = Math.max(0, Math.ceil((over - performance.now()) / 1000));
    line.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (left > 0) return;
    clearInterval(counting);
    line.remove();
    problem(place, t("phone.js.pause_over"));
    say(t("phone.js.pause_over"));
  };
  counting = setInterval(tell, 500);
  tell();
}
