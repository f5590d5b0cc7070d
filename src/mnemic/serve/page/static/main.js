// The page starts here: navigation, views, the pane beside them, and what holds for all of them.
import * as api from "./api.js";
import { spaceMenu, tokenDialog } from "./access.js";
import { el, icon, refill } from "./dom.js";
import { go, hrefOf, place, elsewhere } from "./place.js";
import { pane } from "./pane.js";
import { calmed, sentence, when, wrong } from "./say.js";
import { memories } from "./memories.js";
import { dropping } from "./drop.js";

const NAMES = { memories: "Memories", timeline: "Timeline", audit: "Audit", sizes: "Sizes", add: "Add" };
const views = { // those that do not open first are loaded when somebody asks for them
  memories: async () => memories,
  timeline: async () => (await import("./timeline.js")).timeline,
  audit: async () => (await import("./audit.js")).audit,
  sizes: async () => (await import("./sizes.js")).sizes,
  add: async () => (await import("./adding.js")).adding,
};
const main = document.getElementById("main");
let shown = {}; // the place that the page shows now
let leave = null; // what the view that is shown wants done before it goes
let known = null; // the spaces of this person

/** The spaces that this person may read, asked for once. */
async function spacesOf() {
  known ??= (await api.spaces()).items;
  return known;
}

async function arrive() {
  const at = place();
  const same = ["view", "space", "as_of"].every((name) => at[name] === shown[name]);
  const before = shown;
  shown = at;
  navigation(at);
  if (!same) {
    calmed();
    await view(at, before);
  } else leave?.moved?.(at);
  if (shown === at) pane(at, context(at));
}

/** What views and pane need to know: the routes of the space, and what may be done there. */
function context(at) {
  const found = (known ?? []).find((each) => each.space === at.space);
  const rights = found ? found.rights : everywhere(known ?? []);
  return { api: api.inSpace(at.space), writable: rights.includes("write") && !at.as_of,
    administers: rights.includes("administer") && !at.as_of, records: found?.records ?? null };
}

/** Who may all in each space may also begin a new one; the server has the last word. */
const everywhere = (all) => (all.every(({ rights }) => rights.includes("administer")) ? ["read", "write", "administer"] : ["read"]);

/** In a space that is not there, or not for this person, while there are others: in one that nobody asked for. */
const lost = ({ space }) => known.length > 0 && !known.some((each) => each.space === space)
  && (!location.hash.includes("space=") || everywhere(known).length === 1);

async function view(at, before) {
  leave?.away?.();
  leave = null;
  main.setAttribute("aria-busy", "true");
  try {
    const [draw] = await Promise.all([views[at.view](), spacesOf()]);
    if (shown !== at) return; // the person is somewhere else by now
    if (lost(at)) return go({ ...only(at), view: at.view, space: known[0].space, as_of: null }, { replace: true });
    spaceMenu(document.getElementById("space"), known, at.space);
    const made = draw(at, context(at));
    leave = made;
    refill(main, past(at), made.node);
    made.shown?.();
  } catch (error) {
    refill(main, el("div", { class: "empty" }, el("h1", {}, "This did not work"), el("p", {}, sentence(error)),
      el("button", { onclick: again }, "Try again")));
    if (error.status === undefined) throw error;
  }
  main.removeAttribute("aria-busy");
  document.title = `${NAMES[at.view]} · ${at.space} · mnemic`;
  if (before.view && before.view !== at.view) main.focus({ preventScroll: true });
}

/** A person who looks at an earlier moment must not take it for now. */
function past(at) {
  if (!at.as_of) return null;
  const [word, n] = at.as_of.split(":");
  const moment = word === "operation" ? `after operation ${n}` : `at ${when(at.as_of)}`;
  return el("p", { class: "past" }, el("span", {}, `You see the memory as it was ${moment}. Nothing can be changed there.`),
    el("a", { class: "button", href: hrefOf({ as_of: null }) }, "Back to now"));
}

function navigation(at) {
  const links = Object.entries(NAMES).map(([name, title]) =>
    el("a", { href: hrefOf({ ...only(at), view: name }), "aria-current": name === at.view ? "page" : null }, icon(name), el("span", {}, title)));
  refill(document.getElementById("nav"), links);
}

/** Another view keeps space and moment, and lets go of the rest. */
const only = (at) => ({ ...Object.fromEntries(Object.keys(at).map((name) => [name, null])), space: at.space, as_of: at.as_of });

function again() {
  known = null;
  shown = {};
  arrive();
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("mnemic.theme", root.dataset.theme);
}

refill(document.getElementById("more"),
  el("button", { class: "quiet", onclick: theme }, icon("theme"), el("span", {}, "Light or dark")),
  el("button", { class: "quiet", onclick: () => tokenDialog(again) }, icon("key"), el("span", {}, "Token")));
dropping(() => {
  if (shown.view === "add" && !shown.as_of && leave?.dropped) leave.dropped();
  else go({ ...only(place()), view: "add", as_of: null });
});
addEventListener("moved", arrive);
addEventListener("popstate", arrive);
addEventListener("changed", async () => {
  known = (await api.spaces()).items;
  spaceMenu(document.getElementById("space"), known, shown.space);
});
addEventListener("token-needed", ({ detail }) => tokenDialog(again, detail));
addEventListener("unhandledrejection", ({ reason }) => wrong(reason));
addEventListener("click", (event) => { // links inside the page move without loading it again
  const link = event.target.closest?.("a[href^='#/']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.getAttribute("href") === location.hash) return;
  history.pushState(null, "", link.getAttribute("href"));
  arrive();
});
addEventListener("keydown", (event) => {
  const writing = event.target.closest?.("input, textarea, select, dialog");
  if (event.key === "/" && !writing) {
    event.preventDefault();
    const box = document.getElementById("q");
    if (box) box.focus();
    else go({ ...only(place()), view: "memories" });
  } else if (event.key === "Escape" && !writing && (shown.record || shown.op)) go(elsewhere);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
arrive();
