/**
 * What an instruction that failed says to the person.
 */

import { InstructionRefused, NoAnswer } from "./instruction.js";
import { reason, t } from "./ui.js";

/** @param {Error} error Anything but a refusal or a missing answer is thrown on. @returns {string} */
export function whyNot(error) {
  if (error instanceof NoAnswer) return t("phone.js.no_answer");
  if (!(error instanceof InstructionRefused)) throw error;
  const { cause, next } = reason(error.outcome);
  const tries = error.triesLeft ? t("phone.js.tries", { count: error.triesLeft }) : "";
  const pause = error.pauseSeconds ? t("phone.js.pause", { count: Math.ceil(error.pauseSeconds / 60) }) : "";
  return `${cause} ${pause || tries || next}`;
}
