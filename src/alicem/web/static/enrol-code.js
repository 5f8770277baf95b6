/**
 * Steps 6 and 7: the security code, the suspension code, the credential, the receipt, the first use of the code.
 */

import { isTrivial } from "./code.js";
import { b64, unb64 } from "./encoding.js";
import { askAboutPhones, askAboutRenewal, holdsIdentity } from "./enrol-earlier.js";
import { faceStopped } from "./enrol-face.js";
import { activateIfDue } from "./instruction.js";
import { discard } from "./keys.js";
import { isExpected } from "./refusals.js";
import { keep, obtainCredential, openShare, register, verifyReceipt } from "./registration.js";
import { load, persist, protect, saveEnrolment, unprotect } from "./state.js";
import { byId, language, list, problem, say, show, submitted, t, tOr } from "./ui.js";

/**
 * What step 6 has come to. `challenge`: of the step the person answers; `sent`: the answer that left; `issued`: the credential on its way.
 */
const made = { challenge: "", code: "", suspension: "", phones: "replace", renewal: true, sent: null, issued: null };

/** Step 6. Told again after a lost line: what was answered is sent again, what is being asked goes on. */
export async function codeStep(enrolment, step) {
  faceStopped();
  if (made.challenge === step.challenge) return made.sent && enrolment.line.send("code", made.sent);
  const chosen = made.code !== "" && made.suspension === step.suspension_code;
  Object.assign(made, { challenge: step.challenge, suspension: step.suspension_code, sent: null });
  if (!chosen) await choose(enrolment, step);
  await answer(enrolment, step);
}

/** The answer was refused: the next step 6 is another. A renewed document that does not match is not asked about twice. */
export function codeRefused(reason) {
  made.challenge = "";
  if (reason === "renewal_mismatch") made.renewal = false;
}

async function choose(enrolment, { earlier, suspension_code: suspension }) {
  if (earlier) made.phones = await askAboutPhones(earlier);
  made.code = await askCode(enrolment.accessKey?.birth_date);
  byId("suspension-code").textContent = suspension;
  byId("suspension-replaces").hidden = !earlier;
  byId("written").checked = false;
  show("suspension");
  await submitted("suspension-form");
}

/** @returns {Promise<string>} Six digits, typed twice, that are not easy to guess. */
async function askCode(birth) {
  problem("code-problem", "");
  show("code");
  for (;;) {
    await submitted("code-form");
    const [code, again] = ["code-first", "code-again"].map((id) => byId(id).value);
    if (!/^\d{6}$/.test(code)) problem("code-problem", t("enrolment.js.code_six"), byId("code-first"));
    else if (isTrivial(code, birth ? [birth] : [])) problem("code-problem", t("enrolment.js.trivial"), byId("code-first"));
    else if (code !== again) problem("code-problem", t("enrolment.js.codes_differ"), byId("code-again"));
    else {
      for (const id of ["code-first", "code-again"]) byId(id).value = "";
      return code;
    }
  }
}

async function answer({ session, line }, { challenge, earlier }) {
  const registered = register(session, made.code, challenge); // stretched while the person reads
  const asks = !earlier && made.renewal && (await holdsIdentity());
  const renews = asks ? await askAboutRenewal(session, challenge) : null;
  say(t("enrolment.js.checking"));
  const { registration, replyKey, salt } = await registered;
  session.reply = { replyKey, salt };
  await saveEnrolment(session); // the answer can be opened after a reload too
  made.sent = { registration, ...(earlier && { phones: made.phones }), ...(renews && { renews }) };
  line.send("code", made.sent);
}

/** Step 7: fetch the credential, once, however often the step is told. The receipt follows on the line. */
export async function confirmationStep(enrolment, step) {
  show("issuing");
  made.issued ??= issue(enrolment.session, step);
  await made.issued;
}

/** The offer is good once: what came of it is kept over a reload. */
async function issue(session, { share: sealed, credential_offer: offer } = {}) {
  const kept = await unprotect(session.keys, session.issued);
  if (kept) return { ...kept, share: unb64(kept.share) };
  const share = await openShare(sealed, session.reply.replyKey);
  const issued = await obtainCredential(offer, session);
  session.issued = await protect(session.keys, { ...issued, share: b64(share) });
  await saveEnrolment(session);
  return { ...issued, share };
}

/** The receipt: seal everything, then activate with the code. */
export async function finish(enrolment, { receipt, account }) {
  const { session, line, accessKey } = enrolment;
  line.leave(); // nothing of this session is written down after what follows
  made.issued ??= issue(session);
  const { credential, anchor, share } = await made.issued;
  const said = await verifyReceipt(receipt, anchor, session.origin);
  const { held } = await load();
  await keep(session, { salt: session.reply.salt, share, credential, anchor, receipt, account, accessKey, language });
  discard(held);
  enrolment.accessKey = null;
  if (!(await activated())) return location.assign("/phone"); // which asks for the code and goes on
  await showReceipt(said);
}

/** @returns {Promise<boolean>} Not so when the code went with a reload, or the server did not hear. */
async function activated() {
  const { code } = made;
  made.code = "";
  if (!code) return false;
  byId("issuing-said").textContent = t("enrolment.js.activating");
  say(t("enrolment.js.activating"));
  try {
    await activateIfDue(code);
  } catch (error) {
    if (!isExpected(error)) throw error;
    return false;
  }
  return true;
}

/** @param {{checked: any[], erased: any[], kept: string[]}} receipt */
async function showReceipt({ checked, erased, kept }) {
  const named = (family, name) => tOr(`enrolment.js.${family}.${name}`, name);
  list("checked", checked.map(({ name }) => named("check", name)), "yes");
  list("erased", erased.map(({ what }) => named("erased", what)), "yes");
  list("kept", kept.map((what) => named("kept", what)));
  byId("may-forget").hidden = await persist();
  show("done");
}

byId("print").addEventListener("click", () => window.print());
