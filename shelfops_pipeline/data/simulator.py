"""A seeded retailer whose true demand is known: the embedded data set of demo, tests and benchmarks.

Axes: S series (a listed store x item), T days: `days` traded, then `future_days` planned but not yet traded.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    LINE,
    ON_HAND,
    ON_ORDER,
    ON_PROMOTION,
    OPEN,
    PRICE,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TS,
    UNIT_PRICE,
)
from shelfops_pipeline.data.simulator_plan import (
    CATEGORIES,
    FORMATS,
    REGIONS,
    Bools,
    Days,
    Floats,
    Ints,
    Plan,
    make_plan,
)
from shelfops_pipeline.data.simulator_stock import Stock, Suppliers, Units, make_suppliers, run_stock
from shelfops_pipeline.data.source import (
    CASE_PACK,
    CATEGORY,
    COST,
    CUTOFF_HOUR,
    MINIMUM_ORDER,
    ORDER_WEEKDAYS,
    SHELF_LIFE_DAYS,
    SUPPLIER_ID,
)
from shelfops_pipeline.data.tables import coded, constant, covariate

SOURCE_NAME: Final = "simulator"
UNKNOWN_STORE: Final = "S???"
_SHOCK_SD: Final = 0.06
_ABSURD: Final = 9_999_999.0


@dataclass(frozen=True)
class Simulator:
    """A retailer drawn from `seed`; equal arguments give equal data. Tables are made when first asked for."""

    stores: int = 10
    items: int = 60
    days: int = 730
    seed: int = 7
    start: date = date(2024, 1, 1)
    dirt: float = 0.001
    """Bad rows added to the transactions, as a share: the true row is always there too."""
    future_days: int = 90
    shift: float = 1.0
    """Demand from `shift_from` on, as a factor: what nobody planned. The days before it stay as they were."""
    shift_from: date | None = None

    @property
    def end(self) -> date:
        """Last day of trade."""
        return self.start + timedelta(days=self.days - 1)

    @cached_property
    def dates(self) -> Days:
        """[T]"""
        return np.datetime64(self.start, "D") + np.arange(self.days + self.future_days)

    @cached_property
    def plan(self) -> Plan:
        """Stores, items, calendar, prices, promotions, opening and the demand rate."""
        return make_plan(self._rng(0), self.stores, self.items, self.dates, self.days)

    @property
    def true_rate(self) -> Floats:
        """[S, T] expected units per day; 0 where closed or not listed yet. No forecast can beat it."""
        return self.plan.rate * self._shift

    @property
    def true_variance(self) -> Floats:
        """[S, T] of the demand of a day around its rate: Poisson, negative binomial, and the store's shock."""
        rate = self.true_rate
        return rate + rate**2 * (1 / _shape(self.plan)[:, None] + _SHOCK_SD**2)

    @property
    def listed(self) -> Bools:
        """[S, T]"""
        return self.plan.listed

    @cached_property
    def series(self) -> pd.DataFrame:
        """store_id and item_id of each row of the arrays [S]."""
        plan = self.plan
        return pd.DataFrame({STORE_ID: plan.stores.ids[plan.store_of], ITEM_ID: plan.items.ids[plan.item_of]})

    @cached_property
    def true_demand(self) -> Units:
        """[S, T] units that customers wanted, sold or not.

        Negative binomial around the rate, with a common shock per store and day that nobody can foresee.
        """
        rng, plan = self._rng(1), self.plan
        shape = _shape(plan)
        rate = plan.rate * self._shocks[plan.store_of]
        rate *= rng.standard_gamma(shape[:, None], rate.shape) / shape[:, None]
        # Scaled after it is drawn: another rate would draw other numbers, for earlier days too.
        return np.rint(rng.poisson(rate) * self._shift).astype(np.int32)

    @cached_property
    def supply(self) -> Suppliers:
        """Lead times, delays and order days: what `suppliers` and `inventory` tell of."""
        return make_suppliers(self._rng(4), len(CATEGORIES))

    @cached_property
    def stock(self) -> Stock:
        """Sales, returns and stock on hand and on order [S, days]."""
        return run_stock(self._rng(2), self.plan, self.supply, self.true_demand[:, : self.days])

    @cached_property
    def transactions(self) -> pd.DataFrame:
        """A row per listed item, open store and day, zero sales included, net of returns; and the dirt."""
        plan, stock = self.plan, self.stock
        trades = (plan.open[plan.store_of] & plan.listed)[:, : self.days]
        day, series = np.nonzero(trades.T)
        clean = pd.DataFrame(
            {
                TS: self.dates[day].astype("datetime64[ns]"),
                STORE_ID: _ids(plan.stores.ids, plan.store_of[series], (UNKNOWN_STORE,)),
                ITEM_ID: _ids(plan.items.ids, plan.item_of[series]),
                QUANTITY: (stock.sales - stock.returns)[series, day].astype(np.float64),
                UNIT_PRICE: plan.price[series, day],
                ON_PROMOTION: plan.promotion[series, day].astype(np.float64),
            }
        )
        rows = pd.concat([clean, _dirt(self._rng(3), clean, self.dirt)], ignore_index=True)
        rows = rows.sort_values(TS, kind="stable", ignore_index=True)
        rows[SOURCE] = constant(SOURCE_NAME, len(rows))
        rows[LINE] = np.arange(2, len(rows) + 2)
        return rows

    @cached_property
    def inventory(self) -> pd.DataFrame:
        """Stock at the end of each day of every listed item, open or not; lead times in days."""
        plan, stock, suppliers = self.plan, self.stock, self.supply
        day, series = np.nonzero(plan.listed[:, : self.days].T)
        supplier = plan.items.supplier[plan.item_of[series]]
        return pd.DataFrame(
            {
                DATE: self.dates[day].astype("datetime64[ns]"),
                STORE_ID: _ids(plan.stores.ids, plan.store_of[series]),
                ITEM_ID: _ids(plan.items.ids, plan.item_of[series]),
                ON_HAND: stock.on_hand[series, day].astype(np.float64),
                ON_ORDER: stock.on_order[series, day].astype(np.float64),
                LEAD_TIME_DAYS: (suppliers.lead + suppliers.delay)[supplier],
                LEAD_TIME_SD: np.sqrt(suppliers.delay)[supplier],
            }
        )

    @property
    def stores_table(self) -> pd.DataFrame:
        """store_id, region, format."""
        stores = self.plan.stores
        return pd.DataFrame(
            {
                STORE_ID: stores.ids,
                "region": np.array(REGIONS)[stores.region],
                "format": np.array(FORMATS)[stores.format],
            }
        )

    @property
    def items_table(self) -> pd.DataFrame:
        """One row per item: what it is, costs and lasts, and how it is ordered."""
        items = self.plan.items
        kinds = np.array([c.kinds for c in CATEGORIES])
        return pd.DataFrame(
            {
                ITEM_ID: items.ids,
                CATEGORY: np.array([c.name for c in CATEGORIES])[items.category],
                "subcategory": kinds[items.category, items.kind],
                COST: items.cost,
                PRICE: items.price,
                SUPPLIER_ID: self.supply.ids[items.supplier],
                CASE_PACK: items.case_pack,
                MINIMUM_ORDER: items.minimum_order,
                SHELF_LIFE_DAYS: np.array([c.shelf_life for c in CATEGORIES])[items.category],
            }
        )

    @property
    def suppliers(self) -> pd.DataFrame:
        """supplier_id, order_weekdays (Monday is 0), cutoff_hour."""
        own = self.supply
        weekdays = [",".join(str(d) for d in np.flatnonzero(days)) for days in own.order_days]
        return pd.DataFrame({SUPPLIER_ID: own.ids, ORDER_WEEKDAYS: weekdays, CUTOFF_HOUR: 14})

    @property
    def calendar(self) -> pd.DataFrame:
        """Holidays, national and regional."""
        return self.plan.calendar

    @cached_property
    def covariates(self) -> list[pd.DataFrame]:
        """on_promotion, price and open, planned to the end of T; footfall, known up to the last day."""
        plan = self.plan
        series, day = np.nonzero(plan.listed)
        keys = {
            STORE_ID: _ids(plan.stores.ids, plan.store_of[series]),
            ITEM_ID: _ids(plan.items.ids, plan.item_of[series]),
        }
        dates = self.dates[day].astype("datetime64[ns]")
        footfall = self._footfall()
        return [
            covariate(ON_PROMOTION, dates, plan.promotion[series, day], **keys, known_future=True),
            covariate(PRICE, dates, plan.price[series, day], **keys, known_future=True),
            self._by_store(OPEN, plan.open.astype(np.float64), known_future=True),
            self._by_store("footfall", footfall, known_future=False),
        ]

    @cached_property
    def _shift(self) -> Floats:
        """[T], 1 before the shift."""
        before = self.dates < np.datetime64(self.shift_from or date.max, "D")
        return np.where(before, 1.0, self.shift)

    @cached_property
    def _shocks(self) -> Floats:
        """[N, T], mean 1."""
        return self._rng(5).lognormal(-(_SHOCK_SD**2) / 2, _SHOCK_SD, (self.stores, len(self.dates)))

    def _footfall(self) -> Floats:
        """Customers per store and day [N, days]: about one for every four units that were wanted."""
        wanted = np.zeros((self.stores, self.days))
        np.add.at(wanted, self.plan.store_of, self.plan.rate[:, : self.days])
        return self._rng(6).poisson(wanted * self._shocks[:, : self.days] / 4).astype(np.float64)

    def _by_store(self, name: str, values: Floats, *, known_future: bool) -> pd.DataFrame:
        n_days = values.shape[1]
        store = np.repeat(np.arange(self.stores), n_days)
        dates = np.tile(self.dates[:n_days].astype("datetime64[ns]"), self.stores)
        ids = _ids(self.plan.stores.ids, store)
        return covariate(name, dates, values.ravel(), store_id=ids, known_future=known_future)

    def _rng(self, stream: int) -> Generator:
        """An independent generator per purpose, so that a change in one leaves the others alone."""
        return np.random.default_rng([self.seed, stream])


def _shape(plan: Plan) -> Floats:
    """[S] of the gamma distribution that varies each day's rate: slow items sell in bursts."""
    return np.where(plan.items.slow[plan.item_of], 2.0, 15.0)


def _ids(ids: NDArray[np.str_], codes: Ints, more: tuple[str, ...] = ()) -> pd.Categorical:
    return coded(codes, [*ids.tolist(), *more])


def _dirt(rng: Generator, clean: pd.DataFrame, share: float) -> pd.DataFrame:
    """Bad copies of good rows, in turn: negative price, plain duplicate, unknown store, absurd quantity."""
    if share <= 0:
        return clean.iloc[:0]
    picked = rng.choice(len(clean), size=max(round(share * len(clean)), 4), replace=False)
    bad = clean.iloc[picked].reset_index(drop=True)
    turn = np.arange(len(bad)) % 4
    bad.loc[turn == 0, UNIT_PRICE] *= -1
    bad.loc[turn == 2, STORE_ID] = UNKNOWN_STORE
    bad.loc[turn == 3, QUANTITY] = _ABSURD
    return bad
