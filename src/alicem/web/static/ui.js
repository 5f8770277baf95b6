/**
 * What every live page shares: its texts, one screen at a time, the focus, the live region.
 */

const language = document.documentElement.lang;
let texts = {};
let reasons = {};

/** Fetch the texts; every other function here needs them. */
export async function ready() {
  const fetched = [`/text/${language}.json`, `/text/reasons/${language}.json`].map((path) => fetch(path).then((r) => r.json()));
  [texts, reasons] = await Promise.all(fetched);
}

/** @param {string} key Full key, `room.js.key`. @param {Record<string, any>} [values] `count` chooses the plural form. */
export function t(key, values = {}) {
  let text = texts[key];
  if (text === undefined) throw new Error(`no text ${key}`);
  if (typeof text !== "string") text = text[(language === "fr" ? values.count < 2 : values.count === 1) ? "one" : "other"];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** @param {string} key @param {string} fallback For names a newer server may send. */
export const tOr = (key, fallback) => (key in texts ? t(key) : fallback);

/** @param {string} name A row of reasons.toml; an unknown one reads as a fault of ours. @returns {{cause: string, next: string, ways: string[]}} */
export const reason = (name) => reasons[name] ?? reasons.internal;

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** What the page was given: `data-*` of its body. */
export const given = document.body.dataset;

/** Show one screen, put the focus on its heading, say it. @param {string} name */
export function show(name) {
  for (const screen of document.querySelectorAll("[data-screen]")) screen.hidden = screen.dataset.screen !== name;
  const heading = document.querySelector(`[data-screen="${name}"] h1`);
  document.title = `${heading.textContent.trim()} · Alicem`;
  window.scrollTo(0, 0);
  heading.focus({ preventScroll: true });
}

/** Show what is said for one kind of key alone. @param {string} kind */
export function forKey(kind) {
  for (const line of document.querySelectorAll("[data-kind-of-key]")) line.hidden = line.dataset.kindOfKey !== kind;
}

/** @returns {string | undefined} The screen now shown. */
export const shown = () => document.querySelector("[data-screen]:not([hidden])")?.dataset.screen;

/** Say something without moving the focus. @param {string} text */
export function say(text) {
  const live = byId("live");
  if (live.textContent !== text) live.textContent = text;
}

/** A problem beside its field, which takes the focus; empty takes it back. @param {string} id @param {string} text @param {HTMLElement} [field] */
export function problem(id, text, field) {
  byId(id).textContent = text;
  for (const marked of document.querySelectorAll(`[aria-describedby~="${id}"]`)) marked.removeAttribute("aria-invalid");
  if (!field) return;
  field.setAttribute("aria-invalid", "true");
  field.focus();
}

/** @param {string} id @param {string[]} lines @param {string} [kind] */
export function list(id, lines, kind = "") {
  byId(id).replaceChildren(...lines.map((line) => element("li", line, kind)));
}

/** @param {string} tag @param {string} text @param {string} [className] */
export function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Hand a file to the person. @param {string} name @param {string} text @param {string} type */
export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Do not take a second press while the first is at work. @param {HTMLElement} scope @param {() => Promise<void>} work */
export async function once(scope, work) {
  const buttons = [...scope.querySelectorAll("button")].filter((button) => !button.disabled);
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** The next time a form is sent. @param {string} id @returns {Promise<void>} */
export const submitted = (id) =>
  new Promise((resolve) => {
    byId(id).onsubmit = (event) => {
      event.preventDefault();
      resolve();
    };
  });

/** `1988-05-17` in the page's language; zeros stand for what is unknown. @param {string} date */
export function longDate(date) {
  const [year, month, day] = date.split("-").map(Number);
  const parts = { year: "numeric", ...(month && { month: "long" }), ...(month && day && { day: "numeric" }), timeZone: "UTC" };
  return new Date(Date.UTC(year, (month || 1) - 1, day || 1)).toLocaleDateString(locale, parts);
}

const locale = language === "fr" ? "fr-FR" : "en-GB";

/** @param {string} iso @returns {string} In the page's language. */
export const moment = (iso) =>
  new Date(iso).toLocaleString(locale, { dateStyle: "long", timeStyle: "short" });

/** The time of day so many seconds from now, rounded up to its minute. @param {number} seconds */
export const clock = (seconds) =>
  new Date(Math.ceil((Date.now() / 1000 + seconds) / 60) * 60_000).toLocaleTimeString(locale, { timeStyle: "short" });

export { language };
