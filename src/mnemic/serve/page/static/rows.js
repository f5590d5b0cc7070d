// A list of any length: only the rows in sight are in the page. For a screen reader it is a listbox that says where in
// it one is; the keyboard walks it with the arrows, Page Up and Down, Home and End.
import { el, refill, sized } from "./dom.js";

const AHEAD = 12; // rows above and below what is in sight
const SOON = 300; // rows before the end at which more are asked for

let lists = 0;

export class Rows {
  /**
   * height  of a row, in pixels
   * draw    (item) -> children of a row
   * open    (item) -> what Enter or a click does
   * more    () -> the next items, or null at the end
   */
  constructor({ label, height, draw, open, more, key = (item) => item.id }) {
    Object.assign(this, { height, draw, open, more, key, items: [], total: null, at: 0, chosen: null, ended: false, news: 0 });
    this.id = `rows${(lists += 1)}`;
    this.room = el("div", { role: "presentation", class: "room" });
    this.node = el("div", { class: "rows", role: "listbox", tabindex: 0, "aria-label": label,
      onscroll: () => this.paint(), onkeydown: (event) => this.pressed(event), onfocus: () => this.paint() }, this.room);
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.node);
  }

  add(items) {
    this.items.push(...items);
    this.paint();
  }

  /** Take over what a record is now; null when it has gone; on top when it is new. */
  replace(id, item) {
    const at = this.items.findIndex((each) => this.key(each) === id);
    if (at < 0 && !item) return;
    if (at < 0) this.items.unshift(item);
    else if (item) this.items[at] = item;
    else this.items.splice(at, 1);
    if (this.total !== null) this.total += (at < 0) - !item;
    this.at = Math.max(0, Math.min(this.at, this.items.length - 1));
    this.news += 1;
    this.paint();
  }

  choose(id) {
    this.chosen = id;
    this.paint();
  }

  paint() {
    sized(this.room, { height: `${this.items.length * this.height}px` });
    const top = this.node.scrollTop / this.height;
    const step = Math.floor(top / AHEAD) * AHEAD; // painted again only when this many rows have gone by
    const first = Math.max(0, step - AHEAD);
    const last = Math.min(this.items.length, step + Math.ceil(this.node.clientHeight / this.height) + 2 * AHEAD);
    if (last > this.items.length - SOON) this.ask();
    const shows = [first, last, this.at, this.chosen, this.items.length, this.total, this.ended, this.news].join();
    if (shows === this.shows) return;
    this.shows = shows;
    const shown = [];
    for (let at = first; at < last; at += 1) shown.push(this.row(at));
    if (this.items.length && (this.at < first || this.at >= last)) shown.push(this.row(this.at)); // what has the focus stays
    refill(this.room, shown);
    if (this.items.length) this.node.setAttribute("aria-activedescendant", `${this.id}-${this.at}`);
  }

  row(at) {
    const item = this.items[at];
    const known = this.ended ? this.items.length : this.total ?? -1;
    const node = el("div", { role: "option", id: `${this.id}-${at}`, class: at === this.at ? "row active" : "row",
      "aria-selected": this.key(item) === this.chosen ? "true" : "false", "aria-posinset": at + 1, "aria-setsize": known,
      onclick: () => { this.at = at; this.open(item); this.paint(); } }, this.draw(item));
    return sized(node, { height: `${this.height}px`, transform: `translateY(${at * this.height}px)` });
  }

  async ask() {
    if (this.asking || this.ended || !this.more) return;
    this.asking = true;
    try {
      const items = await this.more();
      this.ended = items === null;
      if (items) this.items.push(...items);
    } catch {
      this.ended = true; // who gave `more` has told what went wrong
    } finally {
      this.asking = false;
    }
    this.paint();
  }

  pressed(event) {
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.height) - 1);
    const end = this.items.length - 1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.at, End: end - this.at };
    if ((event.key === "Enter" || event.key === " ") && this.items.length) this.open(this.items[this.at]);
    else if (event.key in steps) this.move(Math.min(end, Math.max(0, this.at + steps[event.key])));
    else return;
    event.preventDefault();
  }

  move(at) {
    this.at = Math.max(0, at);
    const top = this.at * this.height;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (top + this.height > this.node.scrollTop + this.node.clientHeight) this.node.scrollTop = top + this.height - this.node.clientHeight;
    this.paint();
  }
}
