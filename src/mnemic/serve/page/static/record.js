// One record: what it says, why it was found, where it comes from, what was made of it, what happened to it.
import { change } from "./change.js";
import { el } from "./dom.js";
import { graph } from "./graph.js";
import { hrefOf } from "./place.js";
import { about, found } from "./memories.js";
import { gist, KINDS, textsOf } from "./operation.js";
import { named, shortened, when } from "./say.js";
import { bars, widest } from "./score.js";

export async function record(at, context) {
  const { api } = context;
  const past = Boolean(at.as_of);
  const history = await api.history(at.record).catch((error) => { if (error.status === 404) return { items: [] }; throw error; });
  let held;
  try {
    held = await api.record(at.record, at.as_of);
  } catch (error) {
    if (error.status !== 404 || !history.items.length) throw error;
    return gone(history.items, at);
  }
  const it = held.record;
  const [lineage, derived, sources] = await Promise.all([
    past ? { items: [] } : api.lineage(it.id), past ? { items: [] } : api.derived(it.id),
    Promise.all(it.derived_from.slice(0, 50).map((id) => api.record(id, at.as_of).then((each) => each.record, () => ({ id, text: "" })))),
  ]);
  const hit = found.get(it.id);
  const texts = await textsOf([it.stale, ...history.items.flatMap((each) => [each.why, each.after?.stale])], context);
  return el("article", { class: "record", "aria-labelledby": "record-title" },
    el("h2", { id: "record-title", tabindex: -1 }, "Memory"),
    about(it),
    it.stale && el("p", { class: "notice" }, `Stale: it can no longer be trusted, since ${named(it.stale, texts)}.`),
    el("p", { class: "told", dir: "auto" }, it.text),
    context.writable && change(held, context),
    hit && section("Why it was found", el("p", { class: "soft" }, "Score ", el("b", {}, hit.score.toFixed(2)), ", made of:"), bars(hit.parts, { widest: widest([hit]), explained: true })),
    sources.length > 0 && section("Made from", linked(sources)),
    derived.items.length > 0 && section("What was made from it", linked(derived.items)),
    lineage.items.length > 1 && section("Took the place of", linked(lineage.items.slice(1))),
    past ? null : graph(it.id, context),
    section("History", happened(history.items, at, texts)),
    section("Details", details(it)));
}

const section = (title, ...inside) => el("section", {}, el("h3", {}, title), ...inside);

export const linked = (records) => el("ul", { class: "links" }, records.map((each) => el("li", {},
  el("a", { href: hrefOf({ record: each.id, op: null }) }, shortened(each.text, 140) || "a record that is gone"),
  each.time && el("span", { class: "hint" }, ` ${when(each.time)}`))));

function happened(operations, at, texts = new Map()) {
  const until = at.as_of?.startsWith("operation:") ? Number(at.as_of.slice(10)) : Infinity;
  return el("ol", { class: "history" }, operations.filter((each) => each.n <= until).map((each) => {
    const says = gist(each, texts), why = named(each.why ?? "", texts);
    return el("li", {}, el("a", { href: hrefOf({ op: each.n }) }, KINDS[each.kind] ?? each.kind, ": ", says),
      el("p", { class: "hint" }, `${when(each.when)}, ${who(each.who)}${why && why !== each.kind && !says.includes(why) ? `: ${why}` : ""}`));
  }));
}

export const who = (name) => name.replace(/^principal:/, "");

function gone(operations, at) {
  const last = operations[0];
  return el("article", { class: "record", "aria-labelledby": "record-title" },
    el("h2", { id: "record-title", tabindex: -1 }, at.as_of ? "Not there at that moment" : "Forgotten"),
    el("p", { class: "soft" }, at.as_of ? "This memory did not stand then. Its history:"
      : last.kind === "erase" ? "It was erased for good: its text is nowhere any more." : "It was let go. Its last operation can be undone."),
    section("History", happened(operations, at)));
}

function details(it) {
  const rows = [["Id", it.id], ["Kind", it.kind], ["True from", when(it.time)], ["True until", when(it.until)], ["Written", when(it.written)],
    ["Source", it.source], ["Place", it.place], ["Episode", it.episode], ["Speaker", it.speaker], ["Importance", it.importance === 1 ? null : it.importance],
    ["Metadata", Object.keys(it.metadata).length ? JSON.stringify(it.metadata, null, 1) : null]];
  return el("dl", { class: "details" }, rows.filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
