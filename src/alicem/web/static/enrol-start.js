/**
 * Before anything is asked: whether this device will do, and in the demonstration who stands in front of it.
 */

import { hasCamera } from "./camera.js";
import { carriers } from "./chip.js";
import { persist } from "./state.js";
import { byId, given, language } from "./ui.js";

/** The demonstration's set-up, or null outside it. @typedef {{origin: string, persona: string, wrong: string | null, actor: boolean, person: any}} Demo */

/** @returns {import("./chip.js").Carrier[]} */
export const chipCarriers = () =>
  carriers({
    demoOrigin: given.demoOrigin || null, persona: given.persona || null, wrong: chipWrong(), portrait: given.portrait || null,
  });

const chipWrong = () => (["document", "chip"].includes(given.wrong) ? given.wrong : null);

/** Fill the form that chooses a specimen person, and fetch the chosen one. @returns {Promise<Demo | null>} */
export async function fillCast() {
  if (!given.demoOrigin) return null;
  const people = (await fetchJson("/personas"))?.personas;
  if (!people?.length) return null;
  given.persona ||= people[0].name;
  byId("persona").replaceChildren(
    ...people.map(({ name, shown_name: who, about }) =>
      new Option(`${who} (${about[language]})`, name, false, name === given.persona),
    ),
  );
  byId("cast").hidden = false;
  const person = await fetchJson(`/personas/${encodeURIComponent(given.persona)}`);
  return {
    origin: given.demoOrigin, persona: given.persona, wrong: given.wrong || null, actor: given.camera === "actor", person,
  };
}

const fetchJson = (path) =>
  fetch(given.demoOrigin + path).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

/** Tick what this device has. @returns {Promise<boolean>} Whether everything is there. */
export async function checkDevice() {
  const found = {
    storage: await canStore(),
    camera: given.camera === "actor" || (await hasCamera()),
    chip: chipCarriers().length > 0,
  };
  for (const [name, has] of Object.entries(found)) {
    const line = document.querySelector(`[data-check="${name}"]`);
    line.className = has ? "yes" : "no";
    line.querySelector("small").hidden = has;
  }
  return Object.values(found).every(Boolean);
}

async function canStore() {
  if (!window.isSecureContext || !crypto.subtle || !navigator.locks) return false;
  await persist();
  return new Promise((resolve) => {
    const request = indexedDB.open("alicem-check", 1);
    request.onerror = () => resolve(false);
    request.onsuccess = () => {
      request.result.close();
      indexedDB.deleteDatabase("alicem-check");
      resolve(true);
    };
  });
}
