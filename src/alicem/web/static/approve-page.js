/**
 * Signing in, on the phone: who asks, from where, what would be sent; then number and code, or a refusal.
 */

import { SigninEnds, approve, checkRequest, fetchRequest, refuse } from "./approval.js";
import "./forget.js";
import { AccountClosed } from "./instruction.js";
import { onFault, stopOrExplain } from "./refusals.js";
import { UnknownVersion, load } from "./state.js";
import { byId, forKey, list, once, problem, ready, reason, say, show, t, tOr } from "./ui.js";

const REGIONS = { "local network": "local" };
let request = null;

function showRequest() {
  const { asker, browser, region, level, claims } = request;
  byId("asker-title").textContent = t("phone.js.approve_title", { asker });
  byId("asker").textContent = asker;
  byId("browser").textContent = browser === "unknown" ? t("phone.js.regions.unknown") : browser;
  byId("region").textContent = t(`phone.js.regions.${REGIONS[region] ?? "unknown"}`);
  byId("level").textContent = tOr(`phone.js.levels.${level}`, level);
  const names = claims[0].map((name) => tOr(`phone.js.claims.${name}`, name));
  list("claims", names.length > 0 ? names : [t("phone.js.pseudonym")]);
  show("asked");
}

async function onApprove() {
  const [number, code] = [byId("number").value.trim(), byId("code").value];
  if (!/^\d\d$/.test(number)) return problem("approve-problem", t("phone.js.number_missing"), byId("number"));
  if (!/^\d{6}$/.test(code)) return problem("approve-problem", t("phone.js.code_six"), byId("code"));
  problem("approve-problem", "");
  say(t("phone.js.working"));
  try {
    await approve(request, number, code);
    show("approved");
  } catch (error) {
    if (error instanceof SigninEnds) showEnd(error.reason);
    else if (error instanceof AccountClosed) show("none");
    else stopOrExplain(error, "approve-problem", byId("code"));
  } finally {
    byId("code").value = "";
  }
}

async function onRefuse(notMine) {
  try {
    await refuse(request, notMine);
    byId("watch-out").hidden = !notMine;
    show("refused-by-me");
  } catch (error) {
    if (!(error instanceof SigninEnds)) throw error;
    showEnd(error.reason);
  }
}

function showEnd(name) {
  const { cause, next } = reason(name);
  ended(cause, next);
}

function ended(cause, next) {
  byId("ended-cause").textContent = cause;
  byId("ended-next").textContent = next;
  show("ended");
}

function listen() {
  const form = byId("approve-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void once(form, onApprove);
  });
  byId("refuse").addEventListener("click", () => void once(form, () => onRefuse(false)));
  byId("not-mine").addEventListener("click", () => void once(form, () => onRefuse(true)));
  document.querySelector(".language").hash = location.hash; // the request is named there
  window.addEventListener("hashchange", () => location.reload()); // another request, scanned into the same page
}

async function main() {
  await ready();
  window.addEventListener("unhandledrejection", onFault);
  listen();
  try {
    const { phone, forgotten } = await load();
    if (phone === null || forgotten) return show(forgotten ? "forgotten" : "none");
    forKey(phone.device_key.kind);
    byId("begun").hidden = !phone.next_salt;
    request = await checkRequest(await fetchRequest(location.hash.slice(1)), phone);
    showRequest();
  } catch (error) {
    if (error instanceof SigninEnds) return showEnd(error.reason);
    if (error instanceof UnknownVersion) return show("none");
    ended(t("phone.js.not_right"), t("phone.js.not_right_next"));
  }
}

void main();
