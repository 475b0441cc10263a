// Stock alerts, live: what is open comes over HTTP, what changes afterwards over a WebSocket.

import { api, stream } from "./api.js";
import { action, byId, el, empty, failure, show, showLoading } from "./dom.js";
import { atTime, units, words } from "./format.js";

const PAGE = 50;
const MANY = 1000; // of a further page: the stream may have told the next few hundred already
const URGENCY = ["high", "medium", "low"];
const known = new Map(); // the resolved ones too: an answer that is late must not bring one back
let more = null;
let complete = false; // does the stream tell of every alert there is?
let openSeries = () => {};

/** Show the alerts and keep them up to date; `open` shows the series of one. */
export function startAlerts(open) {
  openSeries = open;
  const live = byId("live");
  stream("v1/alerts/stream", {
    onMessage: (message) => {
      if (message.event === "snapshot") standing(message);
      else if (message.alert_id) arrived(message);
    },
    onState: (up) => {
      live.textContent = up ? "Live" : "Not live: reconnecting…";
      live.classList.toggle("up", up);
    },
  });
  return load();
}

async function load() {
  const body = document.querySelector("#alerts .body");
  if (!known.size) showLoading(body, "alerts");
  try {
    take(await api.alerts({ limit: PAGE }));
  } catch (error) {
    show(body, failure(error, load));
  }
}

function take(page) {
  page.alerts.filter(isNews).forEach(keep);
  more = complete ? null : page.next;
  draw();
}

/** An answer may be late: the stream has told what happened since. */
const isNews = (alert) => !(Date.parse(alert.updated_at) < Date.parse(known.get(alert.alert_id)?.updated_at));

/** Answers and messages come in any order, and what is resolved stays so. */
function keep(alert) {
  const was = known.get(alert.alert_id);
  if (was?.status !== "resolved") known.set(alert.alert_id, { ...was, ...alert });
}

/** What a stream begins with: all that stands now, so that nothing is missed between two connections. */
function standing(told) {
  const ids = new Set(told.alerts.map((alert) => alert.alert_id));
  complete = told.complete;
  if (complete) {
    for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
    more = null;
  }
  told.alerts.forEach(keep);
  draw();
}

function arrived(message) {
  keep(message);
  if (message.event === "raised") {
    byId("alerts-news").textContent = `New ${message.severity} alert: ${message.item_id} in ${message.store_id}. ${message.message}`;
  }
  draw();
}

function draw() {
  const body = document.querySelector("#alerts .body");
  const focused = document.activeElement?.closest?.("[data-alert]");
  const place = focused && { id: focused.dataset.alert, at: [...body.querySelectorAll("[data-alert]")].indexOf(focused) };
  const writing = body.querySelector("form.note-form")?.closest("[data-alert]");
  const open = [...known.values()].filter((alert) => alert.status !== "resolved");
  const sorted = open.sort(
    (a, b) => URGENCY.indexOf(a.severity) - URGENCY.indexOf(b.severity) || (a.raised_at < b.raised_at ? 1 : -1),
  );
  byId("alerts-count").textContent = sorted.length ? `${sorted.length}${more ? "+" : ""}` : "";
  if (!sorted.length) return show(body, empty("Nothing needs attention. New alerts appear here by themselves."));
  const items = sorted.map((alert) => (writing?.dataset.alert === alert.alert_id ? writing : item(alert)));
  show(body, el("ul", { class: "alerts" }, items), more ? moreButton() : null);
  if (place) restore(body, place);
  return undefined;
}

/** The focus stays with its alert, or goes to the one that took its place. */
function restore(body, place) {
  const items = [...body.querySelectorAll("[data-alert]")];
  const same = items.find((one) => one.dataset.alert === place.id) ?? items[Math.min(place.at, items.length - 1)];
  same?.querySelector(".buttons button, .link")?.focus();
}

function moreButton() {
  const says = el("p", { class: "trouble", role: "alert" });
  const button = action("Show more", {}, async () => {
    try {
      take(await api.alerts({ limit: MANY, after: more }));
    } catch (error) {
      says.textContent = error.message;
    }
  });
  return el("div", {}, button, says);
}

function item(alert) {
  const says = el("p", { class: "trouble", role: "alert" });
  const li = el(
    "li",
    { "data-alert": alert.alert_id, class: `alert ${URGENCY.includes(alert.severity) ? alert.severity : ""}` },
    el(
      "p",
      { class: "what" },
      el("span", { class: "badge" }, alert.severity),
      el("strong", {}, words(alert.kind)),
      el("button", { type: "button", class: "link", onclick: () => openSeries(alert.store_id, alert.item_id) }, `${alert.item_id} in ${alert.store_id}`),
    ),
    el("p", { class: "message" }, alert.message),
    el(
      "p",
      { class: "buttons" },
      el("span", { class: "when" }, state(alert)),
      alert.status === "open" ? change("Acknowledge", alert, says, () => api.acknowledge(alert.alert_id)) : null,
      el("button", { type: "button", onclick: () => askNote(li, alert, says) }, "Resolve"),
    ),
    says,
  );
  return li;
}

function state(alert) {
  const by = alert.acknowledged_by ? ` by ${alert.acknowledged_by}` : "";
  const ordered = alert.details?.ordered;
  return [
    alert.status === "acknowledged" ? `acknowledged${by}` : `since ${atTime(alert.raised_at)}`,
    alert.note,
    ordered ? `${units(ordered)} ordered` : "",
    alert.unknown_since ? `not judged since ${atTime(alert.unknown_since)}: the stock is not known` : "",
  ].filter(Boolean).join(" · ");
}

function change(label, alert, says, work) {
  const about = `${label}: ${words(alert.kind)}, ${alert.item_id} in ${alert.store_id}`;
  return action(label, { "aria-label": about }, async () => {
    try {
      arrived({ event: "updated", ...(await work()) });
    } catch (error) {
      says.textContent = error.message;
    }
  });
}

function askNote(li, alert, says) {
  if (li.querySelector("form")) return;
  const note = el("input", { name: "note", maxlength: 500, placeholder: "What was done (optional)", "aria-label": "Note" });
  const form = el("form", { class: "note-form" }, note, el("button", { type: "submit", class: "primary" }, "Resolve"),
    el("button", { type: "button", onclick: () => { form.remove(); li.querySelector(".buttons button")?.focus(); } }, "Cancel"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const resolved = await api.resolve(alert.alert_id, note.value.trim());
      form.classList.remove("note-form"); // not kept while the list is drawn
      arrived({ event: "resolved", ...resolved });
    } catch (error) {
      says.textContent = error.message;
    }
  });
  li.append(form);
  note.focus();
}

