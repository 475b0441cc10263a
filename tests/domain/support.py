"""What the tests of the numerical core share: a retailer with every difficulty, a plain one, blank states, recipes."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, HOLIDAY_DAYS, ON_PROMOTION, OPEN, PRICE, Grain, Tier
from shelfops_pipeline.contracts.spec import TierSpec, tier_spec
from shelfops_pipeline.data.panel import Panel, State, Static
from shelfops_pipeline.inference.state import Layout, SeriesState
from shelfops_pipeline.models.recipe import Recipe

Floats = NDArray[np.float32]

# Rows of `difficult_panel`.
REGULAR, RARE, HUGE, LATE, NEW, ENDED, GAPS, STOCKED_OUT, ONE_PERIOD = range(9)
CATEGORIES = ("bakery", "chilled")


def difficult_panel(grain: Grain = Grain.DAY, periods: int = 430, future: int = 14, seed: int = 5) -> Panel:
    """Nine series, three items in three stores; the row names above say what is the matter with each.

    Store 0 closes every Sunday (or fourth week), store 1 for longer than any lead-in; promotions, prices and a
    covariate have gaps; one item has no category, another no brand.
    """
    rng = np.random.default_rng(seed)
    S, T = 9, periods + future
    day = grain is Grain.DAY
    store_of, item_of = np.repeat(np.arange(3), 3), np.tile(np.arange(3), 3)
    start = np.datetime64("2023-01-02")
    dates = start + np.arange(T) * (1 if day else 7)
    open_ = np.ones((3, T), np.float32)
    open_[0, np.arange(T) % (7 if day else 4) == (6 if day else 3)] = 0
    middle, long = periods // 2, 40 if day else 10
    open_[1, middle : middle + long] = 0
    open_[2, periods - 5 : periods - 2] = 0
    promo = (rng.random((S, T)) < 0.12).astype(np.float32)
    promo[:, 1:] = np.maximum(promo[:, 1:], promo[:, :-1])  # runs of two and more
    promo[REGULAR, periods - 40 : periods + 3] = 1  # running since before the lead-in
    promo[GAPS, ::11] = np.nan
    price = (2 + 0.5 * rng.random((S, T)) - 0.4 * np.nan_to_num(promo)).astype(np.float32)
    price[LATE, : periods - 20] = np.nan
    price[NEW] = np.nan
    price[RARE, periods - 1 :: 2] = np.nan
    holiday = np.zeros((S, T), np.float32)
    holiday[:, ::23], holiday[:3, ::57] = 1, 2
    holidays = {HOLIDAY: holiday}
    if not day:
        holidays[HOLIDAY_DAYS] = np.where(holiday > 0, 1 + np.arange(T) % 3, 0).astype(np.float32)
    warmth = np.broadcast_to(np.sin(np.arange(T) / 9) * 5, (S, T)).astype(np.float32).copy()
    warmth[:, ::13] = np.nan
    footfall = rng.uniform(50, 90, (S, T)).astype(np.float32)
    footfall[GAPS, ::2] = np.nan
    footfall[:, periods:] = np.nan
    rate = np.array([6, 0.15, 900, 8, 5, 3, 10, 2, 4])[:, None] * (1 + 0.5 * np.sin(np.arange(T) * 2 * np.pi / 7))
    demand = rng.poisson(rate * (1 + np.nan_to_num(promo))).astype(np.float32)
    state = np.full((S, T), State.OBSERVED, np.uint8)
    state[GAPS, rng.random(T) < 0.3] = State.UNKNOWN
    state[STOCKED_OUT, rng.random(T) < 0.25] = State.STOCKOUT
    state[LATE, : periods - 20] = State.NOT_LISTED
    state[NEW] = State.NOT_LISTED
    state[ENDED, periods - 60 if day else periods - 12 :] = State.NOT_LISTED
    state[ONE_PERIOD, : periods - 1] = State.NOT_LISTED
    state[open_[store_of] == 0] = State.CLOSED
    state[:, periods:] = State.FUTURE
    demand[state != State.OBSERVED] = np.nan
    return Panel(
        dataset="difficult",
        grain=grain,
        store_ids=np.array(["S0", "S1", "S2"])[store_of],
        item_ids=np.array(["bun", "milk", "odd"])[item_of],
        dates=dates,
        n_observed=periods,
        demand=demand,
        state=state,
        channels={OPEN: open_[store_of], ON_PROMOTION: promo, PRICE: price, **holidays, "warmth": warmth},
        past={"footfall": footfall},
        static={
            "store_id": Static(store_of.astype(np.int32), ("S0", "S1", "S2")),
            "item_id": Static(item_of.astype(np.int32), ("bun", "milk", "odd")),
            "category": Static(np.array([0, 1, -1], np.int32)[item_of], CATEGORIES),
            "region": Static(np.array([0, 1, 1], np.int32)[store_of], ("north", "south")),
            "brand": Static(np.array([-1, 0, 0], np.int32)[item_of], ("farm", "mill")),
        },
        holiday_kinds=("festive", "public"),
    )


def chain_panel(
    stores: int = 3, items: int = 8, periods: int = 200, future: int = 14, seed: int = 3, rate: float = 8.0
) -> Panel:
    """Daily sales of every item in every store, the items in two categories: enough for totals by store and category.

    Store 0 closes on Sundays; a weekday profile, promotions, prices and a covariate of the stores; nothing is missing.
    """
    rng = np.random.default_rng(seed)
    S, T = stores * items, periods + future
    store_of, item_of = np.repeat(np.arange(stores), items), np.tile(np.arange(items), stores)
    open_ = np.ones((stores, T), np.float32)
    open_[0, np.arange(T) % 7 == 6] = 0
    promo = (rng.random((S, T)) < 0.1).astype(np.float32)
    weekday = 1 + 0.5 * np.sin(np.arange(T) * 2 * np.pi / 7)
    expected = rate * rng.lognormal(0, 0.5, (S, 1)) * weekday * (1 + 0.4 * promo)
    demand = rng.poisson(expected).astype(np.float32)
    state = np.full((S, T), State.OBSERVED, np.uint8)
    state[open_[store_of] == 0] = State.CLOSED
    state[:, periods:] = State.FUTURE
    demand[state != State.OBSERVED] = np.nan
    holiday = np.zeros((S, T), np.float32)
    holiday[:, ::30] = 1
    warmth = rng.normal(10, 3, (stores, T)).astype(np.float32)
    return Panel(
        dataset="chain",
        grain=Grain.DAY,
        store_ids=np.array([f"S{k}" for k in range(stores)])[store_of],
        item_ids=np.array([f"I{k}" for k in range(items)])[item_of],
        dates=np.datetime64("2024-01-01") + np.arange(T),  # a Monday
        n_observed=periods,
        demand=demand,
        state=state,
        channels={
            OPEN: open_[store_of],
            ON_PROMOTION: promo,
            PRICE: np.full((S, T), 2.0, np.float32),
            HOLIDAY: holiday,
            "warmth": warmth[store_of],
        },
        static={
            "store_id": Static(store_of.astype(np.int32), tuple(f"S{k}" for k in range(stores))),
            "item_id": Static(item_of.astype(np.int32), tuple(f"I{k}" for k in range(items))),
            "category": Static((item_of % 2).astype(np.int32), CATEGORIES),
            "region": Static((store_of % 2).astype(np.int32), ("north", "south")),
        },
        holiday_kinds=("public",),
    )


def with_store_totals(chain: Panel, factor: float = 1.0, extra: int = 400) -> Panel:
    """The chain with what its stores sold, `factor` times the sum of its series, known for `extra` days more."""
    store = chain.static["store_id"].codes
    n = store.max() + 1
    sums = np.stack([np.nansum(chain.demand[store == k], axis=0) for k in range(n)])
    sums[[np.isnan(chain.demand[store == k]).all(axis=0) for k in range(n)]] = np.nan
    rng = np.random.default_rng(0)
    before = rng.poisson(np.nanmean(sums, axis=1, keepdims=True), (n, extra))
    demand = (factor * np.concatenate([before, sums], axis=1)).astype(np.float32)
    state = np.where(np.isfinite(demand), State.OBSERVED, State.CLOSED).astype(np.uint8)
    state[:, extra + chain.n_observed :] = State.FUTURE
    names = chain.static["store_id"].categories
    totals = Panel(
        dataset=chain.dataset,
        grain=chain.grain,
        store_ids=np.array(names),
        item_ids=np.array(["all"] * n),
        dates=chain.dates[0] + np.arange(-extra, chain.n_periods),
        n_observed=extra + chain.n_observed,
        demand=demand,
        state=state,
        static={"store_id": Static(np.arange(n, dtype=np.int32), names)},
    )
    return replace(chain, store_totals=totals)


def spec_for(panel: Panel, tier: Tier, horizon: int) -> TierSpec:
    """The tier's shape on this panel, as a recipe would choose it."""
    return tier_spec(
        tier,
        panel.grain,
        horizon,
        panel.n_observed,
        tuple(panel.channels),
        tuple(sorted(panel.past)),
        tuple(panel.static),
    )


