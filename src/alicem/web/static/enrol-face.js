/**
 * Step 5: consent, then the camera and the movements asked one at a time.
 */

import { NoCamera, announce, describe, openActor, openCamera, takeEyes, takePictures } from "./camera.js";
import { bigEndian, concat } from "./encoding.js";
import { byId, problem, say, show, t } from "./ui.js";

const PICTURES = ["none", "smile", "turn_left", "turn_right", "blink"];
let camera = null;
let stopPictures = () => {};
let stopEyes = () => {};
let sendPicture = async () => {};

/** Step 5 begins: nothing happens before the person agrees. */
export function consentStep(enrolment, { consent_version: version, tries_left: tries, colours = "off" }) {
  faceStopped();
  problem("consent-problem", "");
  byId("hint").textContent = "";
  byId("face-tries").textContent = tries === undefined ? "" : t("enrolment.js.tries", { count: tries });
  byId("colours-choice").hidden = colours !== "offered";
  byId("colours-required").hidden = colours !== "required";
  if (colours === "required") byId("colours").checked = true;
  byId("agree").onclick = () => void agree(enrolment, version);
  byId("disagree").onclick = () => enrolment.line.send("consent", { biometrics: false, consent_version: version });
  show("consent");
}

async function agree(enrolment, version) {
  byId("agree").disabled = true;
  say(t("enrolment.js.camera_opens"));
  try {
    camera = enrolment.demo?.actor ? await openActor(enrolment.demo) : await openCamera();
  } catch (error) {
    if (!(error instanceof NoCamera)) throw error;
    return problem("consent-problem", t(error.denied ? "enrolment.js.camera_denied" : "enrolment.js.camera_none"));
  } finally {
    byId("agree").disabled = false;
  }
  byId("video").srcObject = camera.stream;
  show("face");
  await byId("video").play();
  // The clock of a try starts with the consent: it is sent once there is something to see.
  enrolment.line.send("consent", { biometrics: true, consent_version: version, ...chosen() });
  enrolment.line.sendSealed("camera", await describe(camera.stream));
  sendPicture = async (kind, at, jpeg) => {
    if (enrolment.line.ready()) await enrolment.line.sendSealed(kind, concat(bigEndian(Math.round(at), 8), jpeg));
  };
  stopPictures = takePictures(byId("video"), (at, jpeg) => sendPicture("frame", at, jpeg));
}

/** What the person said beforehand: a movement to leave out, whether the screen may change its colour. */
const chosen = () => ({
  without: document.querySelector("[name=without]:checked").value || null,
  colours: byId("colours").checked,
});

/** Do this now. */
export function onAction(message) {
  const { action, index, of, eyes } = message;
  announce("action", message);
  stopEyes();
  stopEyes = eyes ? takeEyes(byId("video"), eyes, (at, jpeg) => sendPicture("eyes", at, jpeg)) : () => {};
  byId("action-picture").src = `/static/pictures/${PICTURES.includes(action) ? action : "none"}.svg`;
  byId("action").textContent = t(`enrolment.js.action.${action}`);
  say(byId("action").textContent);
  byId("action-count").textContent = action === "none" ? "" : t("enrolment.js.count", { index: index + 1, of });
}

/** The screen takes a colour, or its own again. */
export function onLight({ colour }) {
  announce("light", { colour });
  const lit = /^#[0-9a-f]{6}$/.test(colour);
  document.body.classList.toggle("lit", lit);
  document.body.style.setProperty("--lamp", lit ? colour : "");
  byId("action").textContent = t(lit ? "enrolment.js.colours" : "enrolment.js.action.none");
  say(byId("action").textContent);
}

/** The step is over, one way or the other: the camera goes off. */
export function faceStopped() {
  stopPictures();
  stopEyes();
  onLight({ colour: "none" });
  camera?.stop();
  byId("video").srcObject = null;
  stopPictures = stopEyes = () => {};
  camera = null;
}
