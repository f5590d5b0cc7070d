// Remember something: a text, or files with progress as they are read.
import { dropped } from "./drop.js";
import { el, icon, refill } from "./dom.js";
import { hrefOf } from "./place.js";
import { bytes, changed, count, many, said, sentence } from "./say.js";

export function adding(at, context) {
  const imports = el("div", { class: "imports" });
  const take = (files) => context.writable && files.length && run([...files], imports, context);
  const picked = el("input", { id: "files", type: "file", multiple: true, class: "unseen", onchange: () => { take(picked.files); picked.value = ""; } });
  const node = el("section", { class: "adding", "aria-labelledby": "title" }, el("h1", { id: "title" }, "Add memories"),
    context.writable ? [
      el("section", { class: "card" }, el("h2", {}, "Files"),
        el("div", { class: "dropzone" }, icon("add"), el("p", {}, "Drop files anywhere on this page, or ", el("label", { for: "files", class: "button" }, "Choose files"), picked),
          el("p", { class: "hint" }, "Text, Markdown, chat exports (JSON lines), CSV, mail, and what else “mnemic add” reads."))),
      imports, form(context)]
      : el("p", { class: "notice" }, at.as_of ? "This is an earlier moment: go back to now to add something." : "You may read this space, but not write into it."));
  const arrived = () => take(dropped());
  return { node, shown: arrived, dropped: arrived };
}

function form(context) {
  const field = (name, label, hint) => el("div", { class: "field" }, el("label", { for: `new-${name}` }, label),
    el("input", { id: `new-${name}`, name, placeholder: hint, autocomplete: "off" }));
  const text = el("textarea", { id: "new-text", name: "text", rows: 4, "aria-required": "true" });
  const alert = el("div", { role: "alert", class: "alert" });
  return el("form", { class: "card", novalidate: true, onsubmit: (event) => remember(event, text, alert, context) }, el("h2", {}, "One memory"),
    el("div", { class: "field" }, el("label", { for: "new-text" }, "What is to be remembered"), text),
    el("div", { class: "fields" }, field("time", "When it was true", "2026-05-03"), field("speaker", "Who said it", "Ana"), field("source", "Where it is from", "a walk"), field("kind", "Kind", "episode")),
    alert, el("div", { class: "acts" }, el("button", { class: "primary", type: "submit" }, "Remember")));
}

async function remember(event, text, alert, context) {
  event.preventDefault();
  const given = [...new FormData(event.target)].filter(([, value]) => value.trim()).map(([name, value]) => [name, name === "text" ? value : value.trim()]);
  try {
    const { items: [outcome] } = await context.api.remember(Object.fromEntries(given));
    refill(alert);
    said({ added: "Remembered.", unchanged: "It was there already.", updated: "Its source said something else before: changed." }[outcome.state]);
    event.target.reset();
    changed(outcome.id);
    text.focus();
  } catch (error) {
    refill(alert, text.value.trim() ? sentence(error) : "There is no text to remember: write at least one word.");
  }
}

async function run(files, into, context) {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const stop = new AbortController();
  const bar = el("progress", { "aria-label": "Import", max: 100 });
  const told = el("p", { role: "status" }, `Sending ${bytes(size)}…`);
  const button = el("button", { onclick: () => stop.abort() }, "Stop");
  const reasons = el("div", {});
  const names = files.slice(0, 3).map((file) => file.name).join(", ") + (files.length > 3 ? ` and ${files.length - 3} more` : "");
  into.prepend(el("section", { class: "card", "aria-label": `Import of ${names}` }, el("div", { class: "titled" }, el("h2", {}, names), button), bar, told, reasons));
  let last = { added: 0, unchanged: 0, updated: 0, refused: 0 };
  let ended = "";
  try {
    for await (const { event, data } of context.api.send(files, stop.signal)) {
      if (event === "problem") throw new Error(data.detail);
      last = data;
      bar.value = data.size ? (100 * data.done) / data.size : 100;
      refill(told, counted(data));
      if (event === "done") ended = data.stopped ? " The server was stopped: send the files again for the rest." : " Done.";
      if (event === "done" && data.reasons.length) refill(reasons, refused(data.reasons, data.refused));
    }
    if (!ended) throw new Error("The connection was lost: what is counted here is remembered. Send the files again for the rest.");
    refill(told, `${counted(last)}${ended}`);
  } catch (error) {
    refill(told, `${counted(last)} ${error.name === "AbortError" ? "Stopped: what is counted here is remembered." : sentence(error)}`);
  }
  if (!bar.hasAttribute("value")) bar.value = 0;
  refill(button, "See them");
  button.replaceWith(el("a", { class: "button", href: hrefOf({ view: "memories", source: files.length === 1 ? files[0].name : null }) }, "See the memories"));
  if (last.added + last.updated) changed();
}

function counted({ added, unchanged, updated, refused: not }) {
  const parts = [`${count(added)} added`, unchanged && `${count(unchanged)} were there already`, updated && `${count(updated)} changed`, not && `${count(not)} refused`];
  return `${parts.filter(Boolean).join(", ")}.`;
}

const refused = (reasons, all) => el("details", {}, el("summary", {}, `Why ${many(all, "text was", "texts were")} refused`),
  el("ul", { class: "findings" }, reasons.slice(0, 100).map(({ where, reason }) => el("li", {}, el("b", {}, where), ` ${reason}`))));
