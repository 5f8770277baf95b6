/**
 * Signing in, on the phone: who asks, from where, what would be sent; then number and code, or a refusal.
 */

import { SigninEnds, approve, checkRequest, fetchRequest, giveUp, goesFurther, refuse } from "./approval.js";
import { canRead, documentScreen } from "./approve-chip.js";
import "./forget.js";
import { AccountClosed } from "./instruction.js";
import { STOPPED, onFault, stopOrExplain } from "./refusals.js";
import { Stopped, readAgain } from "./signin-chip.js";
import { UnknownVersion, load } from "./state.js";
import { byId, forKey, given, list, once, problem, ready, reason, say, show, t, tOr } from "./ui.js";

const REGIONS = { "local network": "local" };
let request = null;

function showRequest() {
  const { asker, browser, region, level, claims } = request;
  byId("asker-title").textContent = t("phone.js.approve_title", { asker });
  byId("asker").textContent = asker;
  byId("browser").textContent = browser === "unknown" ? t("phone.js.regions.unknown") : browser;
  byId("region").textContent = t(`phone.js.regions.${REGIONS[region] ?? "unknown"}`);
  byId("level").textContent = tOr(`phone.js.levels.${level}`, level);
  const names = claims[0].filter(goesFurther).map((name) => tOr(`phone.js.claims.${name}`, name));
  list("claims", names.length > 0 ? names : [t("phone.js.pseudonym")]);
  byId("document-asked").hidden = !request.chip;
  show("asked");
}

/** What this phone can never do is said before anything is typed. @param {string} kind Of its key. */
async function checkReach(kind) {
  if (!request.chip) return;
  if (!given.highest.split(" ").includes(kind)) await giveUp(request);
  if (!canRead()) throw new SigninEnds("no_reader");
}

async function readDocument(about) {
  const stopping = new AbortController();
  const screen = await documentScreen(about.accessKey, () => stopping.abort());
  await readAgain({ request, reference: location.hash.slice(1), ...about }, screen, stopping.signal);
  byId("line").hidden = true;
}

async function onApprove() {
  const [number, code] = [byId("number").value.trim(), byId("code").value];
  if (!/^\d\d$/.test(number)) return problem("approve-problem", t("phone.js.number_missing"), byId("number"));
  if (!/^\d{6}$/.test(code)) return problem("approve-problem", t("phone.js.code_six"), byId("code"));
  problem("approve-problem", "");
  say(t("phone.js.working"));
  try {
    await approve(request, number, code, readDocument);
    show("approved");
  } catch (error) {
    if (error instanceof SigninEnds) showEnd(error.reason);
    else if (error instanceof Stopped) await onRefuse();
    else if (error instanceof AccountClosed) show("none");
    else {
      // A phone that can do nothing more ends the sign-in, so that its browser does not wait for nothing.
      if ([...STOPPED, "too_many_approvals"].includes(error.outcome)) await refuse(request, error.outcome).catch(() => {});
      stopOrExplain(error, "approve-problem", byId("code"));
    }
  } finally {
    byId("code").value = "";
  }
}

/** @param {string} [why] */
async function onRefuse(why) {
  try {
    await refuse(request, why);
    byId("watch-out").hidden = why !== "not_mine";
    show("refused-by-me");
  } catch (error) {
    if (!(error instanceof SigninEnds)) throw error;
    showEnd(error.reason);
  }
}

function showEnd(name) {
  if (name === "no_reader") return ended(t("phone.js.no_reader"), t("phone.js.no_reader_next"));
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
  byId("refuse").addEventListener("click", () => void once(form, () => onRefuse()));
  byId("not-mine").addEventListener("click", () => void once(form, () => onRefuse("not_mine")));
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
    await checkReach(phone.device_key.kind);
    showRequest();
  } catch (error) {
    if (error instanceof SigninEnds) return showEnd(error.reason);
    if (error instanceof UnknownVersion) return show("none");
    ended(t("phone.js.not_right"), t("phone.js.not_right_next"));
  }
}

void main();
