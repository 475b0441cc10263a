"""The simulated retailer's plan: stores, items, calendar, promotions, prices, and the demand that follows.

All this is decided before the first customer comes in; `simulator.py` and `simulator_stock.py` add chance.
Axes: S series (a listed store x item), N stores, I items, T days (traded and planned).
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from shelfops_pipeline.data.source import EVERYWHERE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Days = NDArray[np.datetime64]


class Category(NamedTuple):
    name: str
    kinds: tuple[str, str]
    weekend: float
    """Extra share of Saturday's demand."""
    season: float
    """Amplitude of the year, as a share."""
    peak: int
    """Day of the year of the peak."""
    festive: float
    """How strongly demand rises before holidays."""
    price: float
    shelf_life: int
    case_pack: int


CATEGORIES: Final = (
    Category("produce", ("fruit", "vegetables"), 0.35, 0.15, 190, 0.5, 2.5, 6, 8),
    Category("dairy", ("milk", "cheese"), 0.20, 0.05, 20, 0.4, 2.0, 14, 12),
    Category("bakery", ("bread", "pastry"), 0.45, 0.05, 340, 0.6, 1.8, 3, 6),
    Category("beverages", ("soft drinks", "beer"), 0.50, 0.35, 200, 1.0, 1.5, 270, 12),
    Category("frozen", ("ice cream", "ready meals"), 0.30, 0.45, 205, 0.3, 4.0, 360, 8),
    Category("snacks", ("sweets", "savoury"), 0.40, 0.20, 355, 1.2, 2.2, 180, 10),
    Category("household", ("cleaning", "paper"), 0.15, 0.05, 90, 0.1, 5.5, 1000, 6),
)
REGIONS: Final = ("north", "south", "west")
FORMATS: Final = ("city", "super", "hyper")
_FORMAT_SIZE: Final = np.array([0.6, 1.0, 1.8])
_FORMAT_WEEKEND: Final = np.array([0.4, 1.0, 1.4])
_WEEKDAY: Final = np.array([0.92, 0.88, 0.92, 1.0, 1.15, 1.25, 0.9])
_PROMO_DISPLAY: Final = 1.25  # a promoted item is also put on display
_RAMP_DAYS: Final = 6


@dataclass(frozen=True)
class Stores:
    """[N] each."""

    ids: NDArray[np.str_]
    size: Floats
    format: Ints
    region: Ints
    sunday_closed: Bools


@dataclass(frozen=True)
class Items:
    """[I] each."""

    ids: NDArray[np.str_]
    category: Ints
    kind: Ints
    base: Floats
    """Units per day in a store of size 1."""
    slow: Bools
    price: Floats
    cost: Floats
    elasticity: Floats
    growth: Floats
    """Log change of demand per year."""
    launch: Ints
    """Day of the first sale; 0: there from the start."""
    supplier: Ints
    case_pack: Ints
    minimum_order: Ints


@dataclass(frozen=True)
class Plan:
    """What the retailer has decided, and the demand rate it leads to."""

    dates: Days
    stores: Stores
    items: Items
    calendar: pd.DataFrame
    store_of: Ints
    item_of: Ints
    open: Bools
    """[N, T]"""
    listed: Bools
    """[S, T]"""
    promotion: Bools
    """[S, T]"""
    price: Floats
    """[S, T], discount included."""
    rate: Floats
    """[S, T] expected units per day; 0 where closed or not listed."""


def make_plan(rng: Generator, n_stores: int, n_items: int, dates: Days, n_days: int) -> Plan:
    """Draw a retailer. `dates` are the days to plan [T], of which the first `n_days` will be traded."""
    stores, items = _stores(rng, n_stores), _items(rng, n_items, n_days)
    store_of, item_of = _assortment(rng, stores, items)
    special = special_days(dates)
    is_open = _opening(stores, special, dates)
    listed = np.arange(len(dates)) >= items.launch[item_of][:, None]
    promotion, discount = _promotions(rng, items, store_of, item_of, stores, dates)
    promotion &= listed
    shelf = _shelf_prices(rng, items, len(dates))
    price = np.round(shelf[item_of] * np.where(promotion, 1 - discount, 1.0), 2)
    rate = _season(stores, items, store_of, item_of, special, dates)
    rate *= (items.base[item_of] * stores.size[store_of] * rng.lognormal(0, 0.25, len(item_of)))[:, None]
    rate *= np.where(promotion, _PROMO_DISPLAY, 1.0)
    rate *= (price / items.price[item_of][:, None]) ** -items.elasticity[item_of][:, None]
    rate *= is_open[store_of] & listed
    calendar = special[["date", "scope", "name", "kind"]].reset_index(drop=True)
    return Plan(dates, stores, items, calendar, store_of, item_of, is_open, listed, promotion, price, rate)


