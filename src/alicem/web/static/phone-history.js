/**
 * The history of uses, which is on the phone alone: read, exported, erased.
 */

import { keepHistory, opened } from "./phone-open.js";
import { byId, download, element, moment, once, say, show, t, tOr } from "./ui.js";

/** The list, newest first. */
export function showHistory() {
  const { history } = opened.content;
  for (const one of document.querySelectorAll("[data-history]")) one.hidden = (one.dataset.history === "none") !== (history.length === 0);
  byId("history").replaceChildren(...history.toReversed().map(entry));
  sure(false);
  show("history");
}

function entry({ at, asker, level, claims, outcome }) {
  const item = document.createElement("li");
  const done = outcome === "done";
  item.append(
    element("strong", t("phone.js.history_entry", { asker, level: tOr(`phone.js.levels.${level}`, level) })),
    element("span", t(done ? "phone.js.outcome_done" : "phone.js.outcome_not"), done ? "tag good" : "tag bad"),
    element("small", moment(at)),
    element("small", claims.map((name) => tOr(`phone.js.claims.${name}`, name)).join(", ")),
  );
  return item;
}

function sure(asked) {
  byId("history-sure").hidden = !asked;
  if (asked) byId("history-sure").querySelector("h2").focus();
}

async function eraseHistory() {
  await keepHistory([]);
  showHistory();
  say(t("phone.js.history_erased"));
}

byId("history-export").addEventListener("click", () =>
  download("alicem-history.json", JSON.stringify(opened.content.history, null, 1), "application/json"),
);
byId("history-erase").addEventListener("click", () => sure(true));
byId("history-keep").addEventListener("click", () => sure(false));
byId("history-erase-now").addEventListener("click", () => void once(byId("history-sure"), eraseHistory));
