// What stands beside the views: one record, or one operation.
import { el, icon, refill } from "./dom.js";
import { elsewhere, go } from "./place.js";
import { sentence } from "./say.js";
import { operation } from "./operation.js";
import { record } from "./record.js";

const node = document.getElementById("pane");
let shown = ""; // what is in it
let opener = null; // where the focus goes when it closes
let latest = null;

export async function pane(at, context) {
  const key = JSON.stringify([at.space, at.as_of, at.record, at.op]);
  if (key === shown) return;
  const fresh = shown === "" || node.hidden;
  shown = key;
  latest = [at, context];
  if (!at.record && !at.op) return close();
  if (fresh) opener = document.activeElement;
  node.hidden = false;
  document.body.classList.add("beside");
  await draw(at, context, key);
  if (shown === key) node.querySelector("h2")?.focus({ preventScroll: true });
}

async function draw(at, context, key) {
  let inside;
  try {
    inside = await (at.op ? operation(at, context) : record(at, context));
  } catch (error) {
    inside = el("div", {}, el("h2", { tabindex: -1 }, "Not there"), el("p", {}, sentence(error)));
  }
  if (shown !== key) return; // the person is somewhere else by now
  const top = node.scrollTop;
  const same = node.dataset.key === key;
  node.dataset.key = key;
  refill(node, el("button", { class: "quiet close", "aria-label": "Close", onclick: () => go(elsewhere) }, icon("close")), inside);
  node.scrollTop = same ? top : 0;
}

function close() {
  if (node.hidden) return;
  node.hidden = true;
  node.replaceChildren();
  document.body.classList.remove("beside");
  (opener?.isConnected ? opener : document.getElementById("main")).focus({ preventScroll: true });
}

/** Look again, and keep the focus where it was as far as that is possible. */
async function again() {
  if (node.hidden || !latest) return;
  const had = node.contains(document.activeElement);
  await draw(...latest, shown);
  if (had || document.activeElement === document.body) node.querySelector("h2")?.focus({ preventScroll: true });
}

addEventListener("changed", again);
addEventListener("found", () => { if (!node.querySelector(".parts")) again(); }); // now it can say why
