// The planner's page: every panel loads by itself, and fails by itself.

import { startAlerts } from "./alerts.js";
import { api } from "./api.js";
import { byId, el, failure } from "./dom.js";
import { dayFull } from "./format.js";
import { startOrders } from "./orders.js";
import { openSeries, showAgain, startSeries } from "./series.js";
import { loadTotals } from "./totals.js";

const LOOK_AGAIN = 30_000; // milliseconds between looks at which forecasts are served
let champion = null;

async function start() {
  const facts = byId("facts");
  try {
    champion = await api.champion();
  } catch (error) {
    facts.replaceChildren(failure(error, start));
    return;
  }
  const open = (store, item) => openSeries(champion, store, item, true);
  startAlerts(open);
  startOrders(open);
  loadTotals();
  startSeries((store, item) => openSeries(champion, store, item)).catch(() => {}); // without suggestions an id can still be typed
  await tellFacts(facts);
  setInterval(watch, LOOK_AGAIN);
}

async function tellFacts(facts) {
  const from = await firstDate().catch(() => null);
  const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  facts.replaceChildren(
    fact("Retailer", champion.dataset),
    fact("Champion", champion.version),
    fact("Trained to", dayFull(champion.training_cutoff)),
    from ? fact("Forecast from", dayFull(from)) : "",
  );
}

async function firstDate() {
  const { totals } = await api.totals({ level: "all" });
  return totals[0]?.forecast[0]?.date;
}

/** New forecasts, of a new release or of the same one on another day, change every number: show the new ones. */
async function watch() {
  const now = await api.champion().catch(() => champion);
  if (now.release === champion.release && now.published_at === champion.published_at) return;
  champion = now;
  loadTotals();
  startOrders((store, item) => openSeries(champion, store, item, true));
  showAgain(champion);
  await tellFacts(byId("facts"));
}

start();
