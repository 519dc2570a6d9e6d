"use strict";
/* The list of cells: filtered, sorted, and drawn only where it is in sight, so that ten thousand cost what fifty do. */

const COLUMNS = [
  { key: "pick", title: "" }, { key: "n", title: "cell" }, { key: "s", title: "state" }, { key: "f", title: "epoch", class: "epochs" },
  { key: "v", title: "metric (best)", num: true }, { key: "r", title: "samples/s", num: true, class: "speed" },
  { key: "l", title: "time", num: true, class: "left" }, { key: "note", title: "" }];
const ORDER = { running: 0, failed: 1, diverged: 2, waiting: 3, done: 4, reading: 5 };
const collator = new Intl.Collator(undefined, { numeric: true });

class CellList {
  constructor(link) {
    this.link = link;
    this.cells = new Map();
    this.words = ""; this.state = ""; this.sort = "s"; this.up = true;
    this.chosen = null; this.picked = new Set(); this.shown = []; this.rows = new Map();
    this.onpick = () => {};
    this.sheet = el("div", { class: "sheet", role: "rowgroup" });
    this.heads = COLUMNS.map((column) => el("span", { role: "columnheader", class: (column.num ? "num " : "") + (column.class || column.key),
      "data-sort": column.key === "pick" || column.key === "note" ? null : column.key, tabindex: column.key === "pick" || column.key === "note" ? null : 0,
      click: () => this.sortBy(column.key), keydown: (event) => { if (event.key === "Enter") { event.stopPropagation(); this.sortBy(column.key); } } }, column.title));
    this.box = el("div", { class: "cells", role: "table", "aria-label": "cells", tabindex: 0, scroll: () => this.draw(), keydown: (event) => this.press(event) },
      el("div", { class: "row head", role: "row" }, this.heads), this.sheet);
    addEventListener("resize", () => { this.rows.clear(); this.sheet.replaceChildren(); this.draw(); });
  }
  get height() { return matchMedia("(max-width: 760px)").matches ? 52 : 34; }
  sortBy(key) {
    if (key === "pick" || key === "note") return;
    this.up = this.sort === key ? !this.up : !["v", "r"].includes(key);
    this.sort = key;
    this.arrange();
  }
  value(cell) {
    if (this.sort === "s") return ORDER[cell.s];
    if (this.sort === "l") return cell.l ?? cell.t ?? null;
    return cell[this.sort] ?? null;
  }
  arrange() {
    const words = this.words.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (cell) => (!this.state || cell.s === this.state) &&
      words.every((word) => (cell.n + " " + cell.i + " " + cell.s).toLowerCase().includes(word));
    const listed = [...this.cells.values()].filter(fits).map((cell) => [this.value(cell), cell]);
    const sign = this.up ? 1 : -1;
    listed.sort(([a, x], [b, y]) => {
      if (a === null || b === null) return (a === null) - (b === null) || collator.compare(x.n, y.n);
      const order = typeof a === "number" ? a - b : collator.compare(a, b);
      return sign * order || collator.compare(x.n, y.n) || (x.i < y.i ? -1 : 1);
    });
    this.shown = listed.map(([, cell]) => cell);
    this.heads.forEach((head, place) => head.setAttribute("aria-sort", COLUMNS[place].key === this.sort ? (this.up ? "ascending" : "descending") : "none"));
    this.draw();
  }
  draw() {
    const height = this.height, first = Math.max(0, Math.floor(this.box.scrollTop / height) - 8);
    const last = Math.min(this.shown.length, Math.ceil((this.box.scrollTop + (this.box.clientHeight || 900)) / height) + 8);
    this.sheet.style.height = this.shown.length * height + "px";
    const kept = new Set();
    for (let place = first; place < last; place++) {
      const cell = this.shown[place], known = this.rows.get(cell.i), picked = this.picked.has(cell.i), chosen = cell.i === this.chosen;
      kept.add(cell.i);
      const row = known && known.cell === cell && known.picked === picked && known.chosen === chosen ? known.row : this.row(cell, picked, chosen);
      row.style.top = place * height + "px";
      row.setAttribute("aria-rowindex", place + 1);
      if (known && known.row !== row) known.row.replaceWith(row); else if (!row.parentNode) this.sheet.append(row);
      this.rows.set(cell.i, { cell, row, picked, chosen });
    }
    for (const [id, known] of this.rows) if (!kept.has(id)) { known.row.remove(); this.rows.delete(id); }
  }
  row(cell, picked, chosen) {
    const best = cell.v !== undefined && cell.now !== undefined && number(cell.v) !== number(cell.now) && cell.s === "running" ? " (" + number(cell.v) + ")" : "";
    const value = cell.now ?? cell.v, note = cell.x || (cell.a ? "alarm: " + cell.a : "");
    const where = [cell.d, cell.mem ? bytes(cell.mem) : "", cell.h].filter(Boolean).join(", ");
    return el("div", { class: "row" + (chosen ? " chosen" : ""), role: "row", "data-id": cell.i },
      el("input", { type: "checkbox", "aria-label": "compare " + cell.n, ...(picked ? { checked: true } : {}), change: () => this.pick(cell.i) }),
      el("a", { href: this.link(cell), title: cell.i }, cell.n),
      el("span", { class: "state " + cell.s }, cell.s),
      el("span", { class: "epochs" }, cell.m ? (cell.e || 0) + "/" + cell.m : cell.e ?? "", cell.s === "running" && meter(cell.f)),
      el("span", { class: "num metric" }, value === undefined ? "" : cell.k + " " + number(value) + best),
      el("span", { class: "num speed" }, cell.r ? short(Math.round(cell.r)) : ""),
      el("span", { class: "num left" }, cell.l !== undefined ? duration(cell.l) + " left" : cell.t ? duration(cell.t) : ""),
      el("span", { class: "note " + (cell.x ? cell.s : cell.a ? "warn" : "soft"), title: note || where }, note || where));
  }
  pick(id) {
    if (!this.picked.delete(id)) this.picked.add(id);
    while (this.picked.size > 2) this.picked.delete(this.picked.values().next().value);
    this.draw();
    this.onpick();
  }
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      const place = this.shown.findIndex((cell) => cell.i === this.chosen);
      const next = Math.min(this.shown.length - 1, Math.max(0, (place < 0 && steps[event.key] > 0 ? -1 : place) + steps[event.key]));
      if (!this.shown.length) return;
      this.chosen = this.shown[Number.isFinite(next) ? next : 0].i;
      const top = next * this.height, view = this.box.clientHeight - this.height;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + this.height > this.box.scrollTop + view) this.box.scrollTop = top + this.height - view;
      this.draw();
    } else if (event.key === "Enter" && this.chosen && event.target === this.box) {
      const cell = this.cells.get(this.chosen);
      if (cell) location.assign(this.link(cell));
    } else if (event.key === "c" && this.chosen) this.pick(this.chosen);
  }
}
function meter(part) {
  const inner = el("i");
  inner.style.width = Math.round(100 * (part || 0)) + "%";
  return el("div", { class: "meter", role: "progressbar", "aria-valuenow": Math.round(100 * (part || 0)), "aria-valuemin": 0, "aria-valuemax": 100 }, inner);
}
