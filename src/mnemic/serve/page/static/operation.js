// One operation of the log: what was before, what is after, and the way back.
import { el } from "./dom.js";
import { marked } from "./diff.js";
import { hrefOf } from "./place.js";
import { changed, idsIn, named, said, shortened, when, wrong } from "./say.js";

export const KINDS = { insert: "remembered", update: "changed", delete: "forgotten", evict: "let go", link: "linked", unlink: "unlinked", merge: "merged", erase: "erased" };
const SILENT = new Set(["written", "edges"]);

const differing = (before, after) => [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  .filter((name) => !SILENT.has(name) && JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));

/** An operation in a few words; texts: what records say that its reasons name. */
export function gist({ kind, before, after }, texts = new Map()) {
  const edge = (after ?? before)?.edge;
  if (edge) return `“${shortened(edge[1], 40)}”, between two memories`;
  if (kind === "update" && before && after) {
    const fields = differing(before, after);
    if (fields.includes("text")) return shortened(after.text, 120);
    if (fields.includes("stale")) return after.stale ? `stale, since ${named(after.stale, texts)}` : "no longer stale";
    if (fields.length === 1) return `${fields[0]}: ${shortened(shown(after[fields[0]]), 60)}`;
    return fields.join(", ");
  }
  return shortened((after ?? before)?.text ?? "its text is nowhere any more", 120);
}

const shown = (value) => value === undefined || value === null ? "none" : typeof value === "string" ? value : JSON.stringify(value);

/** What the records say that reasons name. */
export async function textsOf(reasons, { api }) {
  const known = await Promise.all(idsIn(...reasons).slice(0, 20).map((id) => api.record(id).then(({ record }) => [id, record.text], () => null)));
  return new Map(known.filter(Boolean));
}

export async function operation(at, context) {
  const it = await context.api.operation(at.op);
  const edge = (it.after ?? it.before)?.edge;
  const texts = await textsOf([it.why, it.before?.stale, it.after?.stale], context);
  return el("article", { class: "record", "aria-labelledby": "record-title" },
    el("h2", { id: "record-title", tabindex: -1 }, `Operation ${it.n}: ${KINDS[it.kind] ?? it.kind}`),
    el("p", { class: "about" }, el("span", {}, when(it.when)), el("span", {}, it.who), it.why && el("span", {}, named(it.why, texts))),
    it.undoes && el("p", {}, "It takes back ", el("a", { href: hrefOf({ op: it.undoes }) }, `operation ${it.undoes}`), "."),
    edge ? el("p", { class: "told" }, el("a", { href: hrefOf({ record: edge[0], op: null }) }, "a memory"), ` ${edge[1]} `, el("a", { href: hrefOf({ record: edge[2], op: null }) }, "a memory")) : states(it, texts),
    el("div", { class: "acts" },
      context.writable && it.kind !== "erase" && el("button", { class: "primary", onclick: () => undo(it, context) }, "Undo"),
      !edge && el("a", { class: "button", href: hrefOf({ record: it.target, op: null }) }, "Open the memory"),
      el("a", { class: "button", href: hrefOf({ view: "memories", as_of: `operation:${it.n}`, op: null, q: null, record: null }) }, "See all as it was after this")));
}

function states({ kind, before, after }, texts) {
  const value = (state, name) => (name === "stale" ? named(shown(state[name]), texts) : shown(state[name]));
  if (kind !== "update" || !before || !after) return el("p", { class: kind === "delete" || kind === "evict" ? "told struck" : "told" }, (after ?? before)?.text ?? "Its text is nowhere any more.");
  const fields = differing(before, after);
  return [fields.includes("text") && marked(before.text ?? "", after.text ?? ""),
    fields.some((name) => name !== "text") && el("table", { class: "states" },
      el("thead", {}, el("tr", {}, ["Field", "Before", "After"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, fields.filter((name) => name !== "text").map((name) =>
        el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value(before, name)), el("td", {}, value(after, name))))))];
}

async function undo({ n, target }, context) {
  try {
    const { items } = await context.api.undo(n);
    said(`Undone: operation ${n} was taken back.`);
    changed(...new Set([target, ...items.map((each) => each.target)]));
  } catch (error) {
    wrong(error);
  }
}
