// Why a record was found: the parts of its score as bars.
import { el, sized } from "./dom.js";

const PARTS = {
  dense: ["meaning", "it means something near to what was asked"],
  lexical: ["words", "it has the words of the question, or related ones"],
  context: ["neighbours", "what was said beside it fits"],
  session: ["session", "the whole talk that it stands in fits"],
  speaker: ["speaker", "the question names who said it"],
  date: ["date", "the question names a time that it lies in"],
  answer: ["answers", "it follows somebody's question"],
  question: ["a question", "it is a question itself, which counts against it"],
  form: ["length", "longer texts say more"],
};

export const partName = (name) => PARTS[name]?.[0] ?? name;

/** Bars for parts, the weightiest first. widest: the value that fills a bar; most: how many are shown. */
export function bars(parts, { widest, most = Infinity, explained = false }) {
  const sorted = Object.entries(parts).filter(([, value]) => Math.abs(value) >= 0.005).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  return el("ul", { class: explained ? "parts explained" : "parts", "aria-label": "Parts of the score" },
    sorted.slice(0, most).map(([name, value]) => bar(name, value, widest, explained)));
}

function bar(name, value, widest, explained) {
  const fill = sized(el("span", { class: value < 0 ? "fill against" : "fill" }), { width: `${Math.min(100, (100 * Math.abs(value)) / (widest || 1))}%` });
  return el("li", { title: PARTS[name]?.[1] },
    el("span", { class: "part" }, partName(name)),
    el("span", { class: "bar", "aria-hidden": "true" }, fill),
    el("span", { class: "number" }, value.toFixed(2)),
    explained && PARTS[name] && el("span", { class: "hint" }, PARTS[name][1]));
}

export const widest = (hits) => Math.max(1e-9, ...hits.flatMap((hit) => Object.values(hit.parts).map(Math.abs)));
