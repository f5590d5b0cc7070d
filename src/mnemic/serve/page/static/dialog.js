// Questions to the person: a few fields, one verb, a way out. What goes wrong is said in the dialog, and nothing is lost.
import { el, refill } from "./dom.js";
import { sentence } from "./say.js";

let dialogs = 0;

/**
 * fields  [{ name, label, value, type ("text", "area", "password", ...), hint, required }]
 * then    (values) -> done, or throws what is shown; the dialog stays open then
 * failed  (error, put) -> shows more about an error, if there is more to show
 */
export function dialog({ title, says = "", fields = [], act, danger = false, then, failed = null }) {
  const id = `dialog${(dialogs += 1)}`;
  const opener = document.activeElement;
  const inputs = fields.map((field) => [field, input(field, `${id}-${field.name}`)]);
  const alert = el("div", { role: "alert", class: "alert" });
  const submit = el("button", { type: "submit", class: danger ? "danger" : "primary" }, act);
  const form = el("form", { novalidate: true, onsubmit: (event) => sent(event) },
    el("h2", { id }, title),
    says && el("p", { class: "soft" }, says),
    inputs.map(([field, node]) => el("div", { class: "field" }, el("label", { for: node.id }, field.label), node,
      field.hint && el("p", { class: "hint", id: `${node.id}-hint` }, field.hint))),
    alert,
    el("div", { class: "acts" }, submit, el("button", { type: "button", onclick: () => node.close() }, "Cancel")));
  const node = el("dialog", { "aria-labelledby": id, onclose: gone }, form);

  function gone() {
    node.remove();
    if (opener?.isConnected) opener.focus();
    else document.querySelector("#pane:not([hidden]) h2, #main")?.focus();
  }

  async function sent(event) {
    event.preventDefault();
    const empty = inputs.find(([field, box]) => field.required && !box.value.trim());
    if (empty) {
      refill(alert, `${empty[0].label}: this cannot be empty.`);
      empty[1].focus();
      return;
    }
    submit.disabled = true;
    try {
      await then(Object.fromEntries(inputs.map(([field, box]) => [field.name, box.value])));
      node.close();
    } catch (error) {
      refill(alert, el("p", {}, sentence(error)), await failed?.(error));
    }
    submit.disabled = false;
  }

  document.body.append(node);
  node.showModal();
  return node;
}

function input({ name, type = "text", value = "", hint, required }, id) {
  const common = { id, name, "aria-describedby": hint ? `${id}-hint` : null, "aria-required": required ? "true" : null, autocomplete: "off", spellcheck: type === "area" ? "true" : "false" };
  return type === "area" ? el("textarea", { ...common, rows: 5, value }) : el("input", { ...common, type, value });
}
