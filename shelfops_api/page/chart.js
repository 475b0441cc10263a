// A chart of demand over time: what was sold, what is expected with its bands, and a what-if beside it.

import { el, svg } from "./dom.js";
import { dayName, dayShort, units } from "./format.js";
import { linear, spread, ticks } from "./scale.js";

const HEIGHT = 300;
const MARGIN = { top: 14, right: 12, bottom: 30, left: 52 };

/**
 * Draw into `place`, again whenever its width changes. `data` has `history` [{date, quantity}], `forecast` and, if there
 * is one, `scenario` [{date, mean, q05, q25, q75, q95}], `unit` and `label`. Returns a function that draws other data.
 */
export function chart(place, data) {
  let now = data;
  const figure = el("div", { class: "chart" });
  place.append(figure);
  const draw = () => render(figure, now);
  new ResizeObserver(draw).observe(figure);
  draw();
  return (changed) => {
    now = changed;
    draw();
  };
}

function render(figure, data) {
  const width = figure.clientWidth;
  if (width < 50) return;
  const points = timeline(data);
  const area = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: HEIGHT - MARGIN.bottom };
  const marks = ticks(Math.max(...points.map(highest), 1));
  const x = linear(0, Math.max(points.length - 1, 1), area.left, area.right);
  const y = linear(0, marks.at(-1), area.bottom, area.top);
  const picture = svg(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": data.label },
    ...axes(points, marks, x, y, area, data.unit),
    ...bands(points, "forecast", x, y),
    data.scenario ? bands(points, "scenario", x, y)[0] : null,
    line(points, (p) => p.quantity, "sold", x, y),
    line(points, (p) => p.forecast?.mean, "mean", x, y),
    data.scenario ? line(points, (p) => p.scenario?.mean, "scenario", x, y) : null,
  );
  const readout = hover(figure, picture, points, x, area, data);
  figure.replaceChildren(picture, ...readout);
}

