// What whole stores are expected to sell, with intervals of their own: sums of the items' quantiles would be far too wide.

import { api } from "./api.js";
import { el, empty, failure, show, showLoading } from "./dom.js";
import { dayName, wholeUnits } from "./format.js";

const NAMES = { store: "Store", category: "Category", all: "Whole retailer" };
const SHOWN = 7;
const MANY = 200;
let level = "store";

export async function loadTotals() {
  const body = document.querySelector("#totals .body");
  showLoading(body, "totals");
  try {
    draw(body, await api.totals({ level, limit: MANY }));
  } catch (error) {
    show(body, failure(error, loadTotals));
  }
}

function draw(body, page) {
  const select = el("select", {}, Object.entries(NAMES).map(([value, name]) => el("option", { value, selected: value === level }, name)));
  select.addEventListener("change", () => {
    level = select.value;
    loadTotals().then(() => document.querySelector("#totals select")?.focus());
  });
  const filter = el("p", { class: "filter" }, el("label", {}, "By ", select));
  if (!page.totals.length) return show(body, filter, empty("Totals are not published for this release yet."));
  const dates = page.totals[0].forecast.slice(0, SHOWN).map((period) => period.date);
  const head = [NAMES[level], ...dates.map(dayName)];
  const cell = (period) =>
    period.q95 > 0
      ? el("td", {}, wholeUnits(period.mean), el("small", {}, `${wholeUnits(period.q05)}–${wholeUnits(period.q95)}`))
      : el("td", { class: "none" }, "0");
  const rows = page.totals.map((total) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, total.store_id ?? total.category ?? "All stores"),
      total.forecast.slice(0, SHOWN).map(cell),
    ),
  );
  return show(
    body,
    filter,
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Expected demand, table" },
      el(
        "table",
        { class: "totals", "aria-describedby": "totals-note" },
        el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, rows),
      ),
    ),
    page.next && el("p", { class: "hint" }, `The first ${page.totals.length} are shown; the API has all of them.`),
    el("p", { id: "totals-note", class: "hint" }, "Units expected, and the range that holds 90 % of outcomes. A range is of its own period: ranges do not add up."),
  );
}
