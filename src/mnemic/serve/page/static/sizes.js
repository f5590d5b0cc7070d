// Budgets and sizes: memory is a budget, and this is what it goes to.
import { el, refill, sized } from "./dom.js";
import { hrefOf } from "./place.js";
import { bytes, count, sentence, when } from "./say.js";

export function sizes(at, context) {
  const inside = el("div", { class: "grid" });
  async function load() {
    try {
      refill(inside, cards(await context.api.stats()));
    } catch (error) {
      refill(inside, el("p", {}, sentence(error)));
    }
  }
  addEventListener("changed", load);
  return {
    node: el("section", { class: "sizes", "aria-labelledby": "title" }, el("h1", { id: "title" }, "Budget and sizes"), inside),
    shown: load,
    away: () => removeEventListener("changed", load),
  };
}

const card = (title, ...inside) => el("section", { class: "card" }, el("h2", {}, title), ...inside);
const big = (number, words) => el("p", { class: "big" }, el("b", {}, number), ` ${words}`);
const list = (rows) => el("dl", { class: "details" }, rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

function cards(stats) {
  return [
    budget(stats),
    card("Memories", big(count(stats.records), stats.records === 1 ? "memory" : "memories"), kinds(stats),
      list([["Stale", stats.stale ? el("a", { href: hrefOf({ view: "audit" }) }, count(stats.stale)) : "none"], ["Sources", stats.sources === undefined ? null : count(stats.sources)],
        ["Words", stats.words === undefined ? null : count(stats.words)], ["True from", when(stats.from)], ["to", when(stats.to)]])),
    card("The log", big(count(stats.operations), stats.operations === 1 ? "operation" : "operations"), list([["Links", count(stats.edges)]])),
    card("How it finds and answers", list([["Embedder", stats.embedder ?? "none yet"], ["Language model", stats.model ?? "none: answers are the passages that fit best"]])),
  ];
}

/** What is used of what may be. The server writes a budget like "50,000,000 bytes". */
function budget({ used, budget: allowed, on_disk }) {
  const shown = (n) => (used.unit === "bytes" ? bytes(n) : `${count(n)} ${used.unit}`);
  const most = allowed ? amount(allowed) : null;
  const share = most ? used.amount / most : 0;
  const parts = Object.entries(on_disk ?? {}).map(([name, size]) => [{ file: "File", wal: "Write-ahead log", cache: "Caches" }[name] ?? name, bytes(size)]);
  return card("Budget", big(shown(used.amount), most ? `of ${shown(most)}` : "used"),
    most ? el("div", { class: "gauge", role: "meter", "aria-label": "Used of the budget", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.min(100, Math.round(100 * share)) },
      sized(el("span", { class: share > 0.9 ? "full" : "" }), { width: `${Math.min(100, 100 * share)}%` }))
      : el("p", { class: "soft" }, "No budget is set: nothing is let go by itself."),
    list(parts));
}

const amount = (text) => Number.parseInt(text.replace(/,/g, ""), 10) || null;

function kinds({ kinds: counts, records }) {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return el("ul", { class: "parts explained" }, sorted.map(([kind, n]) => el("li", {},
    el("a", { class: "part", href: hrefOf({ view: "memories", kind }) }, kind),
    el("span", { class: "bar", "aria-hidden": "true" }, sized(el("span", { class: "fill" }), { width: `${(100 * n) / records}%` })),
    el("span", { class: "number" }, count(n)))));
}

