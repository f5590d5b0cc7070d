// The timeline: when things were true, what changed when; and the memory as it was at any moment of its log.
import { el, refill, sized } from "./dom.js";
import { go, hrefOf } from "./place.js";
import { gist, KINDS } from "./operation.js";
import { Rows } from "./rows.js";
import { count, day, many, named, shortened, when, wrong } from "./say.js";
import { who } from "./record.js";

const BUCKETS = 60, ROW = 60;

export function timeline(at, context) {
  const top = el("div", { class: "charts" });
  const list = el("div", { class: "log" });
  const view = { at, context, top, list };
  const changed = () => load(view);
  addEventListener("changed", changed);
  return {
    node: el("section", { class: "timeline", "aria-labelledby": "title" }, el("h1", { id: "title" }, "Timeline"), top, el("h2", {}, "What changed"), list),
    shown: () => load(view),
    moved: (now) => view.rows?.choose(Number(now.op) || null),
    away: () => removeEventListener("changed", changed),
  };
}

async function load(view) {
  try {
    const found = await view.context.api.timeline(BUCKETS);
    const newest = found.operations.last?.at(-1) ?? 0;
    refill(view.top, newest ? [!view.at.as_of && truths(found, view), changes(found, view, newest)] : el("div", { class: "empty" }, el("h2", {}, "Nothing has happened here yet.")));
    log(view);
  } catch (error) {
    wrong(error);
  }
}

function truths({ records, undated }, view) {
  const dated = records.counts.reduce((sum, n) => sum + n, 0);
  const rest = undated ? ` ${many(undated, "memory", "memories")} without a date.` : "";
  if (!dated) return el("section", { class: "card" }, el("h2", {}, "When it was true"), el("p", { class: "soft" }, `No memory has a date.${rest}`));
  const range = (n) => [day(records.start + n * records.seconds), day(records.start + (n + 1) * records.seconds)];
  const open = (n) => go({ view: "memories", since: range(n)[0], until: range(n)[1], q: null, record: null, op: null });
  const [first, last] = [range(0)[0], range(records.counts.length - 1)[1]];
  return el("section", { class: "card" }, el("h2", {}, "When it was true"),
    el("p", { class: "soft" }, `${many(dated, "memory", "memories")} from ${first} to ${last}.${rest}`),
    chart(records.counts, { name: "memories", range, open }), ends(first, last),
    el("p", { class: "hint" }, "A click on a bar lists what was true then; so do the filters “True since” and “True until”."));
}

/** Bars for the eye; the sentence above them, and the slider below, are for everybody. */
function chart(counts, { name, range, open, reached = Infinity }) {
  const most = Math.max(...counts, 1);
  return el("div", { class: "chart", "aria-hidden": "true" }, counts.map((n, at) => {
    const bar = sized(el("span", { class: at > reached ? "ahead" : "" }), { height: n ? `${Math.max(4, (100 * n) / most)}%` : "0" });
    return el("span", { class: "slot", title: `${range(at).join(" to ")}: ${count(n)} ${name}`, onclick: () => open(at) }, bar);
  }));
}

const ends = (first, last) => el("p", { class: "ends", "aria-hidden": "true" }, el("span", {}, first), el("span", {}, last));

function changes({ operations }, view, newest) {
  const { last, counts, start, seconds } = operations;
  const here = view.at.as_of?.startsWith("operation:") ? Math.min(newest, Number(view.at.as_of.slice(10))) : newest;
  const near = seconds * BUCKETS < 3600; // then minutes would all be the same
  const time = (n) => when(new Date((start + n * seconds) * 1000).toISOString(), near ? "medium" : "short");
  const bucketOf = (n) => Math.max(0, last.findIndex((each) => each >= n));
  const label = el("output", { for: "scrub" });
  const reach = (n) => go({ as_of: n >= newest ? null : `operation:${n}`, record: null, op: null });
  const slider = el("input", { id: "scrub", type: "range", min: 0, max: BUCKETS - 1, value: bucketOf(here), "aria-describedby": "scrub-hint",
    oninput: () => tell(last[slider.value]), onchange: () => reach(last[slider.value]) });

  function tell(n) {
    const text = n >= newest ? `now, after operation ${count(newest)}` : `after operation ${count(n)} of ${count(newest)}, ${time(bucketOf(n))}`;
    refill(label, text);
    slider.setAttribute("aria-valuetext", text);
  }

  tell(here);
  const step = (text, to, off) => el("button", { onclick: () => reach(to), disabled: off }, text);
  return el("section", { class: "card" }, el("h2", {}, "What the memory was"),
    el("p", { class: "soft" }, `${many(newest, "operation")} ${time(0) === time(BUCKETS) ? `at ${time(0)}` : `from ${time(0)} to ${time(BUCKETS)}`}.`),
    chart(counts, { name: "operations", range: (n) => [time(n), time(n + 1)], open: (n) => reach(last[n]), reached: here < newest ? bucketOf(here) : Infinity }),
    slider, el("div", { class: "scrub" }, el("label", { for: "scrub" }, "Moment: "), label),
    el("p", { class: "hint", id: "scrub-hint" }, "Move back: memories, search and records then show what the memory held at that moment."),
    el("div", { class: "acts" }, step("One operation back", here - 1, here <= 1), step("One forward", here + 1, here >= newest),
      step("Now", newest, here >= newest), el("a", { class: "button primary", href: hrefOf({ view: "memories", q: null, record: null, op: null }) }, here < newest ? "See the memories of then" : "See the memories")));
}

async function log(view) {
  const first = await view.context.api.log({ order: "newest", limit: 200 });
  let next = first.next;
  const reached = view.at.as_of?.startsWith("operation:") ? Number(view.at.as_of.slice(10)) : Infinity;
  const rows = new Rows({
    label: "Operations, the newest first", height: ROW, key: (each) => each.n, open: (each) => go({ op: each.n, record: null }),
    draw: (each) => row(each, reached),
    more: async () => {
      if (!next) return null;
      const page = await view.context.api.log({ order: "newest", limit: 1000, cursor: next });
      next = page.next;
      return page.items;
    },
  });
  rows.total = first.items[0]?.n ?? 0;
  view.rows = rows;
  refill(view.list, first.items.length ? rows.node : null);
  if (first.items.length) rows.add(first.items);
}

function row(each, reached) {
  const says = gist(each), why = named(each.why ?? "", new Map());
  return el("span", { class: each.n > reached ? "op ahead" : "op" },
    el("span", { class: `verb ${each.kind}` }, KINDS[each.kind] ?? each.kind),
    el("span", { class: "text" }, says),
    el("span", { class: "about" }, el("span", {}, `${each.n}`), el("span", {}, when(each.when)), el("span", {}, who(each.who)),
      each.undoes ? el("span", {}, `takes back ${each.undoes}`) : why && ![each.kind, "add", "forget"].includes(why) && !says.includes(why) && el("span", {}, shortened(why, 60)),
      each.n > reached && el("span", { class: "tag" }, "later")));
}
