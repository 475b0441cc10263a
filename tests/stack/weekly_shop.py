"""A retailer that plans by the week, drawn from a known process: sales, plans, and stock."""

from dataclasses import dataclass
from pathlib import Path

import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray

HORIZON = 8
WEEKS = 150
AHEAD = 12
"""Weeks that the plans reach beyond the last whole week."""
LOOSE_DAYS = 2
"""Days that were sold after the last whole week."""
MONDAY = np.datetime64("2022-01-03")
STORES = ("S1", "S2", "S3", "S4", "S5", "S6")
REGIONS = ("Nord", "Syd", "Syd", "Nord", "Väst", "Väst")
ITEMS = ("1001", "1002", "1003", "2001", "2002", "3001", "3002", "3003")
GROUPS = ("Mejeri", "Mejeri", "Mejeri", "Dryck", "Dryck", "Godis", "Godis", "Godis")
SUPPLIER = ("L1", "L1", "L1", "L2", "L2", "L2", "L2", "L2")
ORDERED_ON = {"L1": (0, 3), "L2": (2,)}
LEAD_DAYS = (2, 2, 2, 5, 5, 5, 5, 0)
PACK, MINIMUM = 6, 12
"""Of each item; the last one comes from the next door."""
SHAPE = (len(STORES), len(ITEMS))
UNSUPPLIED = ((slice(101, 105), 1, 3), (slice(148, 151), 5, 4))
"""(weeks, store, item) in which nothing was ordered: the shelf is empty after a while, or is about to be."""
Floats = NDArray[np.float64]

MAPPING = """\
name: handlare
grain: week
start_date: 2022-01-03
transactions:
  files: kassa_*.csv
  rows: day
  format: &csv {separator: ";", decimal: ",", encoding: cp1252, date: "%Y-%m-%d"}
  columns: {ts: Dag, store_id: Butik, item_id: Artikel, quantity: Antal, unit_price: Pris}
stores:
  files: butiker.csv
  format: *csv
  columns: {store_id: Butik, region: Område}
items:
  files: artiklar.csv
  format: *csv
  columns: {item_id: Artikel, category: Varugrupp, cost: Inköpspris, supplier_id: Leverantör,
    case_pack: Kolli, minimum_order: Minst}
suppliers:
  files: leverantorer.csv
  format: *csv
  columns: {supplier_id: Leverantör, order_weekdays: Beställningsdagar, cutoff_hour: Stopptid}
inventory:
  files: lager.csv
  format: *csv
  columns: {date: Dag, store_id: Butik, item_id: Artikel, on_hand: Saldo, on_order: Beställt,
    lead_time_days: Ledtid, lead_time_sd: Spridning}
known_future:
- files: kampanjer.csv
  format: *csv
  absence: zero
  columns: {date: Från, until: Till, item_id: Artikel, on_promotion: Kampanj}
- files: priser.csv
  format: *csv
  columns: {date: Från, until: Till, item_id: Artikel, price: Pris}
holidays:
- country: SE
rules: {items_complete: true}
"""


@dataclass(frozen=True)
class Shop:
    """What is true of the retailer; arrays are [weeks, stores, items] of the history and the weeks after it."""

    wanted: Floats
    """What customers came for."""
    sold: Floats
    stock: pd.DataFrame
    """Every count: date, store_id, item_id, on_hand, on_order, lead."""
    bad_rows: dict[str, int]
    rows: int
    """Of the sales files, with the bad ones, up to the last whole week."""

    @property
    def weeks(self) -> NDArray[np.datetime64]:
        return MONDAY + 7 * np.arange(len(self.wanted))


