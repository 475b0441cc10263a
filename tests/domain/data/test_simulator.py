"""The simulated retailer: repeatable, and with the properties that the rest of the system is tested on."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.data.simulator import UNKNOWN_STORE, Simulator
from shelfops_pipeline.data.simulator_plan import easter, weekdays
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.settings import Settings


@pytest.fixture(scope="module")
def world() -> Simulator:
    return Simulator(stores=6, items=40, days=500, seed=3)


def test_the_same_seed_gives_the_same_tables_and_another_seed_does_not() -> None:
    one, two, other = (Simulator(stores=2, items=8, days=90, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.transactions, two.transactions)
    pd.testing.assert_frame_equal(one.inventory, two.inventory)
    for a, b in zip(one.covariates, two.covariates, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert one.true_demand.sum() != other.true_demand.sum()


def test_a_shift_changes_demand_from_its_day_on_and_nothing_before() -> None:
    size = {"stores": 2, "items": 8, "days": 120}
    plain, shifted = Simulator(**size), Simulator(**size, shift=0.5, shift_from=date(2024, 4, 1))
    before = plain.dates[:120] < np.datetime64("2024-04-01")
    np.testing.assert_array_equal(shifted.stock.sales[:, before], plain.stock.sales[:, before])
    np.testing.assert_allclose(shifted.true_rate[:, :120][:, ~before], plain.true_rate[:, :120][:, ~before] / 2)
    assert shifted.stock.sales[:, ~before].sum() / plain.stock.sales[:, ~before].sum() == pytest.approx(0.5, abs=0.1)


def test_the_demo_size_has_rows_enough() -> None:
    world = Simulator(stores=10, items=60, days=730, seed=11)
    assert len(world.transactions) > 300_000
    assert len(world.inventory) > 300_000
    assert world.covariates


@pytest.mark.parametrize(("stores", "items"), [(1, 1), (1, 5), (3, 1)])
def test_the_smallest_retailers_work(stores: int, items: int) -> None:
    world = Simulator(stores=stores, items=items, days=60, seed=1, dirt=0)
    assert len(world.series) >= items
    assert len(world.transactions) > 0


def test_demand_is_unbiased_around_the_true_rate(world: Simulator) -> None:
    assert world.true_rate.shape == world.true_demand.shape == (len(world.series), 500 + world.future_days)
    assert world.true_demand.sum() / world.true_rate.sum() == pytest.approx(1, abs=0.01)
    by_series = world.true_demand.mean(axis=1) - world.true_rate.mean(axis=1)
    assert abs(by_series.mean()) < 0.1


def test_rows_are_every_listed_item_in_every_open_store(world: Simulator) -> None:
    clean = Simulator(stores=6, items=40, days=500, seed=3, dirt=0)
    rows = clean.transactions
    trades = (world.plan.open[world.plan.store_of] & world.listed)[:, :500]
    assert len(rows) == trades.sum()
    assert (rows["quantity"] == 0).mean() > 0.05
    assert rows["quantity"].sum() == world.stock.sales.sum() - world.stock.returns.sum()
    assert (world.true_rate[:, :500][~trades] == 0).all()


def test_stock_is_conserved_and_limits_sales(world: Simulator) -> None:
    stock, demand = world.stock, world.true_demand[:, :500]
    assert (stock.sales <= demand).all()
    assert (stock.on_hand >= 0).all()
    assert (stock.on_order >= 0).all()
    out = (stock.sales < demand) & (stock.returns == 0)
    assert (stock.on_hand[out] == 0).all()  # unmet demand means that the shelf was empty
    change = np.diff(stock.on_hand, axis=1) + stock.sales[:, 1:] - stock.returns[:, 1:]
    assert (change >= 0).all()  # what is left came by delivery
    assert (change % world.plan.items.case_pack[world.plan.item_of][:, None] == 0).all()


def test_stockouts_censor_a_little_of_the_demand(world: Simulator) -> None:
    lost = 1 - world.stock.sales.sum() / world.true_demand[:, :500].sum()
    assert 0.005 < lost < 0.12
    assert 0 < world.stock.returns.sum() < 0.01 * world.stock.sales.sum()


def test_promotions_prices_weekdays_and_categories_move_demand(world: Simulator) -> None:
    plan, rate = world.plan, world.true_rate
    base = np.where(rate > 0, rate, np.nan) / np.nanmean(np.where(rate > 0, rate, np.nan), axis=1, keepdims=True)
    assert 0.03 < plan.promotion[world.listed].mean() < 0.15
    assert np.nanmean(base[plan.promotion]) > 1.5 * np.nanmean(base[~plan.promotion])
    assert (plan.price[plan.promotion] < plan.items.price[plan.item_of].max()).all()
    day = weekdays(plan.dates)
    assert np.nanmean(base[:, day == 5]) > 1.2 * np.nanmean(base[:, day == 1])
    prices = np.array([len(np.unique(row[~promo])) for row, promo in zip(plan.price, plan.promotion, strict=True)])
    assert (prices > 1).mean() > 0.5  # most shelf prices changed at least once


def test_slow_movers_and_new_items_are_there(world: Simulator) -> None:
    items = world.plan.items
    assert items.slow.any()
    slow = items.slow[world.plan.item_of]
    assert (world.stock.sales[slow] == 0).mean() > 0.5
    assert ((items.launch >= 500 - 21) & (items.launch < 500)).any()  # no more than three weeks of history
    assert ((items.launch > 100) & (items.launch < 450)).any()
    first = world.transactions.groupby("item_id", observed=True)["ts"].min()
    newest = items.ids[np.argmax(items.launch)]
    assert first[newest] >= pd.Timestamp(world.start) + pd.Timedelta(days=int(items.launch.max()))


def test_some_stores_close_on_sundays_and_all_on_christmas(world: Simulator) -> None:
    plan = world.plan
    sunday = weekdays(plan.dates) == 6
    assert (plan.open[:, sunday].mean(axis=1) == 0).tolist() == plan.stores.sunday_closed.tolist()
    assert plan.stores.sunday_closed.any()
    assert not plan.stores.sunday_closed.all()
    assert not plan.open[:, plan.dates == np.datetime64("2024-12-25")].any()


def test_plans_are_known_ahead_and_footfall_is_not(world: Simulator) -> None:
    last = pd.Timestamp(world.end)
    frames = {str(f["name"].iloc[0]): f for f in world.covariates}
    for name in ("on_promotion", "price", "open"):
        assert frames[name]["known_future"].all()
        assert frames[name]["date"].max() >= last + pd.Timedelta(days=60)
    assert frames["on_promotion"].query("date > @last")["value"].sum() > 0
    assert not frames["footfall"]["known_future"].any()
    assert frames["footfall"]["date"].max() == last
    assert world.transactions["ts"].max() == world.inventory["date"].max() == last


def test_dirt_is_added_to_the_true_rows_never_in_their_place() -> None:
    clean = Simulator(stores=3, items=10, days=120, seed=5, dirt=0)
    dirty = Simulator(stores=3, items=10, days=120, seed=5, dirt=0.02)
    extra = len(dirty.transactions) - len(clean.transactions)
    assert extra == round(0.02 * len(clean.transactions))
    rows = dirty.transactions
    assert rows["store_id"].eq(UNKNOWN_STORE).sum() == pytest.approx(extra / 4, abs=1)
    assert rows["line"].is_monotonic_increasing
    columns = [c for c in clean.transactions if c != "line"]
    merged = clean.transactions[columns].astype(object).merge(rows[columns].astype(object), how="left", indicator=True)
    assert merged["_merge"].eq("both").all()


def test_reference_tables_say_how_to_order(world: Simulator) -> None:
    items, suppliers = world.items_table, world.suppliers
    assert set(items["supplier_id"]) <= set(suppliers["supplier_id"])
    assert (items["cost"] < items["price"]).all()
    assert (items["minimum_order"] % items["case_pack"] == 0).all()
    assert suppliers["order_weekdays"].str.fullmatch(r"\d(,\d)*").all()
    assert (world.inventory["lead_time_days"] > 0).all()
    assert set(world.calendar["scope"]) >= {"all", "region:north"}


def test_it_is_the_embedded_data_set() -> None:
    settings = Settings(simulated_stores=2, simulated_items=5, simulated_days=60, seed=9)
    source = open_source("simulated", None, settings)
    assert source.span() == (date(2024, 1, 1), date(2024, 2, 29))
    one_day = source.transactions(date(2024, 1, 2), date(2024, 1, 2))
    assert one_day["ts"].unique().tolist() == [pd.Timestamp("2024-01-02")]
    snapshot = source.inventory(date(2024, 1, 2), date(2024, 1, 3))
    assert snapshot is not None
    assert snapshot["date"].nunique() == 2
    assert source.reference().suppliers is not None
    again = open_source("simulated", None, settings)
    assert again.transactions(date(2024, 1, 2), date(2024, 1, 2)).equals(one_day)


def test_easter_falls_on_the_known_sundays() -> None:
    known = {2000: (4, 23), 2011: (4, 24), 2016: (3, 27), 2024: (3, 31), 2025: (4, 20), 2038: (4, 25)}
    assert {y: (easter(y).month, easter(y).day) for y in known} == known
