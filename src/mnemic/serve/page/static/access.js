// Which space, and with which token.
import { token } from "./api.js";
import { el, refill } from "./dom.js";
import { dialog } from "./dialog.js";
import { elsewhere, go } from "./place.js";
import { count } from "./say.js";

const OTHER = "\u0000other"; // no name of a space has a zero in it

/** A menu of the spaces, and the way into one that is not there yet. */
export function spaceMenu(into, known, here) {
  const names = known.some((each) => each.space === here) ? known : [...known, { space: here, records: 0 }];
  const menu = el("select", { id: "spaces", onchange: () => chosen(menu, here) },
    names.map((each) => el("option", { value: each.space, selected: each.space === here }, `${each.space} (${count(each.records)})`)),
    el("option", { value: OTHER }, "Another…"));
  refill(into, el("label", { for: "spaces" }, "Space"), menu);
}

function chosen(menu, here) {
  const name = menu.value;
  if (name !== OTHER) return go({ ...elsewhere, space: name, as_of: null, q: null });
  menu.value = here;
  dialog({
    title: "Another space",
    says: "A space is a memory of its own: of a person, an agent, a project. A new one begins with what is remembered there first.",
    fields: [{ name: "space", label: "Its name", required: true }],
    act: "Open",
    then: ({ space }) => go({ ...elsewhere, space: space.trim(), as_of: null, q: null }),
  });
}

/** Ask for a token; it stays in this tab and goes with it. */
export function tokenDialog(again, reason = "") {
  if (document.querySelector("dialog[data-token]")) return;
  const asked = dialog({
    title: "Token",
    says: reason || "What you may see and change depends on the token. This tab keeps it until it is closed; empty means none.",
    fields: [{ name: "secret", label: "Token", type: "password", value: token.get() }],
    act: "Use it",
    then: ({ secret }) => {
      token.set(secret.trim());
      again();
    },
  });
  asked.dataset.token = "";
}
