/**
 * Step 6, for a document or a browser that has an identity already: what becomes of the earlier phones, and whether a renewed document
 * continues the identity held here (enrolment.md, step 6).
 */

import { instruct } from "./instruction.js";
import { explain } from "./refusals.js";
import { parse, present } from "./sdjwt.js";
import { load, openVault, vaultKey } from "./state.js";
import { byId, forKey, once, problem, say, show, submitted, t } from "./ui.js";

/** What the State's new record must agree in. */
const SAME_PERSON = ["birth_family_name", "given_name", "birthdate", "birthplace_cog", "birthcountry_cog"];

/**
 * The document has an account already: say so, and ask what becomes of its phones.
 * @param {{state: string, phones: number, may_keep: boolean}} earlier @returns {Promise<"replace" | "keep">}
 */
export async function askAboutPhones({ state, phones, may_keep: mayKeep }) {
  for (const line of document.querySelectorAll("[data-earlier]")) line.hidden = line.dataset.earlier !== state;
  byId("earlier-choice").hidden = !mayKeep;
  byId("keep-phones").textContent = t("enrolment.js.keep_phones", { count: phones });
  show("earlier");
  await submitted("earlier-form");
  return mayKeep && document.querySelector("[name=phones]:checked").value === "keep" ? "keep" : "replace";
}

/** @returns {Promise<boolean>} Whether this browser holds an identity that a renewed document could continue. */
export async function holdsIdentity() {
  const { phone, vault, forgotten } = await load();
  return phone !== null && vault !== null && !forgotten;
}

/**
 * Ask whether this is the renewed document of the identity held here; if so, with the code of today.
 * @param {import("./enrolment.js").Session} session @param {string} challenge Of step 6.
 * @returns {Promise<string | null>} The presentation that `code` carries, or null: an account of its own.
 */
export async function askAboutRenewal(session, challenge) {
  forKey((await load()).phone.device_key.kind); // that of the earlier identity, not the one just made
  show("renewed");
  return new Promise((resolve) => {
    byId("renewed-not").onclick = () => resolve(null);
    byId("renewed-form").onsubmit = (event) => {
      event.preventDefault();
      void once(byId("renewed-form"), async () => {
        const renews = await renewal(session, challenge);
        if (renews) resolve(renews);
      });
    };
  });
}

/** @returns {Promise<string | null>} Null when it was not done; the person has read why. */
async function renewal(session, challenge) {
  const code = byId("renewed-code").value;
  if (!/^\d{6}$/.test(code)) return problem("renewed-problem", t("enrolment.js.code_six"), byId("renewed-code"));
  problem("renewed-problem", "");
  say(t("enrolment.js.checking"));
  try {
    return await presentation(session, challenge, code);
  } catch (error) {
    explain(error, "renewed-problem", byId("renewed-code"));
    return null;
  } finally {
    byId("renewed-code").value = "";
  }
}

async function presentation(session, challenge, code) {
  const { share, unlocked } = await instruct("renew", `renew.${session.session}`, code);
  const { vault } = await load();
  const { credential } = await openVault(await vaultKey(unlocked, share), vault);
  const held = parse(credential).disclosures.map(({ name }) => name);
  return present(credential, SAME_PERSON.filter((name) => held.includes(name)), {
    nonce: challenge, audience: session.origin, transactionData: [], sign: unlocked.sign,
  });
}
