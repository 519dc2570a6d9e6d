"use strict";
/* Curves with bands, points with whiskers and forests of intervals, as SVG in the colours of the page. */

const CHART = { width: 620, height: 300, left: 56, right: 14, top: 10, bottom: 40 };

function ticks(low, high, count) {
  if (high <= low) { low -= 0.5; high += 0.5; }
  const raw = (high - low) / count, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * size).find((one) => one >= raw * 0.999);
  const marks = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k++) marks.push(Number((k * step).toPrecision(12)));
  return marks;
}
function range(values, room) {
  const low = Math.min(...values), high = Math.max(...values);
  const space = (high - low) * room || Math.abs(high) * room || 0.5;
  return [low - space, high + space];
}
function scale(low, high, start, end) { return (value) => start + ((value - low) / (high - low || 1)) * (end - start); }
function least(values) { return values.reduce((a, b) => Math.min(a, b), Infinity); }
function most(values) { return values.reduce((a, b) => Math.max(a, b), -Infinity); }

/* figure: {title, kind: "lines" | "steps" | "points" | "forest", x, y, log, series: [{name, index, strong, points: [[x, y, low, high]]}]} */
function chart(figure) {
  const series = figure.series.filter((one) => one.points.length);
  const caption = el("figcaption", {}, figure.title);
  if (!series.length) return el("figure", {}, caption, el("p", { class: "soft" }, "nothing measured yet"));
  if (figure.kind === "forest") return el("figure", {}, caption, forest(figure, series));
  const box = CHART, points = series.flatMap((one) => one.points);
  const ys = points.flatMap((p) => [p[1], p[2], p[3]]).filter((v) => v !== null && v !== undefined);
  const [yLow, yHigh] = range([least(ys), most(ys)], 0.06);
  const at = figure.log ? (x) => Math.log10(x) : (x) => x;
  const xs = points.map((p) => at(p[0]));
  let [xLow, xHigh] = [least(xs), most(xs)];
  if (figure.kind === "points" || xLow === xHigh) [xLow, xHigh] = range([xLow, xHigh], 0.1);
  const inner = scale(xLow, xHigh, box.left, box.width - box.right), x = (value) => inner(at(value));
  const y = scale(yLow, yHigh, box.height - box.bottom, box.top), floor = box.height - box.bottom;
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${box.width} ${box.height}`, role: "img", "aria-label": figure.title });
  for (const mark of ticks(yLow, yHigh, 5)) picture.append(
    svg("line", { class: "grid", x1: box.left, x2: box.width - box.right, y1: y(mark), y2: y(mark) }),
    svg("text", { x: box.left - 7, y: y(mark) + 4, "text-anchor": "end" }, short(mark)));
  const marks = figure.log ? ticks(xLow, xHigh, 4).map((m) => Number((10 ** m).toPrecision(2))) : ticks(xLow, xHigh, 7);
  const whole = figure.kind === "lines" ? marks.filter((mark) => Number.isInteger(mark)) : marks;
  for (const mark of whole) if (x(mark) >= box.left - 1 && x(mark) <= box.width - box.right + 1) picture.append(
    svg("line", { class: "axis", x1: x(mark), x2: x(mark), y1: floor, y2: floor + 4 }),
    svg("text", { x: x(mark), y: floor + 17, "text-anchor": "middle" }, short(mark)));
  picture.append(svg("line", { class: "axis", x1: box.left, x2: box.width - box.right, y1: floor, y2: floor }),
    svg("text", { x: (box.left + box.width) / 2, y: box.height - 6, "text-anchor": "middle" }, figure.x));
  for (const one of series) picture.append(figure.kind === "points" ? dot(one, x, y) : curve(figure.kind === "steps" ? stepped(one) : one, x, y));
  const legend = el("div", { class: "legend" }, series.map((one) => el("span", { class: "c" + one.index % 10 }, one.name)));
  if (figure.kind === "lines") follow(picture, legend, series, x, floor);
  return el("figure", {}, caption, picture, legend);
}
/* A histogram's outline: each share over the whole of its bin. */
function stepped(one) {
  const half = one.points.length > 1 ? (one.points[1][0] - one.points[0][0]) / 2 : 0.5;
  return { ...one, points: one.points.flatMap(([x, y]) => [[x - half, y, null, null], [x + half, y, null, null]]) };
}
function curve(one, x, y) {
  const group = svg("g", { class: "c" + one.index % 10 }, svg("title", {}, one.name));
  const band = one.points.filter((p) => p[2] !== null && p[2] !== undefined);
  if (band.length > 1) group.append(svg("polygon", { class: "band", points:
    [...band.map((p) => [p[0], p[3]]), ...band.slice().reverse().map((p) => [p[0], p[2]])].map(([a, b]) => x(a).toFixed(1) + "," + y(b).toFixed(1)).join(" ") }));
  group.append(svg("polyline", { class: "line", points: one.points.map((p) => x(p[0]).toFixed(1) + "," + y(p[1]).toFixed(1)).join(" "),
    "stroke-width": one.strong ? 3 : null, "stroke-dasharray": ["", "6 4", "2 3"][Math.floor(one.index / 10) % 3] || null }));
  if (one.points.length === 1) group.append(svg("circle", { class: "dot", cx: x(one.points[0][0]), cy: y(one.points[0][1]), r: 4 }));
  return group;
}
function dot(one, x, y) {
  const [px, py, low, high] = one.points[0];
  return svg("g", { class: "c" + one.index % 10 }, svg("title", {}, one.name),
    low !== null && low !== undefined && svg("line", { class: "whisker", x1: x(px), x2: x(px), y1: y(low), y2: y(high) }),
    svg("circle", { class: "dot", cx: x(px), cy: y(py), r: one.strong ? 6 : 4.5 }));
}
/* Under the pointer the legend says each curve's value at the nearest x. */
function follow(picture, legend, series, x, floor) {
  const cursor = svg("line", { class: "cursor", y1: CHART.top, y2: floor, visibility: "hidden" });
  picture.append(cursor);
  const names = [...legend.children];
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect(), pointer = ((event.clientX - box.left) / box.width) * CHART.width;
    const all = series.flatMap((one) => one.points.map((p) => p[0]));
    const nearest = all.reduce((a, b) => (Math.abs(x(b) - pointer) < Math.abs(x(a) - pointer) ? b : a));
    cursor.setAttribute("x1", x(nearest)); cursor.setAttribute("x2", x(nearest)); cursor.setAttribute("visibility", "visible");
    series.forEach((one, place) => {
      const point = one.points.find((p) => p[0] === nearest);
      const spread = point && point[2] !== null && point[2] !== undefined ? " ± " + number((point[3] - point[2]) / 2) : "";
      names[place].textContent = one.name + (point ? "  " + number(point[1]) + spread : "");
    });
  });
  picture.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    series.forEach((one, place) => { names[place].textContent = one.name; });
  });
}
function forest(figure, series) {
  const height = CHART.top + 26 * series.length + CHART.bottom, left = Math.min(200, 26 + 7 * most(series.map((one) => one.name.length)));
  const [low, high] = range([0, ...series.flatMap((one) => one.points[0].filter((v, k) => k !== 1))], 0.06);
  const x = scale(low, high, left, CHART.width - CHART.right), floor = height - CHART.bottom;
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${CHART.width} ${height}`, role: "img", "aria-label": figure.title });
  for (const mark of ticks(low, high, 6)) picture.append(
    svg("line", { class: mark === 0 ? "zero" : "grid", x1: x(mark), x2: x(mark), y1: CHART.top, y2: floor }),
    svg("text", { x: x(mark), y: floor + 17, "text-anchor": "middle" }, short(mark)));
  series.forEach((one, place) => {
    const [middle, , from, to] = one.points[0], at = CHART.top + 26 * (place + 0.5);
    picture.append(svg("text", { class: "name", x: left - 10, y: at + 4, "text-anchor": "end" }, one.name.length > 28 ? one.name.slice(0, 27) + "…" : one.name),
      svg("g", { class: "c" + one.index % 10 }, svg("title", {}, one.name),
        svg("line", { class: "whisker", x1: x(from), x2: x(to), y1: at, y2: at }), svg("circle", { class: "dot", cx: x(middle), cy: at, r: 5 })));
  });
  picture.append(svg("text", { x: (left + CHART.width) / 2, y: height - 6, "text-anchor": "middle" }, figure.x));
  return picture;
}
