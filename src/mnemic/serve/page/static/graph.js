// The graph around a record. From left to right: what it comes from, the record, what leads on from it.
import { el, refill, svg } from "./dom.js";
import { go } from "./place.js";
import { sentence, shortened, when } from "./say.js";

const BOX = { width: 126, height: 54 }, GAP = { across: 78, down: 16 };
const BACK = new Set(["derived from", "replaces"]); // these point to what was before: it stands on the left
const LINE = 18; // characters of a line in a box

export function graph(id, context) {
  const inside = el("div", { class: "graph" });
  const deep = el("select", { id: "depth", onchange: () => load() }, [1, 2, 3].map((n) => el("option", { value: n }, n === 1 ? "1 step" : `${n} steps`)));
  const node = el("section", {}, el("div", { class: "titled" }, el("h3", {}, "What is around it"), el("label", { for: "depth", class: "unseen" }, "How far"), deep), inside);

  async function load() {
    try {
      const found = await context.api.graph(id, deep.value);
      refill(inside, found.edges.length ? [drawn(found, id), el("p", { class: "hint" }, "Arrow keys walk, Enter opens."), !found.whole && el("p", { class: "hint" }, "There is more than is shown.")]
        : el("p", { class: "soft" }, "Nothing is linked to it, made from it, or stands beside it."));
      middle(inside);
    } catch (error) {
      refill(inside, el("p", { class: "soft" }, sentence(error)));
    }
  }

  load();
  return node;
}

/** A wide graph opens with its middle in sight. */
function middle(inside) {
  const wide = inside.querySelector(".wide"), here = inside.querySelector(".here");
  if (!here) return;
  const [a, b] = [wide.getBoundingClientRect(), here.getBoundingClientRect()];
  wide.scrollBy(b.left + b.width / 2 - a.left - a.width / 2, b.top + b.height / 2 - a.top - a.height / 2);
}

/** Each node's column: how many steps it is away, negative to the left. */
function columns({ nodes, edges }, start) {
  const column = new Map([[start, 0]]);
  const arrows = edges.map(({ head, tail, relation }) => (BACK.has(relation) ? [tail, head] : [head, tail]));
  for (let front = [start]; front.length;) {
    const next = [];
    for (const at of front) {
      for (const [from, to] of arrows) {
        const other = from === at ? to : to === at ? from : null;
        if (other === null || column.has(other)) continue;
        const step = from === at ? 1 : -1, here = column.get(at);
        column.set(other, here === 0 ? step : here + Math.sign(here)); // away from the middle, on its own side
        next.push(other);
      }
    }
    front = next;
  }
  for (const { id } of nodes) if (!column.has(id)) column.set(id, 0);
  return column;
}

function places(found, start) {
  const column = columns(found, start);
  const first = Math.min(...column.values());
  const stacks = new Map();
  for (const node of found.nodes) stacks.set(column.get(node.id), [...(stacks.get(column.get(node.id)) ?? []), node]);
  const tallest = Math.max(...[...stacks.values()].map((stack) => stack.length));
  const height = tallest * (BOX.height + GAP.down) + GAP.down;
  const at = new Map();
  for (const [n, stack] of stacks) {
    const top = (height - stack.length * (BOX.height + GAP.down) + GAP.down) / 2;
    stack.forEach((node, row) => at.set(node.id, { x: 8 + (n - first) * (BOX.width + GAP.across), y: top + row * (BOX.height + GAP.down), column: n, row, node }));
  }
  const width = 16 + (Math.max(...column.values()) - first + 1) * (BOX.width + GAP.across) - GAP.across;
  return { at, width, height };
}

function drawn(found, start) {
  const { at, width, height } = places(found, start);
  const boxes = [...at.values()].map((place) => box(place, start, at));
  const lines = found.edges.filter((edge) => edge.head !== edge.tail).map((edge) => line(edge, at));
  return el("div", { class: "wide", tabindex: -1 }, svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": `${found.nodes.length - 1} memories and phrases around this one` },
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, svg("path", { d: "M0 0L8 4L0 8z", class: "tip" }))),
    svg("g", { "aria-hidden": "true" }, lines), boxes));
}

function line({ head, tail, relation }, at) {
  const [a, b] = [at.get(head), at.get(tail)];
  const middle = BOX.height / 2;
  const right = a.x < b.x, side = a.x === b.x;
  const x1 = side || right ? a.x + BOX.width : a.x, x2 = side ? b.x + BOX.width : right ? b.x : b.x + BOX.width;
  const [y1, y2] = [a.y + middle, b.y + middle];
  const bend = side ? 34 : right ? GAP.across / 2 : -GAP.across / 2;
  const path = `M${x1} ${y1}C${x1 + bend} ${y1} ${side ? x2 + bend : x2 - bend} ${y2} ${x2} ${y2}`;
  return [svg("path", { d: path, class: "arrow", "marker-end": "url(#tip)" }),
    svg("text", { x: (x1 + x2) / 2 + (side ? 26 : 0), y: (y1 + y2) / 2 - 5, class: "relation", "text-anchor": side ? "start" : "middle" }, shortened(relation, 16))];
}

function box({ x, y, node }, start, at) {
  const lines = wrapped(node.text);
  const record = node.type === "record";
  const relations = record ? "memory" : "phrase";
  return svg("g", { class: `node ${node.id === start ? "here" : ""} ${record ? "" : "phrase"} ${node.stale ? "stale" : ""}`, transform: `translate(${x} ${y})`, tabindex: node.id === start ? 0 : -1,
    role: record ? "link" : "img", "data-id": node.id, "aria-label": `${node.id === start ? "this memory" : relations}: ${shortened(node.text, 140)}${node.time ? `, ${when(node.time)}` : ""}`,
    onclick: () => record && node.id !== start && go({ record: node.id, op: null }),
    onkeydown: (event) => pressed(event, node.id, at, record && node.id !== start) },
  svg("title", {}, node.text), svg("rect", { width: BOX.width, height: BOX.height, rx: 9 }),
  lines.map((text, n) => svg("text", { x: 9, y: lines.length === 1 ? 32 : 23 + n * 18 }, text)));
}

function pressed(event, id, at, opens) {
  if (event.key === "Enter" && opens) go({ record: id, op: null });
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const here = at.get(id);
  const away = ({ column, row, y }) => (step[0] ? Math.abs(y - here.y) : Math.abs(row - here.row - step[1]));
  const fits = [...at.values()].filter((each) => (step[0] ? each.column === here.column + step[0] : each.column === here.column && Math.sign(each.row - here.row) === step[1]));
  const next = fits.sort((a, b) => away(a) - away(b))[0];
  if (!next) return;
  const nodes = event.currentTarget.ownerSVGElement.querySelectorAll(".node");
  for (const each of nodes) {
    each.setAttribute("tabindex", each.dataset.id === next.node.id ? 0 : -1);
    if (each.dataset.id === next.node.id) each.focus();
  }
}

/** Two lines of a text, as far as it goes. */
function wrapped(text) {
  const line = shortened(text, 2 * LINE);
  if (line.length <= LINE) return [line];
  const space = line.lastIndexOf(" ", LINE);
  const cut = space > 8 ? space : LINE;
  return [line.slice(0, cut), shortened(line.slice(cut), LINE)];
}
