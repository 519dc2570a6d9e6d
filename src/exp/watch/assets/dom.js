"use strict";
/* Elements made of plain values. Whatever comes from a file is text: nothing here or elsewhere takes HTML. */

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}
function el(tag, attributes, ...children) { return fill(document.createElement(tag), attributes, children); }
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}
function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 10 && size < 1e5) return value.toFixed(2);
  return String(Number(value.toPrecision(4)));
}
function short(value) {
  for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (Math.abs(value) >= limit) return Number((value / (unit === "k" ? 1e3 : limit)).toPrecision(3)) + unit;
  return String(Number(value.toPrecision(4)));
}
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  if (seconds < 100) return Math.round(seconds) + " s";
  const minutes = Math.floor(Math.round(seconds) / 60);
  return minutes < 60 ? minutes + " min " + Math.round(seconds) % 60 + " s" : Math.floor(minutes / 60) + " h " + minutes % 60 + " min";
}
function bytes(size) {
  if (!size) return "";
  for (const unit of ["B", "KB", "MB"]) { if (size < 1000) return Math.round(size) + " " + unit; size /= 1000; }
  return size.toFixed(1) + " GB";
}
function flat(options, prefix) {
  const found = {};
  for (const [key, value] of Object.entries(options || {})) {
    const name = prefix ? prefix + "." + key : key;
    if (value && typeof value === "object" && !Array.isArray(value)) Object.assign(found, flat(value, name));
    else found[name] = value === null ? "null" : Array.isArray(value) ? "[" + value.join(", ") + "]" : String(value);
  }
  return found;
}
function grid(headings, rows, numeric) {
  const kind = (place) => (numeric && numeric(place) ? "num" : "");
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, headings.map((text, place) => el("th", { class: kind(place), scope: "col" }, text)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, place) =>
      cell instanceof Node && cell.tagName === "TD" ? cell : el("td", { class: kind(place) }, cell)))))));
}
