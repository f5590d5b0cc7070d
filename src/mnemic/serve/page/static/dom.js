// Elements. Text goes in as text nodes, whatever it says: there is no other way in here.

const SVG = "http://www.w3.org/2000/svg";

/** el("button", { class: "quiet", onclick: act }, "Undo"): null and false attributes and children are left out. */
export const el = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);

export const svg = (name, attributes, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  put(node, children);
  return node;
}

/** Append children: nodes, texts, lists of both. */
export function put(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** Take out what is inside, put something else in. */
export function refill(node, ...children) {
  node.replaceChildren();
  return put(node, ...children);
}

/** Sizes that only the script knows; the policy forbids style attributes, not this. */
export function sized(node, sizes) {
  for (const [name, value] of Object.entries(sizes)) node.style.setProperty(name, value);
  return node;
}

const ICONS = {
  memories: "M4 5h16M4 12h16M4 19h10",
  timeline: "M12 7v5l3 2M12 3a9 9 0 1 1-8.5 6M3 4v5h5",
  audit: "M9 11l3 3 7-8M20 12v6a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2h8",
  sizes: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  add: "M12 4v12M7 11l5 5 5-5M4 20h16",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14M16 16l5 5",
  theme: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
  key: "M14 10a4 4 0 1 1-8 0 4 4 0 0 1 8 0zM13 13l7 7M17 17l2-2",
};

export const icon = (name) =>
  svg("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", class: "icon" },
    svg("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round" }));
