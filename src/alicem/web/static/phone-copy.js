/**
 * A copy of the identity for a wallet of another maker, where this service gives any (docs/protocols/credential.md, *Other wallets*).
 */

import { b64, random } from "./encoding.js";
import { AccountClosed, InstructionRefused, NoAnswer } from "./instruction.js";
import { opened, order } from "./phone-open.js";
import { stopOrExplain } from "./refusals.js";
import { parse, present } from "./sdjwt.js";
import { load } from "./state.js";
import { byId, once, problem, say, show, t } from "./ui.js";

const NOT_COPIED = ["chip_key"];

export function showCopy() {
  problem("copy-problem", "");
  ready("");
  show("copy");
}

/** @param {{gone: () => void}} ways Where the page goes on. */
export function listenForCopy({ gone }) {
  const form = byId("copy-form");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    void once(form, async () => {
      problem("copy-problem", "");
      say(t("phone.js.working"));
      await offered()
        .then(ready)
        .catch((error) => (error instanceof AccountClosed ? gone() : stopOrExplain(error, "copy-problem")));
    });
  });
}

/** @param {string} link The offer for the wallet; empty: none yet. */
function ready(link) {
  byId("copy-form").hidden = link !== "";
  byId("copy-ready").hidden = link === "";
  byId("copy-link").href = link;
  if (link) byId("copy-link").focus();
}

/** Order a copy with the code. @returns {Promise<string>} A link that wallets open. Raises as `instruct`. */
async function offered() {
  const nonce = b64(random(16));
  const { unlocked } = await order("copy", `copy.${nonce}`);
  const { phone } = await load();
  const names = parse(opened.content.credential).disclosures.map(({ name }) => name);
  const presentation = await present(opened.content.credential, names.filter((name) => !NOT_COPIED.includes(name)), {
    nonce, audience: phone.origin, transactionData: [], sign: unlocked.sign,
  });
  const told = await post({ nonce, presentation });
  return `openid-credential-offer://?credential_offer=${encodeURIComponent(JSON.stringify(told.credential_offer))}`;
}

async function post(body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/phone/copy", { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  if (response === null) throw new NoAnswer();
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new InstructionRefused({ outcome: said.outcome ?? "internal" });
  return said;
}