def special_days(dates: Days) -> pd.DataFrame:
    """Holidays with scope, kind, `pull` (how much shopping they cause beforehand) and whether shops close."""
    years = range(dates[0].astype(date).year, dates[-1].astype(date).year + 2)
    rows: list[tuple[date, str, str, str, float, bool]] = []
    for year in years:
        sunday = easter(year)
        rows += [
            (date(year, 1, 1), EVERYWHERE, "New Year", "public", 0.3, True),
            (sunday, EVERYWHERE, "Easter", "public", 0.5, True),
            (date(year, 5, 1), EVERYWHERE, "Labour Day", "public", 0.2, False),
            (date(year, 6, 24), EVERYWHERE, "Midsummer", "festive", 0.3, False),
            (date(year, 10, 31), EVERYWHERE, "Halloween", "festive", 0.2, False),
            (date(year, 12, 25), EVERYWHERE, "Christmas", "public", 0.7, True),
            (date(year, 9, 8), f"region:{REGIONS[0]}", "Northern Harvest", "regional", 0.3, False),
            (date(year, 3, 19), f"region:{REGIONS[1]}", "Southern Fair", "regional", 0.3, False),
        ]
    table = pd.DataFrame(rows, columns=["date", "scope", "name", "kind", "pull", "closes"])
    table["date"] = pd.to_datetime(table["date"])
    inside = (table["date"] >= dates[0]) & (table["date"] <= dates[-1] + np.timedelta64(_RAMP_DAYS, "D"))
    kept: pd.DataFrame = table[inside].sort_values(["date", "scope"], ignore_index=True)
    return kept


def easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm (Nature, 20 April 1876; Meeus 1991, chapter 8)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def weekdays(dates: Days) -> Ints:
    """Monday is 0."""
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7


def _stores(rng: Generator, n: int) -> Stores:
    kind = rng.integers(0, len(FORMATS), n)
    return Stores(
        ids=np.array([f"S{k:03d}" for k in range(1, n + 1)]),
        size=_FORMAT_SIZE[kind] * rng.lognormal(0, 0.2, n),
        format=kind,
        region=np.arange(n) % len(REGIONS),
        sunday_closed=np.arange(n) % 3 == 1,
    )


