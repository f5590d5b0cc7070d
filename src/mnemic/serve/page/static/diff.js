// Two texts, and what differs between them, word by word.
import { el } from "./dom.js";

const MOST = 400; // words: the table below grows with their square

/** Pieces [sign, text] with sign "-", "+" or "=". */
export function pieces(before, after) {
  const a = before.split(/(\s+)/), b = after.split(/(\s+)/);
  if (a.length > MOST || b.length > MOST) return [["-", before], ["+", after]];
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1)); // common words from here on
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const found = [];
  const put = (sign, text) => (found.at(-1)?.[0] === sign ? (found.at(-1)[1] += text) : found.push([sign, text]));
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { put("=", a[i]); i += 1; j += 1; }
    else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) { put("-", a[i]); i += 1; }
    else { put("+", b[j]); j += 1; }
  }
  return found;
}

export const marked = (before, after) => el("p", { class: "told" }, pieces(before, after).map(([sign, text]) =>
  sign === "=" ? text : el(sign === "-" ? "del" : "ins", {}, el("span", { class: "unseen" }, sign === "-" ? "taken out: " : "put in: "), text)));
