"use strict";
/* One cell, two cells beside one another, one table: each drawn from what the server or the static page hands over. */

const NAMES = { params: "parameters", macs: "MACs", train_seconds: "training", epochs: "epochs", samples_seen: "samples seen",
  world_size: "devices", threads: "threads", attempts: "attempts", disk_bytes: "on disk" };

const COLOURS = { val: 0, test: 0, train: 1, step: 2 };

function fact(name, value, kind) {
  return value === undefined || value === null || value === "" ? null : el("div", { class: kind || "" }, el("span", {}, name), value);
}
function costText(name, value) {
  return value === undefined ? "–" : name === "train_seconds" ? duration(value) : name === "disk_bytes" ? bytes(value) : short(value);
}
function facts(data) {
  const cell = data.cell;
  const shown = Object.entries(data.facts).filter(([name]) => NAMES[name]).map(([name, value]) => fact(NAMES[name], costText(name, value)));
  return el("div", { class: "facts" },
    fact("state", cell.s, "state " + cell.s), cell.m && fact("epoch", (cell.e || 0) + " of " + cell.m),
    cell.v !== undefined && fact("best " + cell.k, number(cell.v)), cell.now !== undefined && cell.s === "running" && fact(cell.k + " now", number(cell.now)),
    cell.l !== undefined && fact("time left", "about " + duration(cell.l)), cell.r && fact("samples a second", short(Math.round(cell.r))),
    fact("device", cell.d), cell.mem && fact("memory", bytes(cell.mem)), fact("host", cell.h), shown,
    fact("last alarm", cell.a, "warn"));
}
/* Metrics of the same name in one figure: training and evaluation beside one another. */
function figuresOf(curves, monitor) {
  const byName = new Map();
  for (const key of Object.keys(curves)) {
    const cut = key.indexOf("/"), split = key.slice(0, cut), name = key.slice(cut + 1);
    const group = split === "step" || split === "grad" ? name + ", within epochs" : name;
    if (!byName.has(group)) byName.set(group, []);
    byName.get(group).push([split, key]);
  }
  const first = (name) => (name === monitor ? 0 : name === "loss" ? 1 : name.endsWith("within epochs") ? 3 : 2);
  return [...byName].sort(([a], [b]) => first(a) - first(b)).map(([name, keys]) => ({
    title: name, kind: "lines", x: name.endsWith("within epochs") ? "step" : "epoch",
    series: keys.map(([split, key], place) => ({ name: split, index: COLOURS[split] ?? 2 + place, points: curves[key].map(([x, y]) => [x, y, null, null]) })) }));
}
function cellPage(data, help) {
  const figures = figuresOf(data.curves, data.monitor), main = figures.slice(0, 4), others = figures.slice(4);
  const test = Object.entries(data.test), options = Object.entries(flat(data.options));
  return [
    el("h1", {}, data.cell.n), el("p", { class: "soft" }, el("code", {}, data.path)),
    data.cell.x ? el("p", { class: "banner " + data.cell.s }, data.cell.x) : null,
    facts(data),
    data.error && [el("h2", {}, "Error"), el("pre", { class: "error" }, data.error)],
    figures.length > 0 && [el("h2", {}, "Curves"), el("div", { class: "charts" }, main.map(chart))],
    others.length > 0 && el("details", {}, el("summary", {}, others.length + " further metrics"), el("div", { class: "charts" }, others.map(chart))),
    test.length > 0 && [el("h2", {}, "Test"), grid(["metric", "value"], test.map(([name, value]) => [name, number(value)]), (place) => place === 1)],
    data.pictures.length > 0 && [el("h2", {}, "Pictures"), picturesOf(data, help)],
    !help.still && [el("h2", {}, "Log"), data.log ? el("pre", { class: "log" }, data.log) : el("p", { class: "soft" }, "nothing in log.txt; a cell outside a sweep writes to its terminal")],
    options.length > 0 && el("details", {}, el("summary", {}, options.length + " options"), grid(["option", "value"], options.map(([key, value]) => [key, el("td", { class: "wide" }, value)]))),
  ].flat(2).filter(Boolean);
}
function picturesOf(data, help) {
  return el("div", { class: "pictures" }, data.pictures.map((name) =>
    el("figure", {}, el("figcaption", {}, name), el("img", { src: help.picture(data, name), alt: data.cell.n + ": " + name, loading: "lazy" }))));
}
function comparePage(first, second, help) {
  const a = flat(first.options), b = flat(second.options), skip = /^(sweep|cells|logger|origin)\./;
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key] && !skip.test(key));
  const scores = [...new Set([...Object.keys(first.test), ...Object.keys(second.test)])];
  const costs = [...new Set([...Object.keys(first.facts), ...Object.keys(second.facts)])].filter((key) => NAMES[key]);
  const both = (name, read) => [name, number(read(first)), number(read(second)), read(first) !== undefined && read(second) !== undefined ? number(read(second) - read(first)) : "–"];
  const shared = new Set([...Object.keys(first.curves), ...Object.keys(second.curves)]);
  const figures = [...shared].filter((key) => !key.startsWith("step/")).map((key) => ({ title: key, kind: "lines", x: "epoch",
    series: [first, second].map((one, index) => ({ name: one.cell.n, index, points: (one.curves[key] || []).map(([x, y]) => [x, y, null, null]) })) }));
  const heads = ["", first.cell.n, second.cell.n];
  return [
    el("h1", {}, first.cell.n, " and ", second.cell.n),
    el("p", { class: "apart" }, [first, second].map((one) => el("span", {}, el("a", { href: help.link(one.cell) }, one.cell.n), " ", el("span", { class: "state " + one.cell.s }, one.cell.s)))),
    el("h2", {}, "Options that differ"), keys.length ? grid(heads, keys.map((key) => [key, a[key] ?? "–", b[key] ?? "–"])) : el("p", { class: "soft" }, "none"),
    scores.length > 0 && [el("h2", {}, "Test"), grid([...heads, "difference"], scores.map((name) => both(name, (one) => one.test[name])), (place) => place > 0)],
    costs.length > 0 && [el("h2", {}, "Cost"), grid(heads, costs.map((name) => [NAMES[name], costText(name, first.facts[name]), costText(name, second.facts[name])]), (place) => place > 0)],
    figures.length > 0 && [el("h2", {}, "Curves"), el("div", { class: "charts" }, figures.map(chart))],
    first.pictures.concat(second.pictures).length > 0 && [el("h2", {}, "Pictures"), el("div", { class: "charts" }, [first, second].map((one) => picturesOf(one, help)))],
  ].flat(2).filter(Boolean);
}
function downloadsOf(downloads) {
  const links = (some) => some.map(([name, href]) => el("a", { href, download: "" }, name));
  const isFigure = ([, href]) => href.includes("/figures/");
  return [el("p", { class: "apart" }, "Download: ", links(downloads.filter((one) => !isFigure(one)))),
    el("details", {}, el("summary", {}, "figures as files"), el("p", { class: "apart" }, links(downloads.filter(isFigure))))];
}
function tablePage(data, help) {
  if (data.problem) return [el("h1", {}, data.name), el("p", { class: "banner" }, data.problem)];
  const kind = (headings) => (place) => ["reproduced", "measured", "difference", "95 % interval", "effect", "p (corrected)", "delta"].includes(headings[place]);
  const states = new Map();
  for (const cell of data.cells) states.set(cell.s, (states.get(cell.s) || 0) + 1);
  return [
    el("h1", {}, data.name + ": " + data.title),
    el("p", { class: "apart" }, data.variant && el("code", {}, data.variant), [...states].map(([state, n]) => el("span", { class: "state " + state }, n + " " + state))),
    data.sources.map((source) => el("p", { class: "soft" }, "source: " + source)),
    data.label && el("p", { class: "banner" }, data.label),
    data.remarks.map((text) => el("p", { class: "banner" }, text)),
    help.downloads && downloadsOf(help.downloads),
    data.columns.map((column) => [el("h2", {}, column.title), grid(column.headings, column.rows.map((row, line) => row.map((text, place) => {
      const heading = column.headings[place], marked = heading === "verdict" || (heading === "delta" && column.kinds[line] === "outside");
      return el("td", { class: [kind(column.headings)(place) ? "num" : "", marked ? column.kinds[line] : "", heading === "published" ? "published" : ""].filter(Boolean).join(" ") }, text);
    })), kind(column.headings)), column.below && el("p", { class: "soft" }, column.below)]),
    data.costs.rows.some((row) => row.slice(1).some((text) => text !== "-")) && [el("h2", {}, "Cost"), grid(data.costs.headings, data.costs.rows, (place) => place > 0)],
    data.claims.rows.length > 0 && [el("h2", {}, "Claims"), grid(data.claims.headings, data.claims.rows.map((line) => line.map((text, place) =>
      el("td", { class: { verdict: text, claim: "wide", "rests on": "wide" }[data.claims.headings[place]] || "" }, text))))],
    data.figures.length > 0 && [el("h2", {}, "Figures"), el("p", { class: "soft" }, "bands and whiskers: one standard deviation over seeds; intervals: 95 %"), el("div", { class: "charts" }, data.figures.map(chart))],
    data.notes.length > 0 && [el("h2", {}, "Notes and doubts"), el("ul", {}, data.notes.map((note) => el("li", {}, note)))],
    el("h2", {}, "Cells"), seedsOf(data.cells, help),
  ].flat(3).filter(Boolean);
}
/* A line a row of the table, a link a seed. */
function seedsOf(cells, help) {
  const rows = new Map();
  for (const cell of cells) {
    const cut = cell.n.lastIndexOf(" s"), row = cell.n.slice(0, cut);
    if (!rows.has(row)) rows.set(row, []);
    const seed = [el("span", { class: "state " + cell.s }, cell.s), " ", cell.n.slice(cut + 1)];
    rows.get(row).push(el("td", {}, help.has(cell) ? el("a", { href: help.link(cell) }, seed) : seed));
  }
  return el("div", { class: "scroll" }, el("table", { class: "seeds" }, el("tbody", {},
    [...rows].map(([row, seeds]) => el("tr", {}, el("th", { scope: "row" }, row), seeds)))));
}
