// Numbers and dates as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const day = new Intl.DateTimeFormat("en", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const short = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });
const full = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

const noon = (date) => new Date(`${date}T12:00:00Z`);

export const wholeUnits = (value) => whole.format(value);
/** Units: whole where there are many, else with a tenth. */
export const units = (value) => (Math.abs(value) >= 100 ? whole : tenth).format(value);
export const money = (value) => cents.format(value);
export const percent = (value) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${whole.format(Math.abs(100 * value))} %`;
/** A probability. */
export const share = (value) => (value > 0 && value < 0.01 ? "below 1 %" : `${whole.format(100 * value)} %`);
export const signed = (value) => `${value < 0 ? "−" : "+"}${units(Math.abs(value))}`;
export const dayName = (date) => day.format(noon(date));
export const dayShort = (date) => short.format(noon(date));
export const dayFull = (date) => full.format(noon(date));
export const atTime = (text) => moment.format(new Date(text));
export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;
/** stockout_risk -> Stockout risk */
export const words = (code) => (code ? code[0].toUpperCase() + code.slice(1).replaceAll("_", " ") : "");
