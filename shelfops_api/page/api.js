// The API of the same origin. A key is asked for only when the service answers 401, and kept for this tab only.

import { byId } from "./dom.js";

const KEPT = "shelfops-key";
const SILENT = 120_000; // milliseconds; the stream has heartbeats, so one that says nothing for so long is dead
let asking = null;

export class ApiError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const key = () => sessionStorage.getItem(KEPT);

/** One question at a time, however many requests were refused. */
function askForKey(why) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("key");
    byId("key-why").textContent = why;
    dialog.addEventListener(
      "close",
      () => {
        sessionStorage.setItem(KEPT, byId("key-input").value.replace(/[^\x21-\x7e]/g, "")); // no key has others, and no header takes them
        byId("key-input").value = "";
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}

async function send(method, path, body, more = {}) {
  const headers = { Accept: "application/json", ...more };
  const used = key();
  if (used) headers.Authorization = `Bearer ${used}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError("The service does not answer. Is it running?", 0, "unreachable");
  }
  if (answer.status === 401 && key() !== used) return send(method, path, body, more); // another request got one meanwhile
  if (answer.status === 401) {
    await askForKey(
      used
        ? "The key was not accepted: it is unknown, revoked or expired."
        : "This service asks who you are. The key stays in this tab until you close it.",
    );
    return send(method, path, body, more);
  }
  return answer;
}

async function problem(answer) {
  const body = await answer.json().catch(() => ({}));
  const detail = body.detail || body.title || answer.statusText;
  return new ApiError(`${detail.replace(/\.?$/, ".")}`, answer.status, body.code);
}

async function json(method, path, body) {
  const answer = await send(method, path, body);
  if (!answer.ok) throw await problem(answer);
  return answer.status === 204 ? null : answer.json();
}

/** What is answered, with the tag that says which state of it this is; `seen` is the tag of what the caller saw. */
async function tagged(method, path, body, seen) {
  const answer = await send(method, path, body, seen ? { "If-Match": seen } : {});
  if (!answer.ok) throw await problem(answer);
  return { ...(await answer.json()), tag: answer.headers.get("ETag") };
}

function query(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

const id = encodeURIComponent;
const series = (root, store, item) => `${root}/${id(store)}/${id(item)}`;

export const api = {
  champion: () => json("GET", "v1/champion"),
  forecast: (store, item) => json("GET", series("v1/forecasts", store, item)),
  forecasts: (parameters) => json("GET", query("v1/forecasts", parameters)),
  history: (store, item, periods) => json("GET", query(series("v1/history", store, item), { periods })),
  explanation: (store, item) => json("GET", series("v1/explanations", store, item)),
  totals: (parameters) => json("GET", query("v1/totals", parameters)),
  predict: (store, item, overrides) =>
    json("POST", "v1/predict", { series: [{ store_id: store, item_id: item, overrides }] }),
  plan: (store, item) => json("GET", query("v1/reorder-plan", { store_id: store, item_id: item, limit: 1 })),
  alerts: (parameters) => json("GET", query("v1/alerts", parameters)),
  acknowledge: (alert) => json("POST", `v1/alerts/${id(alert)}/acknowledge`),
  resolve: (alert, note) => json("POST", `v1/alerts/${id(alert)}/resolve`, { note }),
  orders: (parameters) => json("GET", query("v1/orders", parameters)),
  order: (order) => tagged("GET", `v1/orders/${id(order)}`),
  decide: (order, what, note) => tagged("POST", `v1/orders/${id(order.order_id)}/${what}`, { note }, order.tag),
  edit: (order, line) => tagged("PATCH", `v1/orders/${id(order.order_id)}/lines`, line, order.tag),
};

/** Save an answer as a file: a plain link could not send the key. */
export async function download(path, accept, name) {
  const answer = await send("GET", path, undefined, { Accept: accept });
  if (!answer.ok) throw await problem(answer);
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A WebSocket that comes back by itself. Browsers cannot set its headers: the key goes in as a subprotocol. */
export function stream(path, { onMessage, onState }) {
  let wait = 500;
  const connect = () => {
    const address = new URL(path, document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => socket.close(), SILENT);
    };
    const socket = key() ? new WebSocket(address, ["shelfops.v1", `bearer.${key()}`]) : new WebSocket(address);
    socket.addEventListener("open", () => {
      wait = 500;
      heard();
      onState(true);
    });
    socket.addEventListener("message", (event) => {
      heard();
      onMessage(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      clearTimeout(silence);
      onState(false);
      setTimeout(connect, wait);
      wait = Math.min(2 * wait, 30_000);
    });
  };
  connect();
}
