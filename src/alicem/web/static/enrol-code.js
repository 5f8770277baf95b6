/**
 * Steps 6 and 7: the security code, the suspension code, the credential, the receipt, the first use of the code.
 */

import { isTrivial } from "./code.js";
import { faceStopped } from "./enrol-face.js";
import { InstructionRefused, NoAnswer, instruct } from "./instruction.js";
import { keep, obtainCredential, openShare, register, verifyReceipt } from "./registration.js";
import { saveEnrolment } from "./state.js";
import { byId, language, list, problem, say, show, t, tOr } from "./ui.js";

const made = { code: "", registered: null, credential: null };

/** Step 6: first the code, then the suspension code; the registration leaves when both are done. */
export function codeStep(enrolment, step) {
  faceStopped();
  byId("suspension-code").textContent = step.suspension_code;
  byId("written").checked = false;
  onSubmit("code-form", () => takeCode(enrolment, step));
  onSubmit("suspension-form", () => sendCode(enrolment));
  show("code");
}

function takeCode(enrolment, step) {
  const code = byId("code-first").value;
  const birth = enrolment.accessKey?.birth_date;
  if (!/^\d{6}$/.test(code)) return problem("code-problem", t("enrolment.js.code_six"), byId("code-first"));
  if (isTrivial(code, birth ? [birth] : [])) return problem("code-problem", t("enrolment.js.trivial"), byId("code-first"));
  if (code !== byId("code-again").value) return problem("code-problem", t("enrolment.js.codes_differ"), byId("code-again"));
  problem("code-problem", "");
  clearCodes();
  made.code = code;
  made.registered = register(enrolment.session, code, step.challenge); // stretched while the person writes
  show("suspension");
}

async function sendCode(enrolment) {
  say(t("enrolment.js.checking"));
  const { registration, replyKey, salt } = await made.registered;
  enrolment.session.reply = { replyKey, salt };
  await saveEnrolment(enrolment.session); // the answer can be opened after a reload too
  enrolment.line.send("code", { registration });
}

function clearCodes() {
  for (const id of ["code-first", "code-again"]) byId(id).value = "";
}

/** Step 7: fetch the credential. The receipt follows on the line. */
export async function confirmationStep(enrolment, step) {
  show("issuing");
  const { replyKey, salt } = enrolment.session.reply;
  made.credential = openShare(step.share, replyKey).then(async (share) => {
    const issued = await obtainCredential(step.credential_offer, enrolment.session);
    return { ...issued, share, salt };
  });
  await made.credential;
}

/** The receipt: seal everything, then activate with the code. */
export async function finish(enrolment, { receipt, account }) {
  const { credential, anchor, share, salt } = await made.credential;
  const said = await verifyReceipt(receipt, anchor, enrolment.session.origin);
  await keep(enrolment.session, {
    salt, share, credential, anchor, receipt, account, accessKey: enrolment.accessKey, language,
  });
  const { code } = made;
  if (!code) return unfinished(); // reloaded since the code was chosen: the phone page asks for it
  Object.assign(made, { code: "", registered: null, credential: null });
  enrolment.accessKey = null;
  byId("issuing-said").textContent = t("enrolment.js.activating");
  try {
    await activate(receipt, code);
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof InstructionRefused)) throw error;
    return unfinished(); // the phone page takes it from here
  }
  showReceipt(said);
}

/** @param {string} receipt @param {string} code */
async function activate(receipt, code) {
  await instruct("activate", receipt, code);
  await saveEnrolment(null);
}

/** Enrolled, but not activated yet: the phone page asks for the code. */
function unfinished() {
  location.assign("/phone");
}

/** @param {{checked: any[], erased: any[], kept: string[]}} receipt */
function showReceipt({ checked, erased, kept }) {
  const named = (family, name) => tOr(`enrolment.js.${family}.${name}`, name);
  list("checked", checked.map(({ name }) => named("check", name)), "yes");
  list("erased", erased.map(({ what }) => named("erased", what)), "yes");
  list("kept", kept.map((what) => named("kept", what)));
  show("done");
}

function onSubmit(form, work) {
  byId(form).onsubmit = (event) => {
    event.preventDefault();
    void work();
  };
}

byId("print").addEventListener("click", () => window.print());
