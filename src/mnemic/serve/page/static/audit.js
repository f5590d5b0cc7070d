// What the audit finds: which memories cannot be trusted, why, and what would put them right.
import { el, refill } from "./dom.js";
import { dialog } from "./dialog.js";
import { hrefOf } from "./place.js";
import { changed, count, idsIn, many, named, said, sentence, shortened } from "./say.js";

const KINDS = {
  fabricated: ["Made up", "Made from other memories, and none of them says it."],
  stale: ["Stale", "A source was corrected, ended, forgotten or erased since."],
  contradictory: ["Contradictory", "Two facts that cannot both hold."],
  duplicate: ["Said twice", "The same words by the same speaker about the same time."],
  junk: ["Junk", "Nothing that anybody could ask for."],
  orphaned: ["Orphaned", "Made from, or linked to, memories that are gone."],
};
const DOES = { delete: "let go", update: "changed", insert: "written anew", link: "linked", unlink: "cut loose" };
const AT_ONCE = 30; // findings of a kind
const SMALL = 5000; // records that are looked at without being asked

export function audit(at, context) {
  const inside = el("div", {});
  const look = el("button", { class: "primary", onclick: () => run() }, "Look now");
  const told = el("p", { role: "status", class: "count" });

  async function run() {
    look.disabled = true;
    refill(told, "Looking at every memory…");
    try {
      const report = await context.api.audit();
      refill(told, `${many(report.records, "memory", "memories")} looked at, ${(100 * report.sound).toFixed(1)}% without a finding.`);
      refill(inside, await findings(report, context, run));
    } catch (error) {
      refill(told, sentence(error));
    }
    look.disabled = false;
    refill(look, "Look again");
  }

  async function start() {
    const { records } = await context.api.stats();
    if (at.as_of) refill(told, "The audit looks at the memory as it is now.");
    else if (records <= SMALL) await run();
    else refill(told, `${many(records, "memory", "memories")}: this takes a while.`);
  }

  const again = () => run();
  addEventListener("changed", again);
  return {
    node: el("section", { class: "audit", "aria-labelledby": "title" }, el("h1", { id: "title" }, "Audit"),
      el("p", { class: "soft" }, "Looks for memories that no answer would give away as wrong. It asks no language model, and writes nothing unless you agree."),
      el("div", { class: "acts" }, look), told, inside),
    shown: start,
    away: () => removeEventListener("changed", again),
  };
}

async function findings(report, context, again) {
  const groups = Object.keys(KINDS).map((kind) => [kind, report.findings.filter((each) => each.kind === kind)]).filter(([, found]) => found.length);
  if (!groups.length) return el("div", { class: "empty" }, el("h2", {}, report.records ? "Nothing was found." : "Nothing is remembered here yet."), report.records > 0 && el("p", {}, "Every memory is sound, as far as rules can tell."));
  const texts = await textsOf(groups, context);
  return groups.map(([kind, found]) => group(kind, found, texts, report, context, again));
}

/** What the records say that are shown first. */
async function textsOf(groups, context) {
  const ids = [...new Set(groups.flatMap(([, found]) => found.slice(0, AT_ONCE).flatMap((each) => [...each.records.slice(0, 3), ...idsIn(each.why)])))];
  const texts = new Map();
  await Promise.all(ids.map((id) => context.api.record(id).then(({ record }) => texts.set(id, record.text), () => null)));
  return texts;
}

function group(kind, found, texts, report, context, again) {
  const [title, meaning] = KINDS[kind];
  const repairs = found.filter((each) => each.repair.length).length;
  const mend = context.writable && repairs > 0 && el("button", { onclick: () => repair(kind, title, repairs, report, context, again) }, `Repair ${repairs === 1 ? "it" : `all ${count(repairs)}`}`);
  return el("section", { class: "card", "aria-labelledby": `audit-${kind}` },
    el("div", { class: "titled" }, el("h2", { id: `audit-${kind}` }, `${title} `, el("span", { class: "badge" }, count(found.length))), mend),
    el("p", { class: "soft" }, meaning),
    el("ul", { class: "findings" }, found.slice(0, AT_ONCE).map((each) => finding(each, texts))),
    found.length > AT_ONCE && el("p", { class: "hint" }, `and ${count(found.length - AT_ONCE)} more`));
}

function finding({ records, why, repair }, texts) {
  const does = [...new Set(repair.map((each) => DOES[each.kind] ?? each.kind))].join(", ");
  return el("li", {},
    records.slice(0, 3).map((id) => el("a", { href: hrefOf({ record: id, op: null }) }, shortened(texts.get(id) ?? id, 160))),
    el("p", { class: "hint" }, named(why, texts), ". ", el("b", {}, does ? `Would be ${does}.` : "Yours to decide.")));
}

const repair = (kind, title, many, report, context, again) => dialog({
  title: `Repair: ${title.toLowerCase()}`,
  says: `${count(many)} ${many === 1 ? "finding is" : "findings are"} put right in one step. Each change stands in the log and can be undone.`,
  act: "Repair",
  then: async () => {
    const { done } = await context.api.repair([kind], report.position);
    said(`Repaired: ${count(done)} ${done === 1 ? "operation" : "operations"}. The timeline shows them.`);
    changed();
  },
});
