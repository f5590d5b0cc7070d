// Words: numbers, times and sizes as people read them; what just happened; what went wrong.
import { el, refill } from "./dom.js";

export const count = (n) => n.toLocaleString("en");
export const many = (n, noun, nouns = `${noun}s`) => `${count(n)} ${n === 1 ? noun : nouns}`;

/** A time as precise as it was given; an instant in this person's zone. */
export function when(time, precision = "short") {
  if (!time) return "";
  if (!time.includes("T")) return time;
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: precision }).format(at);
}

export const day = (seconds) => {
  const at = new Date(seconds * 1000);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString().slice(0, 10);
};

export function bytes(n) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; n >= 1000 && at < units.length - 1; at += 1) n /= 1000;
  return `${at ? n.toFixed(n < 10 ? 1 : 0) : n} ${units[at]}`;
}

export const shortened = (text, most = 90) => {
  const line = String(text ?? "").slice(0, most * 8).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
};

const ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const NAMED = new RegExp(`(source |record )?(${ID.source})`, "g");

/** Ids of records in reasons like "source ... was corrected". */
export const idsIn = (...reasons) => [...new Set(reasons.flatMap((reason) => reason?.match(ID) ?? []))];

/** A reason names records by id; a person knows them by what they say. texts: id -> text */
export const named = (reason, texts) => reason.replace(NAMED, (_, noun = "", id) =>
  texts.has(id) ? `${noun}“${shortened(texts.get(id), 60)}”` : noun === "source " ? "a source" : "another memory");

let silence = 0;

/** Tell what was done, to eyes and screen readers; with a way back when there is one. */
export function said(text, back = null) {
  clearTimeout(silence);
  const close = el("button", { class: "quiet", "aria-label": "Dismiss", onclick: hushed }, "✕");
  const undo = back && el("button", { class: "quiet strong", onclick: () => { hushed(); back(); } }, "Undo");
  refill(document.getElementById("said"), el("p", {}, el("span", {}, text), undo, close));
  silence = setTimeout(hushed, back ? 20000 : 8000);
}

export function wrong(error) {
  if (error?.name === "AbortError" || error?.status === 401) return;
  const close = el("button", { class: "quiet", "aria-label": "Dismiss", onclick: calmed }, "✕");
  refill(document.getElementById("wrong"), el("p", {}, el("span", {}, sentence(error)), close));
}

export const sentence = (error) => {
  const text = error?.message || String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const hushed = () => document.getElementById("said").replaceChildren();
export const calmed = () => document.getElementById("wrong").replaceChildren();

/** Other parts of the page look again. ids: the records that changed; none: all may have. */
export const changed = (...ids) => dispatchEvent(new CustomEvent("changed", { detail: ids }));
