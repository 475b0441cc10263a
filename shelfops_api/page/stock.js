// What is on the shelf and on its way, how long that lasts, and what the plan makes of it.

import { api } from "./api.js";
import { el, show } from "./dom.js";
import { dayName, plural, share, units } from "./format.js";

export const REASONS = {
  unknown_stock: "the stock is not known",
  enough: "there is enough",
  below_reorder_point: "fills up to the target",
  case_pack: "target, in whole packs",
  minimum_order: "the supplier's minimum",
  shelf_life: "capped by shelf life",
};

/** Fill `place` with the plan of one series; empty where there is none. */
export async function showStock(place, store, item) {
  const page = await api.plan(store, item).catch(() => ({ lines: [] })); // the forecast stands without it
  const line = page.lines[0];
  if (!line) return;
  const facts = [
    ["On hand", line.on_hand, units],
    ["On order", line.on_order, units],
    ["Of that, accepted since the count", line.accepted || null, units],
    ["Counted on", line.counted_on, dayName],
    ["Lasts", line.days_of_supply, (days) => plural(days, "day")],
    ["Risk to run out before the next delivery", line.stockout_probability, share],
    ["More likely than not sold out by", line.stockout_date, dayName],
    ["Order up to", line.order_up_to, units],
    ["Order now", line.quantity, (quantity) => `${units(quantity)} (${REASONS[line.reason] ?? line.reason})`],
  ].filter(([, value]) => value !== null);
  show(place, el("dl", { class: "stock" }, facts.map(([name, value, say]) => el("div", {}, el("dt", {}, name), el("dd", {}, say(value))))));
}