def write_shop(folder: Path) -> Shop:
    """The retailer's files and `shop.yaml`; returns the truth."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    days = 7 * (WEEKS + AHEAD)
    promoted = np.repeat(rng.random((WEEKS + AHEAD, len(ITEMS))) < 0.15, 7, axis=0)
    regular = np.array([12.9, 15.5, 24.0, 19.9, 22.5, 9.9, 29.0, 35.0])
    price = np.round(regular * np.where(promoted, 0.8, 1), 2)
    wanted = rng.poisson(_demand(rng, days, promoted)).astype(np.float64)
    known = 7 * WEEKS + LOOSE_DAYS
    sold, on_hand, on_order = _trade(wanted[:known])
    sold = np.concatenate([sold, wanted[known:]])
    bad, rows = _write_sales(folder, sold[:known], price)
    _write_plans(folder, promoted, price, regular)
    stock = _write_stock(folder, on_hand, on_order)
    _write_reference(folder)
    (folder / "shop.yaml").write_text(MAPPING, "utf-8")
    return Shop(_by_week(wanted), _by_week(sold), stock, bad, rows)


def _by_week(values: Floats) -> Floats:
    return np.asarray(values.reshape(-1, 7, *SHAPE).sum(axis=1))


def _demand(rng: np.random.Generator, days: int, promoted: NDArray[np.bool_]) -> Floats:
    """[days, stores, items] expected demand: level, trend, weekdays, summer, public holidays, promotions, weather."""
    dates = MONDAY + np.arange(days)
    level = rng.uniform(3, 18, len(ITEMS)) * rng.uniform(0.6, 1.6, (len(STORES), 1))
    weekday = np.tile([0.8, 0.8, 0.9, 1.0, 1.3, 1.4, 0.8], days // 7)
    turn = 2 * np.pi * (dates - dates.astype("datetime64[Y]")).astype(np.int64) / 365.25
    summer = np.array([0.05 if g == "Mejeri" else 0.45 if g == "Dryck" else -0.15 for g in GROUPS])
    season = np.exp(-np.cos(turn)[:, None] * summer)
    free = holidays.country_holidays("SE", years=range(2022, 2027), include_sundays=False)
    festive = np.array([d in free for d in dates.tolist()])
    lift = np.exp(np.where(np.array(GROUPS) == "Godis", 1.2, 0.4) * festive[:, None]) * np.where(promoted, 1.7, 1.0)
    weather = np.exp(np.repeat(rng.normal(0, 0.05, (days // 7, *SHAPE)), 7, axis=0))
    trend = np.exp(0.15 * np.arange(days) / days)
    return np.asarray((trend * weekday)[:, None, None] * level * (season * lift)[:, None, :] * weather)


def _trade(wanted: Floats) -> tuple[Floats, Floats, Floats]:
    """(sold, on hand, on order) by day: orders up to a level on the supplier's days, delivered after its lead time."""
    orders = np.array([[weekday in ORDERED_ON[s] for s in SUPPLIER] for weekday in range(7)])
    up_to = 18 * wanted[:364].mean(axis=0)
    sold, on_hand, on_order = (np.zeros_like(wanted) for _ in range(3))
    shelf = up_to.copy().round()
    coming = np.zeros((len(wanted) + 8, *SHAPE))
    for day in range(len(wanted)):
        shelf += coming[day]
        sold[day] = np.minimum(wanted[day], shelf)
        shelf -= sold[day]
        outstanding = coming[day + 1 :].sum(axis=0)
        need = np.where(orders[day % 7], np.ceil(np.maximum(up_to - shelf - outstanding, 0) / 6) * 6, 0)
        for weeks, store, item in UNSUPPLIED:
            if weeks.start <= day // 7 < weeks.stop:
                need[store, item] = 0
        for i, wait in enumerate(LEAD_DAYS):
            coming[day + max(wait, 1), :, i] += need[:, i]  # ordered in the evening
        on_hand[day], on_order[day] = shelf, outstanding + need
    return sold, on_hand, on_order


def _write(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="cp1252")


def _amount(value: float) -> str:
    return f"{value:.2f}".replace(".", ",")


