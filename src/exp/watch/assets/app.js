"use strict";
/* Which page is open, and what keeps it up to date: the server's events, or the values a static page brings along. */

const root = document.documentElement, main = document.getElementById("main"), top_ = document.getElementById("top");
const embedded = document.getElementById("data");
const known = { title: "", root: "", head: null, tables: [] };
const list = new CellList((cell) => "#/cell/" + encodeURIComponent(cell.i));
let connected = null, drawnFor = "", refreshing = false, again = false;

function kept(name, value) {
  try { if (value === undefined) return localStorage.getItem(name); localStorage.setItem(name, value); } catch { /* a page from disk may keep nothing */ }
  return null;
}
function setTheme(theme) { if (theme === "light" || theme === "dark") root.dataset.theme = theme; }
function turnTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
  kept("theme", root.dataset.theme);
}
setTheme(new URLSearchParams(location.search).get("theme") || kept("theme"));
const theme = el("button", { type: "button", class: "push", click: turnTheme, "aria-label": "light or dark" }, "◐");

function route() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map((part) => { try { return decodeURIComponent(part); } catch { return ""; } });
  return { kind: parts[0] || "cells", words: parts.slice(1) };
}
const help = {
  link: (cell) => "#/cell/" + encodeURIComponent(cell.i),
  picture: (data, name) => "picture?id=" + encodeURIComponent(data.cell.i) + "&name=" + encodeURIComponent(name),
  has: (cell) => list.cells.has(cell.i),
};
async function ask(path, values) {
  const answer = await fetch(path + "?" + new URLSearchParams(values));
  if (!answer.ok) throw new Error(answer.status === 404 ? "there is no such thing here (any more)" : "the program has answered " + answer.status);
  return answer.json();
}

/* The head: what is watched, and where one can go. */
function drawTop() {
  const open = route(), head = known.head;
  const tables = known.tables.map((one) => [one.name + (one.variant ? " " + one.variant : ""), "#/table/" + encodeURIComponent(one.name) + "/" + encodeURIComponent(one.variant)]);
  const here = open.kind === "table" ? "#/table/" + open.words.map(encodeURIComponent).join("/") : "#/";
  const links = [["cells", "#/"], ["curves", "#/curves"], ...tables];
  const at = open.kind === "curves" ? "#/curves" : open.kind === "cell" || open.kind === "compare" ? "" : here;
  top_.replaceChildren(
    el("div", { class: "bar" }, el("strong", {}, known.title || "exp watch"),
      connected === false && el("span", { class: "lost", role: "status" }, "not connected; showing what was known"),
      head && head.left !== null && el("span", { class: "soft" }, "about " + duration(head.left) + " left"),
      head && head.best && el("a", { class: "soft", href: help.link(head.best) }, "best: " + head.best.k + " " + number(head.best.v) + ", " + head.best.n), theme),
    el("nav", { "aria-label": "pages" }, links.map(([name, href]) => el("a", { href, "aria-current": href === at ? "page" : null }, name))));
}

/* The list of cells. */
const filter = el("input", { type: "search", placeholder: "filter by name, option or hash", "aria-label": "filter", input: () => { list.words = filter.value; list.arrange(); tell(); } });
const chips = el("div", { class: "bar", role: "group", "aria-label": "states" });
const compare = el("button", { type: "button", disabled: true, click: () => {
  const two = [...list.picked];
  if (two.length === 2) location.hash = "#/compare/" + two.map(encodeURIComponent).join("/");
} }, "compare two");
const told = el("span", { class: "soft", role: "status" }), whole = el("div");
list.onpick = () => { compare.disabled = list.picked.size !== 2; compare.textContent = list.picked.size ? "compare " + list.picked.size + " of 2" : "compare two"; };
function tell() {
  const reading = known.head && known.head.reading ? ", " + known.head.reading + " still to be read" : "";
  told.textContent = (list.shown.length === list.cells.size ? list.cells.size + " cells" : list.shown.length + " of " + list.cells.size + " cells") + reading;
}
function drawChips() {
  if (!known.head) return;
  whole.replaceChildren(meter(known.head.part));
  const counts = new Map();
  for (const cell of list.cells.values()) counts.set(cell.s, (counts.get(cell.s) || 0) + 1);
  const all = el("button", { type: "button", class: "chip", "aria-pressed": String(!list.state), click: () => choose("") }, "all " + list.cells.size);
  chips.replaceChildren(all, ...Object.keys(ORDER).filter((state) => counts.has(state) || list.state === state).map((state) =>
    el("button", { type: "button", class: "chip", "aria-pressed": String(list.state === state), click: () => choose(list.state === state ? "" : state) },
      el("span", { class: "state " + state }, (counts.get(state) || 0) + " " + state))));
}
function choose(state) { list.state = state; list.arrange(); drawChips(); tell(); }
const cellsPage = [whole, el("div", { class: "tools" }, chips), el("div", { class: "tools" }, filter, compare, told), list.box,
  el("p", { class: "keys" }, ["↑ ↓ choose", "Enter open", "c mark to compare", "/ filter", "Esc back", "t light or dark"].flatMap((words) => {
    const [key, ...rest] = words.split(" ");
    return [el("kbd", {}, key), " " + rest.join(" ") + "   "];
  }))];

