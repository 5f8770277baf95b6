/**
 * The end of step 1: the device key, of the strongest kind this device has. Where it asks its owner, the page says so first.
 */

import { discard, make, strongest } from "./keys.js";
import { KeyRefused, NoPrf } from "./passkey.js";
import { byId, forKey, language, once, problem, say, show, t } from "./ui.js";

const chosen = { kind: null, made: null };

/** Step 1 begins, or begins again after a lost line: a key that was made is shown once more. */
export async function keyStep(enrolment) {
  chosen.kind ??= await strongest();
  if (chosen.kind === "webcrypto") return introduce(enrolment);
  forKey(chosen.kind);
  byId("make-key").onclick = () => void once(byId("key-actions"), () => tried(enrolment));
  byId("no-key").onclick = () => void once(byId("key-actions"), () => without(enrolment));
  show("key");
}

async function introduce(enrolment) {
  chosen.made ??= await make(chosen.kind);
  await enrolment.line.choose({ path: "face", language }, chosen.made);
}

async function tried(enrolment) {
  problem("key-problem", "");
  say(t("enrolment.js.key_prompt"));
  try {
    await introduce(enrolment);
  } catch (error) {
    if (!(error instanceof KeyRefused)) throw error;
    refused(error);
  }
}

/** One sentence, and the way on without such a key. */
function refused(error) {
  const impossible = error instanceof NoPrf;
  if (impossible) chosen.made = null;
  problem("key-problem", t(impossible ? "enrolment.js.key_impossible" : "enrolment.js.key_declined"));
  byId("make-key").textContent = t("enrolment.js.key_again");
  byId("make-key").hidden = impossible;
  byId("make-key").classList.add("secondary");
  byId("no-key").classList.remove("secondary");
}

async function without(enrolment) {
  if (chosen.made) discard({ ...chosen.made.keys, ...chosen.made.keys.handle });
  Object.assign(chosen, { kind: "webcrypto", made: null });
  await introduce(enrolment);
}