/** One entry per date, in order. */
function timeline({ history, forecast, scenario }) {
  const byDate = new Map();
  const at = (date) => byDate.get(date) ?? byDate.set(date, { date }).get(date);
  for (const row of history) at(row.date).quantity = row.quantity;
  for (const row of forecast) at(row.date).forecast = row;
  for (const row of changed(forecast, scenario ?? [])) at(row.date).scenario = row;
  return [...byDate.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
}

/** The part of a what-if that differs from the plan, with the periods between: elsewhere the two would cover each other. */
function changed(forecast, scenario) {
  const planned = new Map(forecast.map((row) => [row.date, row.mean]));
  const differs = scenario.map((row) => Math.abs(row.mean - planned.get(row.date)) > 0.03 * (1 + row.mean));
  return differs.includes(true) ? scenario.slice(differs.indexOf(true), differs.lastIndexOf(true) + 1) : [];
}

const highest = (p) => Math.max(p.quantity ?? 0, p.forecast?.q95 ?? 0, p.scenario?.q95 ?? 0);

function axes(points, marks, x, y, area, unit) {
  const parts = marks.map((mark) =>
    svg(
      "g",
      {},
      svg("line", { class: mark ? "grid" : "axis", x1: area.left, x2: area.right, y1: y(mark), y2: y(mark) }),
      svg("text", { class: "tick", x: area.left - 8, y: y(mark) + 4, "text-anchor": "end" }, units(mark)),
    ),
  );
  const middle = (area.top + area.bottom) / 2;
  parts.push(
    svg("text", { class: "unit", x: 12, y: middle, transform: `rotate(-90 12 ${middle})`, "text-anchor": "middle" }, unit),
  );
  for (const k of spread(points.length, area.right - area.left, 76)) {
    const place = k === points.length - 1 ? "end" : "middle";
    parts.push(svg("line", { class: "axis", x1: x(k), x2: x(k), y1: area.bottom, y2: area.bottom + 4 }));
    parts.push(
      svg("text", { class: "tick", x: x(k), y: area.bottom + 20, "text-anchor": place }, dayShort(points[k].date)),
    );
  }
  const first = points.findIndex((p) => p.forecast);
  if (first > 0) {
    const at = (x(first) + x(first - 1)) / 2;
    parts.push(svg("line", { class: "now", x1: at, x2: at, y1: area.top, y2: area.bottom }));
  }
  return parts;
}

function bands(points, name, x, y) {
  const known = points.map((p, k) => ({ k, row: p[name] })).filter(({ row }) => row);
  const band = (low, high, className) => {
    const up = known.map(({ k, row }) => `${x(k).toFixed(1)},${y(row[high]).toFixed(1)}`);
    const down = known.map(({ k, row }) => `${x(k).toFixed(1)},${y(row[low]).toFixed(1)}`).reverse();
    return svg("polygon", { class: `${name} ${className}`, points: [...up, ...down].join(" ") });
  };
  return [band("q05", "q95", "most"), band("q25", "q75", "half")];
}

function line(points, value, className, x, y) {
  let path = "";
  let pen = "M";
  points.forEach((p, k) => {
    const v = value(p);
    if (v === undefined || v === null) pen = "M";
    else {
      path += `${pen}${x(k).toFixed(1)},${y(Math.max(v, 0)).toFixed(1)}`;
      pen = "L";
    }
  });
  return svg("path", { class: `line ${className}`, d: path });
}

/** A cross-hair that follows the pointer, or the arrow keys, and says the numbers of its date. */
function hover(figure, picture, points, x, area, data) {
  const rule = svg("line", { class: "rule", y1: area.top, y2: area.bottom, visibility: "hidden" });
  picture.append(rule);
  const note = el("div", { class: "note", hidden: true });
  const said = el("p", { class: "visually-hidden", "aria-live": "polite" });
  let at = null;
  const move = (k, aloud) => {
    at = Math.min(Math.max(k, 0), points.length - 1);
    for (const end of ["x1", "x2"]) rule.setAttribute(end, x(at));
    rule.setAttribute("visibility", "visible");
    const lines = numbers(points[at], data.scenario);
    note.replaceChildren(el("strong", {}, dayName(points[at].date)), ...lines.map((text) => el("div", {}, text)));
    note.hidden = false;
    const left = x(at) > (area.left + area.right) / 2 ? x(at) - note.offsetWidth - 12 : x(at) + 12;
    note.style.left = `${left}px`;
    if (aloud) said.textContent = `${dayName(points[at].date)}: ${lines.join(", ")}`;
  };
  const leave = () => {
    note.hidden = true;
    rule.setAttribute("visibility", "hidden");
  };
  const nearest = (event) => {
    const place = event.clientX - picture.getBoundingClientRect().left;
    return Math.round(((place - area.left) / (area.right - area.left)) * (points.length - 1));
  };
  picture.addEventListener("pointermove", (event) => move(nearest(event), false));
  picture.addEventListener("pointerleave", leave);
  picture.setAttribute("tabindex", "0");
  picture.addEventListener("blur", leave);
  const first = points.findIndex((p) => p.forecast);
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(at === null ? Math.max(first, 0) : at + step, true);
  });
  return [note, said];
}

function numbers(p, scenario) {
  const lines = [];
  if (p.quantity !== undefined) lines.push(`sold ${units(p.quantity)}`);
  if (p.forecast) {
    lines.push(`expected ${units(p.forecast.mean)}`);
    lines.push(`90 % between ${units(p.forecast.q05)} and ${units(p.forecast.q95)}`);
  }
  if (scenario && p.scenario) lines.push(`what-if ${units(p.scenario.mean)}`);
  return lines;
}

/** What the lines and bands mean. */
export function legend(hasScenario) {
  const entry = (className, text) => el("li", {}, el("span", { class: `swatch ${className}`, "aria-hidden": "true" }), text);
  return el(
    "ul",
    { class: "legend" },
    entry("sold", "Sold"),
    entry("mean", "Expected (mean)"),
    entry("half", "50 % band"),
    entry("most", "90 % band"),
    hasScenario ? entry("scenario", "What-if (mean, 90 % band)") : null,
  );
}

/** The same numbers as a table. */
export function table(data) {
  const heads = ["Date", "Sold", "Expected", "5 %", "25 %", "50 %", "75 %", "95 %"];
  if (data.scenario) heads.push("What-if");
  const cell = (value) => el("td", {}, value === undefined || value === null ? "–" : units(value));
  const rows = timeline(data)
    .reverse()
    .map((p) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, dayName(p.date)),
        cell(p.quantity),
        ...["mean", "q05", "q25", "q50", "q75", "q95"].map((name) => cell(p.forecast?.[name])),
        data.scenario ? cell(p.scenario?.mean) : null,
      ),
    );
  return el(
    "details",
    { class: "as-table" },
    el("summary", {}, "Show the numbers as a table"),
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of the chart" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", {}, rows),
      ),
    ),
  );
}
