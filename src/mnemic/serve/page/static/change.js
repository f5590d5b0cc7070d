// What a person may do to a record. Each change says how to take it back.
import { dialog } from "./dialog.js";
import { el } from "./dom.js";
import { changed, said, shortened, wrong } from "./say.js";

export function change(held, context) {
  const { record } = held;
  const act = (label, run, kind = "") => el("button", { class: kind, onclick: run }, label);
  return el("div", { class: "acts", role: "group", "aria-label": "Change this memory" },
    act("Correct", () => correct(held, context), "primary"),
    act("Replace", () => replace(held, context)),
    !record.until && act("End", () => end(held, context)),
    act(record.pinned ? "Unpin" : "Pin", () => pin(held, context)),
    act("Forget", () => forget(held, context)),
    context.administers && act("Erase", () => erase(held, context), "danger"));
}

/** Ask, do, tell; when the record was changed meanwhile, show what it says now and let the person decide again. */
function ask(held, context, { done, run, ...question }) {
  const { record } = held;
  dialog({
    ...question,
    then: async (values) => {
      const touched = await run(values, held.etag);
      await tell(done, touched ?? record.id, context);
      changed(record.id, ...(touched && touched !== record.id ? [touched] : []));
    },
    failed: async (error) => {
      if (error.status !== 412) return null;
      const now = await context.api.record(record.id).catch(() => null);
      if (!now) return null;
      Object.assign(held, now);
      return el("p", {}, "It says now: ", el("q", {}, now.record.text), " Press again to change that.");
    },
  });
}

const reason = { name: "why", label: "Why", hint: "Stands in the log; may be empty." };
const because = ({ why }, otherwise) => why.trim() || otherwise;
const time = (label, value = "") => ({ name: "time", label, value, hint: "As precise as you know it: 2026, 2026-05, 2026-05-03." });

const correct = (held, context) => ask(held, context, {
  title: "Correct this memory",
  says: "For what was wrong from the beginning. What was made from it is revised too.",
  fields: [{ name: "text", label: "What is right", type: "area", value: held.record.text, required: true }, time("True from", held.record.time ?? ""), reason],
  act: "Correct", done: "Corrected.",
  run: async (values, etag) => {
    const fields = { text: values.text, why: because(values, "corrected") };
    if (values.time.trim() !== (held.record.time ?? "")) fields.time = values.time.trim() || null;
    await context.api.change(held.record.id, etag, fields);
  },
});

const replace = (held, context) => ask(held, context, {
  title: "Replace this memory",
  says: "For what was true and is no longer: this memory ends, and the new one takes its place.",
  fields: [{ name: "text", label: "What holds now", type: "area", value: held.record.text, required: true }, time("Since when"), reason],
  act: "Replace", done: "Replaced.",
  run: async (values, etag) => {
    const fields = { text: values.text, why: because(values, "replaced") };
    if (values.time.trim()) fields.time = values.time.trim();
    return (await context.api.supersede(held.record.id, etag, fields)).id;
  },
});

const today = () => new Date().toISOString().slice(0, 10);

const end = (held, context) => ask(held, context, {
  title: "End this memory",
  says: "It was true and is no longer, and nothing takes its place.",
  fields: [{ ...time("True until", today()), required: true }, reason],
  act: "End", done: "Ended.",
  run: async (values, etag) => { await context.api.change(held.record.id, etag, { until: values.time.trim(), why: because(values, "ended") }); },
});

const forget = (held, context) => ask(held, context, {
  title: "Forget this memory",
  says: `“${shortened(held.record.text, 160)}” is let go. The log keeps it, so this can be undone.`,
  fields: [reason],
  act: "Forget", danger: true, done: "Forgotten.",
  run: async (values, etag) => { await context.api.forget(held.record.id, etag, because(values, "forget")); },
});

async function pin({ record, etag }, context) {
  try {
    await context.api.change(record.id, etag, { pinned: !record.pinned, why: record.pinned ? "unpinned" : "pinned" });
    await tell(record.pinned ? "Unpinned." : "Pinned: no policy lets it go.", record.id, context);
    changed(record.id);
  } catch (error) {
    wrong(error);
  }
}

const erase = ({ record }, context) => dialog({
  title: "Erase this memory for good",
  says: `“${shortened(record.text, 160)}” is taken out of everything, the log and the pages of the file included. This cannot be undone. Exports and backups that you made are yours to delete.`,
  fields: [{ name: "sure", label: "Write “erase” to go on", required: true }, reason],
  act: "Erase for good", danger: true,
  then: async (values) => {
    if (values.sure.trim().toLowerCase() !== "erase") throw new Error("Nothing was erased: write “erase” into the first field to go on.");
    const receipt = await context.api.erase(record.id, because(values, "erase"));
    const rest = receipt.derived.length ? ` ${receipt.derived.length} made from it may repeat it and are stale now: look at them.` : "";
    said(receipt.complete ? `Erased.${rest}` : `Erased from the memory. ${receipt.reason}${rest}`);
    changed(record.id);
  },
});

/** Say what was done, with a way back to before just this: what others do later is not undone. */
async function tell(done, id, context) {
  const [last] = (await context.api.history(id)).items;
  said(done, () => takeBack(last, context));
}

/** Undo the call of an operation: all that it did, the last first. */
async function takeBack(last, context) {
  try {
    const beside = (await context.api.log({ after: Math.max(0, last.n - 50), limit: 100 })).items.filter((each) => each.call === last.call);
    for (const each of beside.reverse()) if (each.who !== "cascade") await context.api.undo(each.n);
    said("Undone.");
    changed(...new Set(beside.map((each) => each.target)));
  } catch (error) {
    wrong(error);
  }
}
