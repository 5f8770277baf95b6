/**
 * The document on the phone at a sign-in: asked for, read, or given up.
 */

import { carriers } from "./chip.js";
import { byId, given, problem, reason, say, show, shown, t, tOr } from "./ui.js";

const persona = () => byId("persona")?.value || null;
const wrong = () => byId("wrong")?.value || null;

/** @returns {import("./chip.js").Carrier[]} */
const carriersHere = () => carriers({ demoOrigin: given.demoOrigin || null, persona: persona(), wrong: wrong(), portrait: null });

/** Whether this device can read a document at all; in the demonstration there is always one to choose. */
export const canRead = () => Boolean(given.demoOrigin) || carriersHere().length > 0;

/** In the demonstration: whose document lies on the phone. @param {string | undefined} number Of the document this identity was made with. */
async function fillCast(number) {
  if (!byId("persona") || byId("persona").options.length > 0) return;
  const people = (await fetchJson("/personas"))?.personas ?? [];
  byId("persona").replaceChildren(...people.map(({ name, shown_name: who }) => new Option(who, name)));
  const details = await Promise.all(people.map(({ name }) => fetchJson(`/personas/${encodeURIComponent(name)}`)));
  const own = details.find((one) => one?.document?.number === number);
  if (own) byId("persona").value = own.name;
}

const fetchJson = (path) =>
  fetch(given.demoOrigin + path).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

/**
 * The screen of one reading. @param {any} accessKey @param {() => void} stop What a press on "do not go on" does.
 * @returns {Promise<import("./signin-chip.js").Screen>}
 */
export async function documentScreen(accessKey, stop) {
  await fillCast(accessKey.number);
  byId("stop-reading").onclick = stop;
  let tenth = 0;
  function progress(fraction) {
    byId("chip-progress").value = fraction;
    byId("chip-said").textContent = t("enrolment.js.reading", { percent: Math.round(fraction * 100) });
    if (Math.floor(fraction * 10) !== tenth) say(byId("chip-said").textContent); // a screen reader hears tenths
    tenth = Math.floor(fraction * 10);
  }
  return {
    lay: async (from) => {
      reading(false);
      if (from > 0) byId("read-chip").textContent = t("enrolment.js.chip_again");
      if (shown() !== "chip") show("chip");
      await new Promise((resolve) => (byId("read-chip").onclick = resolve));
      problem("chip-problem", "");
      reading(true);
      progress(from);
      return carriersHere()[0].open();
    },
    lost: () => problem("chip-problem", t("enrolment.js.lost")),
    progress,
    hint: (name) => {
      byId("chip-said").textContent = tOr(`enrolment.js.hint.${name}`, "");
      say(byId("chip-said").textContent);
    },
    queue: (position) => say(t("enrolment.js.queue", { count: position })),
    refused: (name) => {
      const { cause, next } = reason(name);
      problem("chip-problem", `${cause} ${next}`);
    },
    line: (open) => (byId("line").hidden = open),
  };
}

function reading(now) {
  byId("read-chip").hidden = now;
  byId("reading").hidden = !now;
  if (byId("cast")) byId("cast").hidden = now;
}