def _items(rng: Generator, n: int, n_days: int) -> Items:
    category = np.arange(n) % len(CATEGORIES)
    slow = rng.random(n) < 0.25
    price = np.array([c.price for c in CATEGORIES])[category] * rng.lognormal(0, 0.4, n)
    pack = np.array([c.case_pack for c in CATEGORIES])[category]
    pack = np.where(slow, np.maximum(pack // 4, 1), pack)
    launch = np.zeros(n, dtype=np.int64)
    newest = max(n // 30, int(n >= 4))
    order = rng.permutation(n)
    launch[order[:newest]] = n_days - rng.integers(7, 21, newest)
    recent = order[newest : newest + n // 12]
    launch[recent] = (n_days * rng.uniform(0.3, 0.8, len(recent))).astype(np.int64)
    return Items(
        ids=np.array([f"I{k:04d}" for k in range(1, n + 1)]),
        category=category,
        kind=rng.integers(0, 2, n),
        base=np.where(slow, rng.uniform(0.05, 0.5, n), np.minimum(rng.lognormal(1.7, 0.7, n), 60)),
        slow=slow,
        price=np.round(price, 2),
        cost=np.round(price * rng.uniform(0.6, 0.75, n), 2),
        elasticity=rng.uniform(1.0, 2.5, n),
        growth=rng.normal(0.03, 0.12, n),
        launch=launch,
        supplier=category.copy(),
        case_pack=pack,
        minimum_order=pack * np.where(rng.random(n) < 0.2, 2, 1),
    )


def _assortment(rng: Generator, stores: Stores, items: Items) -> tuple[Ints, Ints]:
    """Nine in ten items are listed in a store; every item is in at least one."""
    listed = rng.random((len(stores.ids), len(items.ids))) < 0.9
    listed[rng.integers(0, len(stores.ids), len(items.ids)), np.arange(len(items.ids))] = True
    store_of, item_of = np.nonzero(listed)
    return store_of, item_of


def _opening(stores: Stores, special: pd.DataFrame, dates: Days) -> Bools:
    closed = np.isin(dates, special.loc[special["closes"], "date"].to_numpy().astype("datetime64[D]"))
    sunday = weekdays(dates) == 6
    opens: Bools = ~(closed | (sunday & stores.sunday_closed[:, None]))
    return opens


def _promotions(
    rng: Generator, items: Items, store_of: Ints, item_of: Ints, stores: Stores, dates: Days
) -> tuple[Bools, Floats]:
    """Flags [S, T] and discounts [S, T] by item, region and week; a promotion lasts one or two weeks."""
    day = dates.astype(np.int64)
    week = (day + 3) // 7
    week = week - week[0]
    shape = (len(items.ids), len(REGIONS), int(week[-1]) + 1)
    chain = rng.random((shape[0], 1, shape[2])) < 0.05  # in all regions at once
    local = rng.random(shape) < 0.015
    starts = chain | local
    long = rng.random(shape) < 0.3
    running = starts.copy()
    running[..., 1:] |= starts[..., :-1] & long[..., :-1]
    depth = rng.choice([0.1, 0.2, 0.25, 0.4], size=(shape[0], 1, shape[2]), p=[0.3, 0.35, 0.25, 0.1])
    depth = np.broadcast_to(depth, shape)
    where = (item_of[:, None], stores.region[store_of][:, None], week[None, :])
    return np.asarray(running[where], dtype=bool), np.asarray(depth[where], dtype=np.float64)


def _shelf_prices(rng: Generator, items: Items, n_days: int) -> Floats:
    """[I, T]: a price changes about twice a year, by up to 8 %, upwards more often than not."""
    changes = rng.random((len(items.ids), n_days)) < 2 / 365
    changes[:, 0] = False
    steps = np.where(changes, rng.normal(0.015, 0.03, changes.shape).clip(-0.08, 0.08), 0.0)
    prices: Floats = items.price[:, None] * np.exp(np.cumsum(steps, axis=1))
    return prices


def _season(stores: Stores, items: Items, store_of: Ints, item_of: Ints, special: pd.DataFrame, dates: Days) -> Floats:
    """[S, T]: week, year, holidays and trend, around 1."""
    table = {f: np.array([getattr(c, f) for c in CATEGORIES]) for f in ("weekend", "season", "peak", "festive")}
    of = items.category[item_of]
    weekday = weekdays(dates)
    saturday = np.isin(weekday, (4, 5)) * (weekday - 3) / 2
    weekend = table["weekend"][of] * _FORMAT_WEEKEND[stores.format[store_of]]
    level: Floats = _WEEKDAY[weekday] * (1 + weekend[:, None] * saturday)
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    year = 1 + table["season"][:, None] * np.cos(2 * np.pi * (day_of_year - table["peak"][:, None]) / 365.25)
    level = level * year[of]
    level *= 1 + table["festive"][of][:, None] * _pull(special, dates)[stores.region[store_of]]
    level *= np.exp(items.growth[item_of][:, None] * np.arange(len(dates)) / 365.25)
    return level


def _pull(special: pd.DataFrame, dates: Days) -> Floats:
    """[regions, T]: extra shopping in the days up to each holiday, strongest the day before."""
    pull = np.zeros((len(REGIONS), len(dates)))
    ahead = (special["date"].to_numpy().astype("datetime64[D]")[:, None] - dates).astype(np.int64)
    strength = np.where((ahead >= 0) & (ahead < _RAMP_DAYS), np.exp(-np.abs(ahead - 1) / 2), 0.0)
    strength *= special["pull"].to_numpy()[:, None]
    for at, region in enumerate(REGIONS):
        here = special["scope"].isin([EVERYWHERE, f"region:{region}"]).to_numpy()
        pull[at] = strength[here].sum(axis=0)
    return pull