/* Curves of all cells by row. */
let metric = "";
async function curvesPage() {
  const data = await ask("api/bands", { metric });
  if (!data.series.length && !data.metrics.length) return [el("h1", {}, "Curves"), el("p", { class: "soft" }, "nothing measured yet")];
  metric = data.metric;
  const choice = el("select", { "aria-label": "metric", change: () => { metric = choice.value; refresh(); } },
    data.metrics.map((name) => el("option", { value: name, ...(name === metric ? { selected: true } : {}) }, name)));
  return [el("h1", {}, "Curves"), el("p", { class: "tools" }, choice, el("span", { class: "soft" }, "a line a row, mean over its seeds; the band is one standard deviation")),
    chart({ title: data.metric, kind: "lines", x: "epoch", series: data.series })];
}
async function pageOf(open) {
  if (open.kind === "cell") return cellPage(await ask("api/cell", { id: open.words[0] }), help);
  if (open.kind === "compare") return comparePage(...(await Promise.all(open.words.slice(0, 2).map((id) => ask("api/cell", { id })))), help);
  if (open.kind === "table") return tablePage(await ask("api/table", { name: open.words[0], variant: open.words[1] || "" }), help);
  return curvesPage();
}
/* Draws the open page anew, one request at a time, and leaves alone what a reader has opened or scrolled. */
async function refresh() {
  if (embedded) return;
  if (refreshing) { again = true; return; }
  const open = route(), here = location.hash;
  drawTop();
  if (open.kind === "cells" || !["cell", "compare", "table", "curves"].includes(open.kind)) {
    if (drawnFor !== "cells") { main.replaceChildren(...cellsPage); drawnFor = "cells"; list.arrange(); list.box.focus({ preventScroll: true }); }
    drawChips(); tell();
    return;
  }
  refreshing = true;
  let nodes;
  try { nodes = await pageOf(open); }
  catch (error) { nodes = drawnFor === here ? null : [el("p", { class: "banner" }, error instanceof TypeError ? "exp watch does not answer; is it still running?" : error.message)]; }
  refreshing = false;
  if (here === location.hash && nodes) {
    const unfolded = drawnFor === here ? [...main.querySelectorAll("details")].map((one) => one.open) : [];
    const logs = drawnFor === here ? [...main.querySelectorAll("pre")].map((one) => [one.scrollTop, one.scrollTop + one.clientHeight >= one.scrollHeight - 4]) : [];
    main.replaceChildren(...nodes);
    [...main.querySelectorAll("details")].forEach((one, place) => { if (unfolded[place]) one.open = true; });
    [...main.querySelectorAll("pre")].forEach((one, place) => { one.scrollTop = logs[place] && !logs[place][1] ? logs[place][0] : one.scrollHeight; });
    if (drawnFor !== here) { scrollTo(0, 0); main.focus({ preventScroll: true }); }
    drawnFor = here;
  }
  if (again) { again = false; refresh(); }
}
function concerns(open, cells) {
  if (open.kind === "cell" || open.kind === "compare") return cells.some((cell) => open.words.includes(cell.i));
  return open.kind === "table" || open.kind === "curves" ? cells.length > 0 : true;
}
let waiting = null;
function take(news) {
  if (news.all) list.cells.clear();
  for (const cell of news.cells) list.cells.set(cell.i, cell);
  for (const id of news.gone) { list.cells.delete(id); list.picked.delete(id); }
  Object.assign(known, { title: news.title, root: news.root, head: news.head, tables: news.tables });
  document.title = (news.head.left !== null ? Math.round(100 * news.head.part) + " % " : "") + news.title + ", exp watch";
  const open = route();
  if (open.kind === "cells") { list.arrange(); refresh(); }
  else if (concerns(open, news.cells) && waiting === null) waiting = setTimeout(() => { waiting = null; refresh(); }, open.kind === "table" || open.kind === "curves" ? 2500 : 0);
  else drawTop();
}
function start() {
  const stream = new EventSource("events");
  stream.onmessage = (event) => { connected = true; take(JSON.parse(event.data)); };
  stream.onerror = () => { connected = false; drawTop(); if (stream.readyState === EventSource.CLOSED) setTimeout(start, 3000); };
  stream.onopen = () => { connected = true; drawTop(); };
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target instanceof HTMLInputElement && event.target.type === "search" || event.target instanceof HTMLSelectElement;
  if (event.key === "Escape") {
    if (typing) { filter.value = ""; list.words = ""; list.arrange(); tell(); list.box.focus(); }
    else if (!embedded && route().kind !== "cells") location.hash = "#/";
  } else if (typing) return;
  else if (event.key === "t") turnTheme();
  else if (event.key === "/" && !embedded) { event.preventDefault(); if (route().kind !== "cells") location.hash = "#/"; setTimeout(() => filter.focus(), 0); }
});
if (embedded) openStatic(JSON.parse(embedded.textContent));
else { addEventListener("hashchange", refresh); start(); refresh(); }

/* A static page: its values come with it, links lead to files. */
function openStatic(page) {
  const up = page.up, file = (cell) => up + "cells/" + encodeURIComponent(cell.i.replace("/", "-")) + ".html";
  const own = { link: file, picture: (data, name) => up + "pictures/" + encodeURIComponent(data.cell.i.replace("/", "-")) + "/" + name.split("/").map(encodeURIComponent).join("/"),
    has: (cell) => page.has.includes(cell.i), downloads: page.downloads, still: true };
  const links = [["tables", up + "index.html"], ...page.nav.map(([name, href]) => [name, up + href])];
  top_.replaceChildren(el("div", { class: "bar" }, el("strong", {}, page.title), theme),
    el("nav", { "aria-label": "pages" }, links.map(([name, href]) => el("a", { href, "aria-current": href === up + page.here ? "page" : null }, name))));
  if (page.kind === "cell") main.replaceChildren(...cellPage(page.data, own));
  if (page.kind === "table") main.replaceChildren(...tablePage(page.data, own));
}
