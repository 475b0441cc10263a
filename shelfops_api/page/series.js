// One item in one store: history, forecast, what-if and reasons.

import { api } from "./api.js";
import { chart, legend, table } from "./chart.js";
import { byId, el, empty, failure, show, showLoading, svg } from "./dom.js";
import { dayFull, plural, signed, units } from "./format.js";
import { showStock } from "./stock.js";
import { whatIf } from "./whatif.js";

const DAYS_BACK = 91;
const WEEKS_BACK = 52;
let asked = 0;
let shown = null;

/** Fill the search box with what there is; `open` shows the series that is asked for. */
export function startSeries(open) {
  const form = byId("search");
  const store = byId("store");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    open(store.value.trim(), byId("item").value.trim());
  });
  store.addEventListener("change", () => offerItems(store.value.trim()));
  show(byId("series-body"), empty("Choose a store and an item, or open one from an alert or an order."));
  return offerStores();
}

async function offerStores() {
  const { totals } = await api.totals({ level: "store", limit: 1000 });
  byId("stores").replaceChildren(...totals.map((total) => el("option", { value: total.store_id })));
}

/** Suggestions are a help, not a need: an id that is typed is found without them. */
async function offerItems(store) {
  try {
    const day = await firstDay(store);
    const page = day ? await api.forecasts({ store_id: store, start: day, end: day, limit: 1000 }) : { series: [] };
    byId("items").replaceChildren(...page.series.map((one) => el("option", { value: one.item_id })));
  } catch {
    byId("items").replaceChildren();
  }
}

/** The first date of a store's forecast: of it alone all items are listed, not the whole horizon of each. */
async function firstDay(store) {
  const { totals } = await api.totals({ level: "store", store_id: store });
  return totals[0]?.forecast[0]?.date;
}

/** Show a series and move there. */
export function openSeries(champion, store, item, focus = false) {
  byId("store").value = store;
  byId("item").value = item;
  if (focus) byId("series").focus();
  shown = [store, item];
  return load(champion, store, item);
}

/** The series that is shown, if one is, with what another champion says of it. What is being typed stays. */
export function showAgain(champion) {
  if (shown) load(champion, ...shown);
}

async function load(champion, store, item) {
  const mine = ++asked;
  const body = byId("series-body");
  showLoading(body, `${item} in ${store}`);
  try {
    const periods = champion.grain === "week" ? WEEKS_BACK : DAYS_BACK;
    const [forecast, history] = await Promise.all([api.forecast(store, item), api.history(store, item, periods)]);
    if (mine === asked) showSeries(body, champion, forecast, history.history);
  } catch (error) {
    if (mine === asked) show(body, failure(error, () => load(champion, store, item)));
  }
}

function showSeries(body, champion, series, history) {
  const unit = `units per ${champion.grain}`;
  const data = {
    history,
    forecast: series.forecast,
    scenario: null,
    unit,
    label: `Demand of ${series.item_id} in ${series.store_id}, ${unit}: sold and expected. Arrow keys read it date by date.`,
  };
  const place = el("div", {});
  const key = el("div", {}, legend(false));
  const rows = el("div", {}, table(data));
  const why = el("section", { class: "why", "aria-labelledby": "why-title" }, el("h3", { id: "why-title" }, "Why"));
  const stock = el("div", {});
  show(body, headline(champion, series, history), stock, key, place, rows, whatIf(champion, series, history, redraw), why);
  const drawAgain = chart(place, data);
  function redraw(scenario) {
    data.scenario = scenario;
    key.replaceChildren(legend(Boolean(scenario)));
    drawAgain(data);
    const open = rows.querySelector("details").open;
    rows.replaceChildren(table(data));
    rows.querySelector("details").open = open;
  }
  showStock(stock, series.store_id, series.item_id);
  explain(why, series.store_id, series.item_id);
}

function headline(champion, series, history) {
  const total = series.forecast.reduce((sum, row) => sum + row.mean, 0);
  const dates = series.forecast.map((row) => row.date);
  const span = plural(dates.length, champion.grain);
  return el(
    "p",
    { class: "headline" },
    el("strong", {}, `${units(total)} units`),
    ` expected of ${series.item_id} in ${series.store_id} over the ${span} from ${dayFull(dates[0])} to ${dayFull(dates.at(-1))}`,
    history.length ? null : ", which has not been sold yet",
    `. Forecast by ${series.model_version}.`,
  );
}

async function explain(place, store, item) {
  const list = el("div", {});
  place.append(list);
  showLoading(list, "the reasons");
  try {
    const told = await api.explanation(store, item);
    show(list, reasons(told.together ?? told.periods[0]));
  } catch (error) {
    const none = error.code === "not_explained";
    show(list, none ? empty("The reasons of this forecast are not written yet.") : failure(error));
  }
}

/** The sentence, and how many units each reason adds or takes. */
function reasons(one) {
  const most = Math.max(...one.reasons.map((reason) => Math.abs(reason.units)), 1e-9);
  const bar = (reason) =>
    el(
      "li",
      {},
      el("span", { class: "words" }, reason.words),
      svg(
        "svg",
        { class: reason.units < 0 ? "takes" : "adds", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: (100 * Math.abs(reason.units)) / most, height: 10, rx: 1 }),
      ),
      el("span", { class: "number" }, signed(reason.units)),
    );
  return [
    el("p", {}, one.sentence),
    one.reasons.length
      ? el("ul", { class: "reasons", "aria-label": "Units that each reason adds or takes" }, one.reasons.map(bar))
      : null,
  ].filter(Boolean);
}
