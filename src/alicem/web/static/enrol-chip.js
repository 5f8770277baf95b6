/**
 * Step 4: the chip answers through this page; the server leads.
 */

import { ChipLost, PictureGone } from "./chip.js";
import { chipCarriers } from "./enrol-start.js";
import { batchOf, firstContact, run } from "./relay.js";
import { byId, problem, say, show, shown, t } from "./ui.js";

let chip = null;
let told = 0; // the last tenth of progress that was said

/** Step 4 begins, or begins again after the chip was lost. */
export function chipStep(enrolment, { resume_at: from = 0 }) {
  closeChip();
  const simulated = chipCarriers()[0]?.name === "specimen";
  if (simulated) byId("chip-lead").textContent = t("enrolment.js.specimen_chip");
  byId("chip-advice").hidden = simulated;
  byId("reading").hidden = from === 0;
  byId("chip-progress").value = from;
  byId("read-chip").hidden = false;
  byId("read-chip").onclick = () => void read(enrolment);
  if (from > 0) byId("read-chip").textContent = t("enrolment.js.chip_again");
  if (shown() !== "chip") show("chip");
}

async function read(enrolment) {
  problem("chip-problem", "");
  byId("read-chip").hidden = true;
  byId("reading").hidden = false;
  progress(byId("chip-progress").value);
  try {
    chip = await chipCarriers()[0].open();
    enrolment.line.sendSealed("chip_found", { answers: await firstContact(chip) });
  } catch (error) {
    if (!(error instanceof ChipLost)) throw error;
    closeChip();
    unread(error);
  }
}

/** A batch of commands from the server. */
export async function onBatch(enrolment, message) {
  const [from, to] = message.progress ?? [message.fraction ?? 0, message.fraction ?? 0];
  const commands = batchOf(message);
  const answers = [];
  try {
    if (chip === null) throw new ChipLost("no chip");
    await run(chip, commands, (done, of) => progress(from + ((to - from) * done) / of), answers);
    enrolment.line.sendSealed("chip_answers", { answers });
  } catch (error) {
    if (!(error instanceof ChipLost)) throw error;
    problem("chip-problem", t("enrolment.js.lost"));
    if (answers.length > 0) enrolment.line.sendSealed("chip_lost", { answers });
    else enrolment.line.send("chip_lost");
  }
}

/** Lay it down again; or, where the demonstration's chip has lost the visitor's picture, take another. */
function unread(error) {
  const gone = error instanceof PictureGone;
  problem("chip-problem", t(gone ? "enrolment.js.picture_gone" : "enrolment.js.lost"));
  byId("reading").hidden = gone;
  byId("read-chip").hidden = gone;
  if (gone) byId("new-portrait").hidden = false;
}

function progress(fraction) {
  byId("chip-progress").value = fraction;
  const text = t("enrolment.js.reading", { percent: Math.round(fraction * 100) });
  byId("chip-said").textContent = text;
  const tenth = Math.floor(fraction * 10);
  if (tenth !== told) say(text); // a screen reader hears tenths, not every command
  told = tenth;
}

/** What the server does once the chip was read. @param {string} text */
export function chipSays(text) {
  byId("chip-said").textContent = text;
  say(text);
}

/** The document may be put away. */
export function closeChip() {
  chip?.close();
  chip = null;
}
