// Where the person is, as the address says it: #/memories?space=family&q=Ana&record=...&as_of=operation:17
// So every view can be bookmarked, and the browser's back button goes back.

export const VIEWS = ["memories", "timeline", "audit", "sizes", "add"];
const KEPT = "mnemic.space";

export function place() {
  const [, path, query] = location.hash.match(/^#?\/?([^?]*)\??(.*)$/s);
  const given = Object.fromEntries(new URLSearchParams(query));
  const space = given.space ?? localStorage.getItem(KEPT) ?? "default";
  return { ...given, view: VIEWS.includes(path) ? path : "memories", space };
}

/** The address of a place that differs from this one; what is null is taken out. */
export function hrefOf(changes) {
  const { view, ...rest } = { ...place(), ...changes };
  const kept = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#/${view}?${new URLSearchParams(kept)}`;
}

export function go(changes, { replace = false } = {}) {
  const href = hrefOf(changes);
  if (changes.space) localStorage.setItem(KEPT, changes.space);
  if (href === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  dispatchEvent(new Event("moved"));
}

export const elsewhere = { record: null, op: null }; // closes the pane
