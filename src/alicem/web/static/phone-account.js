/**
 * The account, governed from the open phone: another suspension code, the other phones, suspension, deletion.
 */

import { random } from "./encoding.js";
import { AccountClosed, instruct } from "./instruction.js";
import { close, opened, order } from "./phone-open.js";
import { stopOrExplain } from "./refusals.js";
import { verifyReceipt } from "./registration.js";
import { erase, load } from "./state.js";
import { byId, download, list, once, problem, say, show, t, tOr } from "./ui.js";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's: no letter that is read as another
const LENGTH = 20;
let drawn = "";

/** @returns {string} A suspension code, 100 bits. */
export const drawSuspensionCode = () => Array.from(random(LENGTH), (byte) => ALPHABET[byte & 31]).join("");

/** The screens of what is asked here. */
export const SCREENS = {
  suspension: () => {
    drawn = drawSuspensionCode();
    byId("suspension-code").textContent = drawn.match(/.{4}/g).join(" ");
    byId("written").checked = false;
    enter("suspension");
  },
  others: () => {
    byId("others-said").textContent = t("phone.js.others", { count: opened.phones - 1 });
    enter("others");
  },
  suspend: () => enter("suspend"),
  delete: () => {
    byId("delete-code-field").hidden = opened.code !== ""; // a suspended identity is not open
    enter("delete");
  },
};

function enter(name) {
  problem(`${name}-problem`, "");
  show(name);
}

/** @param {{home: (said: string) => void, gone: () => void}} ways Where the page goes on. */
export function listenForAccount({ home, gone }) {
  on("suspension", gone, async () => {
    await order("suspension_code", `alicem suspension v1${drawn}`);
    drawn = "";
    home(t("phone.js.suspension_new"));
  });
  on("others", gone, async () => {
    await order("remove_others", "remove_others");
    opened.phones = 1;
    home(t("phone.js.others_removed"));
  });
  on("suspend", gone, async () => {
    await order("suspend", "suspend");
    close();
    show("suspended");
  });
  on("delete", gone, closeAccount);
  byId("print").addEventListener("click", () => window.print());
}

/** A form of one question: its work, and what is said when it fails. */
function on(name, gone, work) {
  const form = byId(`${name}-form`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void once(form, async () => {
      problem(`${name}-problem`, "");
      say(t("phone.js.working"));
      await work().catch((error) => (error instanceof AccountClosed ? gone() : stopOrExplain(error, `${name}-problem`)));
    });
  });
}

async function closeAccount() {
  const code = opened.code || byId("delete-code").value;
  byId("delete-code").value = "";
  if (!/^\d{6}$/.test(code)) return problem("delete-problem", t("phone.js.code_six"), byId("delete-code"));
  const { receipt } = await instruct("close", "close", code);
  const { phone } = await load();
  close();
  await erase();
  // Whatever the receipt is worth, the server has said that all is erased.
  const said = await verifyReceipt(receipt, phone.anchor, phone.origin).catch(() => null);
  byId("closing").hidden = said === null;
  list("erased", (said?.erased ?? []).map(({ what }) => tOr(`enrolment.js.kept.${what}`, what)), "yes");
  byId("receipt-download").onclick = () => download("alicem-receipt.jwt", receipt, "application/jwt");
  show("erased");
}