def small_spec(horizon: int = 14, tier: Tier = Tier.COLD_START, channels: tuple[str, ...] = (OPEN,)) -> TierSpec:
    """A daily spec with little in it, for tests that make states by hand."""
    return tier_spec(tier, Grain.DAY, horizon, 60, channels, (), ("store_id",))


def blank_state(spec: TierSpec, n: int, origin: str = "2025-03-02", **scalars: Any) -> SeriesState:
    """A state about which nothing is known but the scalars given ([n] or one number); every store is open."""
    layout = Layout.of(spec)
    arrays = {name: np.full((n, *shape), np.nan, np.float32) for name, shape in layout.shapes.items()}
    arrays["encoder"][:] = arrays["shift"][:] = 0
    state = SeriesState(layout=layout, grain=spec.grain, origin=np.datetime64(origin), **arrays)
    if OPEN in spec.channels:
        state.channel(OPEN)[:] = 1
    for name, value in scalars.items():
        state.scalars[:, layout.scalars.index(name)] = value
    return state


def tiny(recipe: Recipe) -> Recipe:
    """The same recipe, fitted in seconds."""
    boost = {"rounds": 40, "max_rows": 12_000, "learning_rate": 0.1, "max_depth": 5, "max_leaves": 24, "max_bin": 64}
    net = {"max_windows": 500, "epochs": 3, "units": 16, "batch_size": 64}
    return recipe.model_copy(
        update={"xgboost": recipe.xgboost.model_copy(update=boost), "lstm": recipe.lstm.model_copy(update=net)}
    )
