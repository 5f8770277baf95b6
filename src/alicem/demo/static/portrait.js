/**
 * The visitor's own portrait: look at the camera, take a picture, see it, take another or use it.
 * A picture leaves the page when "use it" is pressed, and goes to the demonstration's own process alone.
 */

import { NoCamera, drawCentred, jpegOf, openCamera } from "./camera.js";
import { byId, given, say } from "./ui.js";

const BUTTONS = { closed: ["open"], live: ["take"], still: ["use", "again"], refused: ["again"] };
const still = byId("still");
const pen = still.getContext("2d", { alpha: false });
let camera = null;
let busy = false;

const text = (name) => document.querySelector(`[data-text="${name}"]`)?.textContent;

/** Put the page in one of its four states and the focus on what is done next. @param {keyof typeof BUTTONS} state */
function become(state) {
  byId("frame").hidden = state === "closed";
  byId("video").hidden = state !== "live";
  document.querySelector(".guide").hidden = state !== "live";
  still.hidden = !["still", "refused"].includes(state);
  for (const name of Object.values(BUTTONS).flat()) byId(name).hidden = !BUTTONS[state].includes(name);
  for (const name of ["use", "again"]) byId(name).classList.toggle("secondary", name !== BUTTONS[state][0]);
  byId(BUTTONS[state][0]).focus({ preventScroll: true });
  document.querySelector(".actions").scrollIntoView({ block: "nearest" }); // what was just said is above it
}

const problem = (name) => {
  byId("problem").textContent = name === null ? "" : text(name);
};

async function open() {
  problem(null);
  try {
    camera = await openCamera();
  } catch (error) {
    if (!(error instanceof NoCamera)) throw error;
    return problem(error.denied ? "denied" : "none");
  }
  camera.stream.getVideoTracks()[0].addEventListener("ended", lost);
  byId("video").srcObject = camera.stream;
  await live();
}

/** Unplugged, or taken back by the person. */
function lost() {
  camera = null;
  say("");
  become("closed");
  problem("none");
}

async function live() {
  problem(null);
  await byId("video").play();
  become("live");
  say(text("ready"));
}

function take() {
  drawCentred(pen, byId("video"));
  become("still");
  say(text("taken"));
}

async function use() {
  say(text("checking"));
  const answer = await sent(await jpegOf(still));
  say("");
  if (answer.token === undefined) {
    become("refused");
    return problem(text(`refused.${answer.error}`) === undefined ? "refused.failed" : `refused.${answer.error}`);
  }
  camera?.stop();
  const next = new URL(given.enrol);
  next.searchParams.set("portrait", answer.token);
  location.assign(next);
}

/** @param {Uint8Array} jpeg @returns {Promise<{token?: string, error?: string}>} */
const sent = (jpeg) =>
  fetch("/portraits", { method: "POST", headers: { "Content-Type": "image/jpeg" }, body: jpeg })
    .then((answer) => answer.json())
    .catch(() => ({ error: "failed" }));

const WORK = { open, take, use, again: () => (camera === null ? open() : live()) };
for (const [name, work] of Object.entries(WORK)) {
  byId(name).addEventListener("click", async () => {
    if (busy) return;
    busy = true;
    await Promise.resolve(work()).finally(() => (busy = false));
  });
}
byId("open").disabled = false; // not before somebody listens
