// Memories: search with why each hit came; without a question all of them, the newest first.
import { el, icon, put, refill } from "./dom.js";
import { filters, asked } from "./filters.js";
import { go, hrefOf, place } from "./place.js";
import { many, shortened, when, wrong } from "./say.js";
import { Rows } from "./rows.js";
import { bars, widest } from "./score.js";

const ROW = 76; // pixels
const WAIT = 350; // milliseconds after the last key
const STEPS = [20, 50, 100, 200]; // hits

/** Hits of the last search by id: the pane tells why a record was found. */
export const found = new Map();

export function memories(at, context) {
  const results = el("div", { id: "results" });
  const status = el("p", { id: "count", class: "count", role: "status" });
  const box = el("input", { id: "q", type: "search", name: "q", value: at.q ?? "", placeholder: "What do you want to find?",
    "aria-label": "Search the memories", autocomplete: "off", enterkeyhint: "search" });
  const narrowed = filters(at, context, () => search(false));
  const form = el("form", { role: "search", class: "search", onsubmit: (event) => { event.preventDefault(); search(false); } },
    el("div", { class: "box" }, icon("search"), box, el("button", { class: "primary", type: "submit" }, "Search")), narrowed);
  const view = { at, context, results, told: status, box, list: null, running: null, k: STEPS[0], asked: null };
  let waiting = 0;

  function search(replace) {
    clearTimeout(waiting);
    view.k = STEPS[0];
    go({ ...asked(form), q: box.value.trim() || null, record: null, op: null }, { replace });
    show(view);
  }

  box.addEventListener("input", () => {
    clearTimeout(waiting);
    if (!at.as_of) waiting = setTimeout(() => search(true), WAIT); // an earlier moment is a copy: only when asked for
  });
  const changed = ({ detail }) => news(view, detail);
  addEventListener("changed", changed);
  return {
    node: el("section", { class: "memories", "aria-labelledby": "title" }, el("h1", { id: "title", class: "unseen" }, "Memories"), form, status, results),
    shown: () => { show(view); if (!at.record && matchMedia("(min-width: 45rem)").matches) box.focus(); },
    moved: (now) => moved(view, now),
    away: () => { removeEventListener("changed", changed); clearTimeout(waiting); view.running?.abort(); },
  };
}

const wanted = ({ q, kind, speaker, source, since, until, current, stale, as_of }) =>
  ({ q, kind, speaker, source, since, until, current: current && "true", stale: stale && "false", as_of });

/** The place has changed: what the person came back to by the browser's buttons, or a record that was opened. */
function moved(view, now) {
  view.list?.choose(now.record ?? null);
  for (const each of view.results.querySelectorAll(".hit")) each.classList.toggle("chosen", each.dataset.id === now.record);
  if (JSON.stringify(wanted(now)) !== view.asked) {
    view.box.value = now.q ?? "";
    show(view);
  }
}

async function show(view) {
  const query = wanted(place());
  if (JSON.stringify(query) === view.asked && view.k === view.shownK) return;
  view.asked = JSON.stringify(query);
  view.shownK = view.k;
  view.running?.abort();
  view.running = new AbortController();
  view.results.setAttribute("aria-busy", "true");
  if (query.as_of) refill(view.told, "Working out what the memory held then…");
  try {
    await (query.q ? hits(view, query) : all(view, query));
  } catch (error) {
    if (error.name === "AbortError") return;
    refill(view.told);
    refill(view.results);
    view.asked = null;
    wrong(error);
  }
  view.results.removeAttribute("aria-busy");
}

async function hits(view, query) {
  const began = performance.now();
  const { items } = await view.context.api.recall({ ...query, k: view.k }, view.running.signal);
  const took = Math.round(performance.now() - began);
  found.clear();
  for (const hit of items) found.set(hit.record.id, hit);
  if (found.has(place().record)) dispatchEvent(new Event("found"));
  view.list = null;
  const most = widest(items);
  refill(view.told, items.length ? `${many(items.length, "memory", "memories")}, the best first, in ${took} ms` : "Nothing was found.");
  refill(view.results, items.length
    ? el("ol", { class: "hits", "aria-label": "Hits" }, items.map((hit, n) => card(hit, n, most)))
    : nothing("No memory fits.", "Try other words, or fewer filters."));
  const next = STEPS.find((k) => k > view.k);
  if (next && items.length === view.k) {
    put(view.results, el("p", { class: "more" }, el("button", { onclick: () => { view.k = next; show(view); } }, `Show up to ${next}`)));
  }
  performance.mark("hits");
}

