/**
 * Erase what is left here of an identity that can no longer be used, in two taps.
 */

import { erase } from "./state.js";
import { byId, once, show } from "./ui.js";

for (const way of document.querySelectorAll("[data-forget]")) way.addEventListener("click", () => show("forget"));
byId("forget-not").addEventListener("click", () => location.reload());
byId("forget-now").addEventListener("click", () =>
  void once(byId("forget-actions"), async () => {
    await erase();
    location.assign("/phone");
  }),
);