def _cells(known: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    return [tuple(cell) for cell in np.argwhere(known).tolist()]


def _write_sales(folder: Path, sold: Floats, price: Floats) -> tuple[dict[str, int], int]:
    """A file per year, a row per day, store and item that sold; rows are spoilt by known numbers."""
    cells = _cells(sold > 0)
    lines = [f"{MONDAY + d};{STORES[s]};{ITEMS[i]};{sold[d, s, i]:.0f};{_amount(price[d, i])}" for d, s, i in cells]
    inside = sum(d < 7 * WEEKS for d, _, _ in cells)
    spoilt = {
        "duplicate_transaction": lines[500:48_500:1200],
        "quantity_not_a_number": [f"{MONDAY + 7 * n};S1;1001;många;9,90" for n in range(3, 12)],
        "unknown_item": [f"{MONDAY + 7 * n};S2;9999;1;9,90" for n in range(3, 9)],
        "price_negative": [f"{MONDAY + 7 * n};S3;1001;1;-9,90" for n in range(140, 145)],
    }
    by_year: dict[str, list[str]] = {}
    for line in [*lines, *(line for rows in spoilt.values() for line in rows)]:
        by_year.setdefault(line[:4], []).append(line)
    for year, rows in by_year.items():
        _write(folder / f"kassa_{year}.csv", "Dag;Butik;Artikel;Antal;Pris", rows)
    counts = {reason: len(rows) for reason, rows in spoilt.items()}
    return counts, inside + sum(counts.values())


def _write_plans(folder: Path, promoted: NDArray[np.bool_], price: Floats, regular: Floats) -> None:
    """Promotions and prices run from Monday to Sunday, for every store."""
    weeks = [(w, i) for w in range(WEEKS + AHEAD) for i in range(len(ITEMS))]
    ends = {w: f"{MONDAY + 7 * w};{MONDAY + 7 * w + 6}" for w, _ in weeks}
    campaigns = [f"{ends[w]};{ITEMS[i]};1" for w, i in weeks if promoted[7 * w, i]]
    _write(folder / "kampanjer.csv", "Från;Till;Artikel;Kampanj", campaigns)
    prices = [f"{ends[w]};{ITEMS[i]};{_amount(price[7 * w, i])}" for w, i in weeks]
    _write(folder / "priser.csv", "Från;Till;Artikel;Pris", prices)


def _write_stock(folder: Path, on_hand: Floats, on_order: Floats) -> pd.DataFrame:
    """A count every evening, in the last store none on Sundays; one supplier's lead times are known to vary."""
    day, store, item = (a.ravel() for a in np.indices(on_hand.shape))
    frame = pd.DataFrame({"date": MONDAY + day, "store_id": np.array(STORES)[store], "item_id": np.array(ITEMS)[item]})
    frame = frame.assign(on_hand=on_hand.ravel(), on_order=on_order.ravel(), lead=np.array(LEAD_DAYS)[item])
    frame = frame[(frame["store_id"] != STORES[-1]) | (frame["date"].dt.dayofweek != 6)]
    rows = [
        f"{d:%Y-%m-%d};{s};{i};{h:.0f};{o:.0f};{w};{'1,5' if w == 5 else ''}"
        for d, s, i, h, o, w in frame.itertuples(index=False)
    ]
    _write(folder / "lager.csv", "Dag;Butik;Artikel;Saldo;Beställt;Ledtid;Spridning", rows)
    return frame


def _write_reference(folder: Path) -> None:
    _write(folder / "butiker.csv", "Butik;Område", [";".join(row) for row in zip(STORES, REGIONS, strict=True)])
    rows = [
        f"{i};{g};{8 + n},50;{s};{PACK};{MINIMUM}"
        for n, (i, g, s) in enumerate(zip(ITEMS, GROUPS, SUPPLIER, strict=True))
    ]
    _write(folder / "artiklar.csv", "Artikel;Varugrupp;Inköpspris;Leverantör;Kolli;Minst", rows)
    names = {s: ",".join(map(str, days)) for s, days in ORDERED_ON.items()}
    rows = [f"{supplier};{days};10" for supplier, days in names.items()]
    _write(folder / "leverantorer.csv", "Leverantör;Beställningsdagar;Stopptid", rows)
