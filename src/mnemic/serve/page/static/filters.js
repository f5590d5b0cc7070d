// What the listing and the search leave out.
import { el, put } from "./dom.js";
import { wrong } from "./say.js";

const NAMES = ["kind", "speaker", "source", "since", "until", "current", "stale"];

export function filters(at, context, again) {
  const kinds = el("select", { id: "kind", name: "kind", onchange: again }, el("option", { value: "" }, "any"),
    at.kind && el("option", { value: at.kind, selected: true }, at.kind));
  const text = (name, label, hint) => el("div", { class: "field" }, el("label", { for: name }, label),
    el("input", { id: name, name, value: at[name] ?? "", placeholder: hint, onchange: again, autocomplete: "off" }));
  const tick = (name, label) => el("label", { class: "tick" }, el("input", { type: "checkbox", name, checked: Boolean(at[name]), onchange: again }), label);
  const used = NAMES.filter((name) => at[name]).length;
  return el("details", { class: "filters", open: used > 0, ontoggle: (event) => event.target.open && offer(kinds, context) },
    el("summary", {}, "Filters"),
    el("div", { class: "fields" },
      el("div", { class: "field" }, el("label", { for: "kind" }, "Kind"), kinds),
      text("speaker", "Said by", "Ana"), text("source", "Source", "notes/*"),
      text("since", "True since", "2026-05"), text("until", "True until", "2026-06-30"),
      el("div", { class: "ticks" }, tick("current", "only what still holds"), tick("stale", "without what is stale"))));
}

/** The kinds that there are, when somebody looks. */
async function offer(menu, context) {
  if (menu.dataset.known) return;
  menu.dataset.known = "yes";
  try {
    const { kinds } = await context.api.stats();
    for (const kind of Object.keys(kinds)) if (kind !== menu.value) put(menu, el("option", { value: kind }, kind));
  } catch (error) {
    wrong(error);
  }
}

/** The filters of a form, as they stand in the address. */
export function asked(form) {
  return Object.fromEntries(NAMES.map((name) => {
    const node = form.elements[name];
    return [name, (node.type === "checkbox" ? node.checked && "1" : node.value.trim()) || null];
  }));
}
