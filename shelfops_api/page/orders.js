// Purchase orders as the plan proposes them: look, change quantities, accept or reject; nothing is ordered unasked.

import { api, download } from "./api.js";
import { action, byId, el, empty, failure, show, showLoading } from "./dom.js";
import { dayName, dayShort, money, plural, units, words } from "./format.js";
import { REASONS } from "./stock.js";

const MOST = 1000; // of each status: the API tells the latest day first, and those of today must not be missing
const STATUSES = ["proposed", "accepted", "rejected"];
let status = "proposed";
let openSeries = () => {};

/** Show the orders; `open` shows the series of a line. */
export function startOrders(open) {
  openSeries = open;
  return load();
}

async function load() {
  const body = document.querySelector("#orders .body");
  showLoading(body, "orders");
  try {
    draw(body, await api.orders({ status, limit: MOST }));
  } catch (error) {
    show(body, failure(error, load));
  }
}

function draw(body, page) {
  const count = page.orders.length;
  byId("orders-count").textContent = status === "proposed" && count ? `${count}${page.next ? "+" : ""}` : "";
  const select = el("select", {}, STATUSES.map((name) => el("option", { value: name, selected: name === status }, words(name))));
  select.addEventListener("change", () => {
    status = select.value;
    load().then(() => document.querySelector("#orders select")?.focus());
  });
  const none = status === "proposed" ? "Nothing to order now. Only what has a known stock is proposed." : `No order was ${status} lately.`;
  show(
    body,
    el("p", { class: "filter" }, el("label", {}, "Show ", select)),
    count ? el("ul", { class: "orders" }, soonestFirst(page.orders).map(item)) : empty(none),
  );
}

const soonestFirst = (orders) => orders.toSorted((a, b) => (a.order_date < b.order_date ? -1 : a.order_date > b.order_date ? 1 : 0));

function item(order) {
  const li = el("li", { "data-order": order.order_id });
  const details = el("details", {});
  const place = el("div", { class: "lines" });
  const fill = (known) => details.replaceChildren(summary(known), place);
  details.addEventListener("toggle", () => {
    if (details.open && !place.hasChildNodes()) lines(place, order.order_id, fill);
  });
  fill(order);
  li.append(details);
  return li;
}

function summary(order) {
  const cost = order.cost === null ? null : el("span", {}, `cost ${money(order.cost)}`);
  return el(
    "summary",
    {},
    el("strong", {}, order.supplier_id ?? "Supplier unknown"),
    el("span", {}, `order ${dayName(order.order_date)}`),
    el("span", {}, plural(order.line_count, "line")),
    el("span", {}, `${units(order.units)} units`),
    cost,
    order.edited ? el("span", { class: "badge" }, "edited") : null,
    order.status === "proposed" ? null : el("span", { class: "badge" }, decided(order)),
  );
}

const decided = (order) => `${order.status}${order.decided_by ? ` by ${order.decided_by}` : ""}`;

async function lines(place, id, fill) {
  showLoading(place, "the lines");
  try {
    fillLines(place, await api.order(id), fill);
  } catch (error) {
    show(place, failure(error, () => lines(place, id, fill)));
  }
}

function fillLines(place, order, fill, news = "") {
  fill(order);
  const says = el("p", { class: "trouble", role: "status" }, news);
  let known = Promise.resolve(order);
  /** One change after the other, each about what the one before it answered. */
  const change = (work) => {
    const before = known;
    const next = before.then(work);
    known = next.catch(() => before);
    return next;
  };
  const trouble = async (error) => {
    says.textContent = error.message;
    if (error.code !== "order_changed") return;
    const now = await api.order(order.order_id).catch(() => null);
    if (now) fillLines(place, now, fill, "This order has changed since you looked at it: here it is as it is now.");
  };
  const open = order.status === "proposed";
  const head = ["Item", "Quantity", "Proposed", "Arrives", "Why"];
  const rows = order.lines.map((line) => row(line, { open, says, change, fill, trouble }));
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows),
  );
  const decide = (label, what, className) =>
    action(label, { class: className }, async () => {
      try {
        fillLines(place, await change((now) => api.decide(now, what, "")), fill);
        place.closest("details").querySelector("summary").focus();
      } catch (error) {
        await trouble(error);
      }
    });
  const csv = action("Save as CSV", {}, async () => {
    try {
      await download(`v1/orders/${encodeURIComponent(order.order_id)}`, "text/csv", `order-${order.order_date}-${order.order_id.slice(0, 8)}.csv`);
    } catch (error) {
      says.textContent = error.message;
    }
  });
  show(
    place,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lines of the order" }, table),
    el(
      "p",
      { class: "buttons" },
      open ? decide("Accept order", "accept", "primary") : null,
      open ? decide("Reject", "reject", "") : null,
      csv,
    ),
    says,
  );
}

function row(line, { open, says, change, fill, trouble }) {
  const name = `${line.item_id} in ${line.store_id}`;
  const quantity = el("input", { type: "number", min: 0, step: "any", value: line.quantity, "aria-label": `Quantity of ${name}` });
  quantity.addEventListener("change", async () => {
    if (!quantity.reportValidity() || quantity.value === "") return;
    try {
      const wanted = { store_id: line.store_id, item_id: line.item_id, quantity: Number(quantity.value) };
      const told = await change((now) => api.edit(now, wanted));
      says.textContent = `${name}: ${units(Number(quantity.value))} instead of ${units(line.proposed_quantity)} units.`;
      fill(told);
    } catch (error) {
      quantity.value = line.quantity;
      await trouble(error);
    }
  });
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("button", { type: "button", class: "link", onclick: () => openSeries(line.store_id, line.item_id) }, name)),
    el("td", {}, open ? quantity : units(line.quantity)),
    el("td", {}, units(line.proposed_quantity)),
    el("td", { class: "nowrap" }, line.delivery_date ? dayShort(line.delivery_date) : "–"),
    el("td", { class: "reason" }, REASONS[line.reason] ?? words(line.reason)),
  );
}
