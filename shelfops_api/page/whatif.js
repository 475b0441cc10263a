// What if there were a promotion, another price, or a closed door? The champion answers at once.

import { api } from "./api.js";
import { el } from "./dom.js";
import { dayFull, money, percent, units } from "./format.js";

const PAUSE = 150; // milliseconds without a change before the model is asked

/** The controls; `redraw` is called with the changed forecast, or null for none. */
export function whatIf(champion, series, history, redraw) {
  const has = (channel) => champion.channels.includes(channel);
  const dates = series.forecast.map((row) => row.date);
  const week = dates[Math.min(dates.length, champion.grain === "week" ? 1 : 7) - 1];
  const from = dateInput("From", dates, dates[0]);
  const to = dateInput("To", dates, week);
  const promotion = has("on_promotion") ? choice("Promotion", [["", "as planned"], ["true", "yes"], ["false", "no"]]) : null;
  const open = has("open") ? choice("Store", [["", "as planned"], ["true", "open"], ["false", "closed"]]) : null;
  const price = has("price") ? priceSlider(history.findLast((row) => row.price)?.price) : null;
  const result = el("p", { class: "result", role: "status" }, "Change something to see what it would do.");
  const reset = el("button", { type: "reset" }, "As planned");
  const form = el(
    "form",
    { class: "what-if", "aria-labelledby": "what-if-title" },
    el("h3", { id: "what-if-title" }, "What if"),
    el("div", { class: "controls" }, from, to, promotion, open, price, reset),
    result,
  );
  const changes = () => ({
    ...(promotion?.value() && { on_promotion: promotion.value() === "true" }),
    ...(open?.value() && { open: open.value() === "true" }),
    ...(price?.value() && { price: price.value() }),
  });
  const ask = latest(async (isLatest) => {
    const wanted = dates.filter((date) => date >= from.value() && date <= to.value());
    const changed = changes();
    if (!Object.keys(changed).length || !wanted.length) {
      result.textContent = wanted.length ? "Change something to see what it would do." : "The dates leave nothing.";
      return redraw(null);
    }
    try {
      const answer = await api.predict(
        series.store_id,
        series.item_id,
        wanted.map((date) => ({ date, ...changed })),
      );
      if (!isLatest()) return undefined;
      result.textContent = difference(series.forecast, answer.series[0].forecast);
      return redraw(answer.series[0].forecast);
    } catch (error) {
      if (isLatest()) result.textContent = error.message;
      return undefined;
    }
  });
  form.addEventListener("input", ask);
  form.addEventListener("reset", () => setTimeout(() => {
    price?.tell();
    ask();
  }));
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

function difference(planned, changed) {
  const sum = (rows) => rows.reduce((total, row) => total + row.mean, 0);
  const [before, after] = [sum(planned), sum(changed)];
  const share = before > 0 ? `, ${percent(after / before - 1)}` : "";
  const span = `${dayFull(planned[0].date)} to ${dayFull(planned.at(-1).date)}`;
  return `${units(after)} units instead of ${units(before)}${share}, ${span}.`;
}

/** Run after a pause, and tell the work whether it is still the latest. */
function latest(work) {
  let timer;
  let count = 0;
  return () => {
    clearTimeout(timer);
    const mine = ++count;
    timer = setTimeout(() => work(() => mine === count), PAUSE);
  };
}

function dateInput(name, dates, value) {
  const input = el("input", { type: "date", min: dates[0], max: dates.at(-1), value, required: true });
  const label = el("label", {}, `${name} `, input);
  label.value = () => input.value;
  return label;
}

function choice(name, options) {
  const select = el("select", {}, options.map(([value, text]) => el("option", { value }, text)));
  const label = el("label", {}, `${name} `, select);
  label.value = () => select.value;
  return label;
}

/** Half to one and a half times what was last paid; not changed as long as it stands in the middle. */
function priceSlider(now) {
  if (!now) return null;
  const input = el("input", { type: "range", min: 50, max: 150, step: 1, value: 100 });
  const output = el("output", {});
  const label = el("label", { class: "slider" }, el("span", {}, "Price ", output), input);
  label.tell = () => {
    const share = Number(input.value) / 100;
    output.textContent = share === 1 ? `${money(now)} (last paid)` : `${money(now * share)} (${percent(share - 1)})`;
    input.setAttribute("aria-valuetext", output.textContent);
  };
  label.value = () => (input.value === "100" ? null : Number(((now * Number(input.value)) / 100).toFixed(4)));
  input.addEventListener("input", label.tell);
  label.tell();
  return label;
}
