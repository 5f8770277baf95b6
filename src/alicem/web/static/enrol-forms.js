/**
 * Steps 2 and 3: an address with its code, and what is typed from the document.
 */

import { protect, saveEnrolment } from "./state.js";
import { byId, problem, reason, say, show, t } from "./ui.js";

const SMALL = {
  email_invalid: ["email-problem", "email"],
  email_code_wrong: ["email-code-problem", "email-code"],
  email_code_expired: ["email-problem", "email"],
  mrz_invalid: ["document-problem", "number"],
};
let enrolment = null;
let address = "";

/** A refusal that belongs beside its field. @returns {boolean} Whether it was one. */
export function onSmallRefusal({ reason: name, tries_left: tries }) {
  if (!(name in SMALL)) return false;
  const { cause, next } = reason(name);
  const left = tries ? ` ${t("enrolment.js.tries", { count: tries })}` : "";
  const [place, field] = SMALL[name];
  byId(place).dataset.stays = "yes"; // the step that follows shows the same screen again
  problem(place, `${cause} ${next}${left}`, byId(field));
  return true;
}

/** Take back a problem, unless it was just told. */
function fresh(place) {
  if (byId(place).dataset.stays) delete byId(place).dataset.stays;
  else problem(place, "");
}

/** Step 2. */
export function contactStep(shared, { email_sent: sent }) {
  enrolment = shared;
  fresh(sent ? "email-code-problem" : "email-problem");
  specimen("email", () => (byId("email").value = enrolment.demo.person.email));
  if (sent) byId("email-sent").textContent = t("enrolment.js.sent", { email: address });
  show(sent ? "email-code" : "email");
  if (sent) say(byId("email-sent").textContent);
}

/** Step 3. */
export function documentStep(shared) {
  enrolment = shared;
  fresh("document-problem");
  specimen("document", () => fillDocument(enrolment.demo.person.document));
  show("document");
}

function specimen(name, fill) {
  const button = document.querySelector(`[data-specimen="${name}"]`);
  button.hidden = !enrolment.demo?.person;
  button.onclick = fill;
}

function fillDocument(found) {
  document.querySelector(`[name="kind"][value="${found.kind}"]`).checked = true;
  showPicture(found.kind);
  byId("number").value = found.number;
  fillDate("birth", found.birth_date);
  fillDate("expiry", found.expires);
}

/** @param {string} date `1988-05-17`; zeros for what is unknown. */
function fillDate(id, date) {
  const [year, month, day] = date.split("-").map((part) => (Number(part) ? part : ""));
  for (const [part, value] of Object.entries({ year, month, day })) field(id, part).value = value;
}

const field = (id, part) => byId(id).querySelector(`[data-part="${part}"]`);

/** `YYMMDD`; what is not on the document is `<<` (9303-3 §4.8). @returns {string | null} Null when it is no date. */
function dateOf(id, mayLack) {
  const parts = { year: /^(\d\d)?(\d\d)$/, month: /^()(0?[1-9]|1[0-2])$/, day: /^()(0?[1-9]|[12]\d|3[01])$/ };
  let date = "";
  for (const [part, shape] of Object.entries(parts)) {
    const typed = field(id, part).value.trim();
    const found = shape.exec(typed);
    if (!found && !(mayLack && typed === "")) return null;
    date += found ? found[2].padStart(2, "0") : "<<";
  }
  return date;
}

/** @returns {any} What step 3 sends, or null with the problem shown. */
function typedDocument() {
  const number = byId("number").value.replace(/[\s-]/g, "").toUpperCase();
  const [birth, expiry] = [dateOf("birth", true), dateOf("expiry", false)];
  if (!/^[A-Z0-9]+$/.test(number) || birth === null || expiry === null) {
    problem("document-problem", t("enrolment.js.document_missing"), byId("number"));
    return null;
  }
  const kind = document.querySelector('[name="kind"]:checked').value;
  return { kind, number, birth_date: birth, expiry_date: expiry };
}

function showPicture(kind) {
  for (const picture of document.querySelectorAll("[data-kind]")) picture.hidden = picture.dataset.kind !== kind;
}

function onSubmit(form, send) {
  byId(form).addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
}

onSubmit("email-form", () => {
  address = byId("email").value.trim();
  if (!address) return problem("email-problem", t("enrolment.js.email_missing"), byId("email"));
  enrolment.line.send("contact", { email: address });
});

onSubmit("email-code-form", () => {
  const code = byId("email-code").value.replace(/\s/g, "");
  if (!/^\d{6}$/.test(code)) return problem("email-code-problem", t("enrolment.js.code_six"), byId("email-code"));
  byId("email-code").value = "";
  enrolment.line.send("contact", { code });
});

byId("other-email").addEventListener("click", () => show("email"));

onSubmit("document-form", () => {
  const typed = typedDocument();
  if (typed === null) return;
  problem("document-problem", "");
  const { kind, ...accessKey } = typed;
  void remember(accessKey);
  enrolment.line.sendSealed("mrz", { kind, ...accessKey });
});

async function remember(accessKey) {
  enrolment.accessKey = accessKey;
  enrolment.session.kept = await protect(enrolment.session.keys, accessKey);
  await saveEnrolment(enrolment.session);
}

for (const choice of document.querySelectorAll('[name="kind"]')) {
  choice.addEventListener("change", () => showPicture(choice.value));
}