function card(hit, n, most) {
  const { record } = hit;
  const chosen = record.id === place().record;
  return el("li", {}, el("article", { class: chosen ? "hit chosen" : "hit", "data-id": record.id },
    el("a", { class: "open", href: hrefOf({ record: record.id, op: null }) }, passage(hit)),
    about(record),
    el("div", { class: "why" }, el("p", { class: "score" }, el("span", { class: "unseen" }, `Hit ${n + 1}, `), "score ", el("b", {}, hit.score.toFixed(2))),
      bars(hit.parts, { widest: most, most: 4 }))));
}

/** The passage that matched, marked, with a little of what stands around it. */
function passage({ record, span: [start, end], passage: matched }) {
  const text = record.text;
  if (!matched || end <= start || (start === 0 && end >= text.length)) return el("span", { class: "text" }, shortened(text, 320));
  const before = shortened(text.slice(Math.max(0, start - 60), start), 62);
  const after = shortened(text.slice(end, end + 80), 82);
  return el("span", { class: "text" }, start > 60 && "…", before, " ", el("mark", {}, shortened(text.slice(start, end), 260)), " ", after, end + 80 < text.length && "…");
}

/** Kind, who, when, where from: one line. */
export function about(record) {
  const time = record.time && (record.until ? `${when(record.time)} – ${when(record.until)}` : when(record.time));
  return el("p", { class: "about" },
    el("span", { class: "kind" }, record.kind),
    record.stale && el("span", { class: "tag bad" }, "stale"),
    record.until && !record.stale && el("span", { class: "tag" }, "ended"),
    record.pinned && el("span", { class: "tag" }, "pinned"),
    record.speaker && el("span", {}, record.speaker),
    time && el("span", {}, time),
    record.source && el("span", { class: "source" }, record.place ? `${record.source}, ${record.place}` : record.source));
}

const unfiltered = (query) => !Object.keys(query).some((name) => query[name] && name !== "as_of");
const told = (n) => `${many(n, "memory", "memories")}, the newest first`;

async function all(view, query) {
  const signal = view.running.signal;
  found.clear();
  const open = unfiltered(query);
  const first = await view.context.api.records({ ...query, limit: 100 }, signal);
  if (!first.items.length) return empty(view, open);
  let next = first.next;
  const list = new Rows({
    label: "Memories, the newest first", height: ROW, draw: row, open: (record) => go({ record: record.id, op: null }),
    more: async () => {
      if (!next) return null;
      const page = await view.context.api.records({ ...query, limit: 1000, cursor: next }, signal);
      next = page.next;
      return page.items;
    },
  });
  view.list = list;
  list.chosen = place().record ?? null;
  refill(view.results, list.node);
  list.add(first.items);
  performance.mark("memories");
  if (query.as_of || !open) {
    refill(view.told, `${first.next ? "More than " : ""}${many(first.items.length, "memory", "memories")}, the newest first`);
    return;
  }
  list.total = Math.max(view.context.records ?? 0, first.items.length);
  list.paint();
  refill(view.told, told(list.total));
}

const row = (record) => [el("span", { class: "text", dir: "auto" }, shortened(record.text, 300)), about(record)];

function empty(view, open) {
  refill(view.told, open ? "" : "Nothing passes these filters.");
  view.list = null;
  const start = el("a", { class: "button primary", href: hrefOf({ view: "add", q: null, record: null }) }, "Add the first memories");
  refill(view.results, open ? nothing("Nothing is remembered here yet.", "Write something down, or drop files anywhere on this page.", view.context.writable && start)
    : nothing("No memory passes these filters.", "Take one of them out."));
  performance.mark("memories");
}

const nothing = (title, text, ...more) => el("div", { class: "empty" }, el("h2", {}, title), el("p", {}, text), ...more);

/** Records were changed: the list takes them over in place, so that the person stays where they are. */
async function news(view, ids) {
  if (!view.list || !ids.length) {
    view.asked = null;
    return show(view);
  }
  const open = unfiltered(wanted(place()));
  for (const id of ids) {
    const now = await view.context.api.record(id).catch(() => null);
    if (open || view.list.items.some((each) => each.id === id)) view.list.replace(id, now?.record ?? null);
  }
  if (open) refill(view.told, told(view.list.total));
  if (view.list.items.length === 0) { view.asked = null; show(view); }
}
