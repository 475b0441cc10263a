"""How benchmarks/accuracy.py scores, where its windows lie, and what it gives the other libraries."""

import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, ITEM_ID, OPEN, PRICE, STORE_ID, Grain
from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.panel import Panel, State, Static
from shelfops_pipeline.data.sources.m5 import M5
from shelfops_pipeline.errors import DataError, ShelfOpsError

ROOT = Path(__file__).parents[1]
Benchmark = Callable[[str], ModuleType]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """A module of benchmarks/, found as when it is run as a script."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    return importlib.import_module


def shop(seed: int = 3, known: int = 60, future: int = 7) -> Panel:
    """Four items in four stores of two states, in M5's terms; some begin late, one never sells, one not of late."""
    rng = np.random.default_rng(seed)
    S, T = 16, known + future
    store_of, item_of = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)
    demand = rng.poisson(rng.uniform(0.3, 6, (S, 1)), (S, T)).astype(np.float32)
    demand[3, : known - 12] = np.nan  # not listed
    demand[5, :9] = 0  # listed, not sold
    demand[6] = 0
    demand[7, known - 28 :] = 0
    price = np.round(rng.uniform(1, 9, (S, 1)) * rng.uniform(0.8, 1, (S, T)), 2).astype(np.float32)
    price[3, : known - 12] = np.nan
    static = {
        "state": Static(np.array([0, 0, 1, 1], np.int32)[store_of], ("CA", "TX")),
        "category": Static(np.array([0, 0, 1, 2], np.int32)[item_of], ("FOODS_1", "FOODS_2", "HOBBIES_1")),
        "department": Static(np.array([0, 0, 0, 1], np.int32)[item_of], ("FOODS", "HOBBIES")),
    }
    return Panel(
        dataset="shop",
        grain=Grain.DAY,
        store_ids=np.array(["CA_1", "CA_2", "TX_1", "TX_2"])[store_of],
        item_ids=np.array(["bun", "jam", "tea", "kite"])[item_of],
        dates=np.datetime64("2016-01-04") + np.arange(T),
        n_observed=T,
        demand=demand,
        state=np.where(np.isfinite(demand), State.OBSERVED, State.NOT_LISTED).astype(np.uint8),
        channels={PRICE: price},
        static=static,
    )


def wrmsse_by_loops(panel: Panel, origin: int, forecast: np.ndarray) -> float:
    """The competition's definition, sum by sum, day by day."""
    keys = {"store": panel.store_ids, "item": panel.item_ids}
    keys |= {name: np.array(s.categories)[s.codes] for name, s in panel.static.items()}
    levels = "", "state", "store", "department", "category", "state department", "state category", "store department"
    levels += ("store category", "item", "state item", "store item")
    demand, price = np.nan_to_num(panel.demand), np.nan_to_num(panel.channels[PRICE])
    scores = []
    for level in levels:
        members: dict[tuple[str, ...], list[int]] = {}
        for s in range(panel.n_series):
            members.setdefault(tuple(keys[name][s] for name in level.split()), []).append(s)
        total, weights = 0.0, 0.0
        for series in members.values():
            known, actual = demand[series, : origin + 1].sum(0), demand[series, origin + 1 :].sum(0)
            sold = [t for t in range(origin + 1) if known[t] > 0]
            if not sold or sold[0] == origin:
                continue
            steps = [(known[t] - known[t - 1]) ** 2 for t in range(sold[0] + 1, origin + 1)]
            weight = sum(demand[s, t] * price[s, t] for s in series for t in range(origin - 27, origin + 1))
            error = np.mean((actual - forecast[series].sum(0)) ** 2)
            total, weights = total + weight * np.sqrt(error / np.mean(steps)), weights + weight
        scores.append(total / weights)
    return float(np.mean(scores))


def test_wrmsse_is_the_competitions_definition(benchmark: Benchmark) -> None:
    panel = shop()
    forecast = np.random.default_rng(1).uniform(0, 6, (16, 7)).astype(np.float32)
    found = benchmark("scores").wrmsse(panel, 59, forecast)
    assert found == pytest.approx(wrmsse_by_loops(panel, 59, forecast), rel=1e-6)
    assert found > 0.3


def test_wrmsse_of_the_truth_is_0_and_looks_at_no_later_day_for_its_scale(benchmark: Benchmark) -> None:
    wrmsse, panel = benchmark("scores").wrmsse, shop()
    assert wrmsse(panel, 59, np.nan_to_num(panel.demand[:, 60:])) == pytest.approx(0, abs=1e-6)
    wrong = np.zeros((16, 7), np.float32)
    before = wrmsse(panel, 59, wrong)
    panel.demand[:, 60:] *= 2  # all errors twice as large: twice the score, if the scale is of the known days
    panel.channels[PRICE][:, 60:] *= 9
    assert wrmsse(panel, 59, wrong) == pytest.approx(2 * before)


def test_wrmsse_says_what_the_data_lack(benchmark: Benchmark) -> None:
    panel = shop()
    del panel.static["state"]
    with pytest.raises(DataError, match="attribute state"):
        benchmark("scores").wrmsse(panel, 59, np.zeros((16, 7), np.float32))


@pytest.mark.parametrize(
    ("known", "horizon", "windows", "expected"),
    [(900, 42, 3, [773, 815, 857]), (152, 28, 3, [67, 95, 123]), (48, 16, 3, [23, 27, 31]), (48, 16, 1, [31])],
)
def test_windows_end_with_the_data_and_lie_a_horizon_apart_where_they_can(
    benchmark: Benchmark, known: int, horizon: int, windows: int, expected: list[int]
) -> None:
    assert benchmark("accuracy").window_origins(known, horizon, windows) == expected


def test_windows_that_would_coincide_are_refused(benchmark: Benchmark) -> None:
    with pytest.raises(ShelfOpsError, match="too few for 3 windows of 16"):
        benchmark("accuracy").window_origins(41, 16, 3)


def test_a_missing_day_takes_what_the_same_weekdays_sell(benchmark: Benchmark) -> None:
    week = np.array([5, 1, 2, 3, 4, 8, np.nan], np.float32)
    demand = np.tile(week, 4)[None]
    demand[0, [7, 14]] = np.nan, 8  # of the Mondays 5, ?, 8, 5
    filled = benchmark("peers").filled_by_weekday(demand)
    assert filled[0, 7] == 6
    assert (filled[0, 6::7] == 0).all()
    assert (filled[0, 1:6] == week[1:6]).all()


def test_the_other_libraries_see_no_day_before_a_series_began_and_none_after_the_origin(benchmark: Benchmark) -> None:
    panel = shop().as_of(59, 7)
    frame, known = benchmark("peers").long_frame(panel)
    late = frame[frame["unique_id"] == 3]
    assert (len(late), len(frame)) == (12, 15 * 60 + 12)
    assert frame["ds"].max() == np.datetime64("2016-03-03")
    assert known.all()
    assert (late["y"].to_numpy() == panel.demand[3, 48:60]).all()
    ahead = benchmark("peers").long_frame_ahead(panel, 7)
    assert list(ahead) == ["unique_id", "ds", PRICE]
    assert ahead["ds"].min() == np.datetime64("2016-03-04")


def test_a_closed_day_is_0_to_the_other_libraries_and_not_learned_from(benchmark: Benchmark) -> None:
    panel = shop()
    panel.demand[2, 20] = np.nan
    frame, known = benchmark("peers").long_frame(panel.as_of(59, 7))
    row = frame.index[(frame["unique_id"] == 2) & (frame["ds"] == panel.dates[20])][0]
    assert frame["y"][row] == 0
    assert np.flatnonzero(~known).tolist() == [row]


def test_the_table_shows_the_mean_and_spread_of_the_windows_and_ours_must_be_ahead_of_each(
    benchmark: Benchmark,
) -> None:
    accuracy, scores = benchmark("accuracy"), benchmark("scores")
    rates = [(0.04, 0.06), (0.24, 0.26), (0.49, 0.51), (0.74, 0.76), (0.94, 0.97)]
    ours = [scores.Scores(value, 0.01, 0.9, rates) for value in (0.10, 0.14)]
    other = {"ahead": [0.08, 0.15], "behind": [0.13, 0.13]}
    results = [accuracy.Result("rossmann", f"day {i}", "ShelfOps", s, 60, 900) for i, s in enumerate(ours)]
    results += [
        accuracy.Result("rossmann", f"day {i}", name, scores.Scores(value, -0.2, None, None), 50, 90)
        for name, values in other.items()
        for i, value in enumerate(values)
    ]
    sets = {"rossmann": accuracy.by_contender(results, "rossmann")}
    assert {c.name.split(" / ")[1]: c.ok for c in accuracy.checks(sets)} == {"ahead": False, "behind": True}
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(accuracy.table(sets, 2))
    text = console.export_text()
    assert "0.1200 (0.1000 to 0.1400)" in text
    assert "90.0 % (90.0 to 90.0)" in text
    assert "0.05: 0.040..0.060" in text


def test_ours_is_scored_on_the_rows_of_the_panel_whatever_the_order_of_the_file(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    engine, panel = benchmark("engine"), shop()
    values = np.arange(16 * 7, dtype=np.float32).reshape(16, 7)
    columns = {STORE_ID: np.repeat(panel.store_ids, 7), ITEM_ID: np.repeat(panel.item_ids, 7)}
    frame = pd.DataFrame(columns | {name: values.reshape(-1) for name in FORECAST_COLUMNS[3:]})
    frame.sort_values([ITEM_ID, STORE_ID], kind="stable").to_parquet(tmp_path / "file")
    made = engine.read_forecast(tmp_path / "file", panel, 7)
    assert (made.mean == values).all()
    assert (made.quantiles == values[:, :, None]).all()
    frame[7:].to_parquet(tmp_path / "short")
    with pytest.raises(DataError, match="105 rows where 16 series x 7 periods"):
        engine.read_forecast(tmp_path / "short", panel, 7)


def test_real_m5_files_are_cut_down_to_whole_items_with_their_prices(benchmark: Benchmark, tmp_path: Path) -> None:
    train = benchmark("train")
    assert train.m5_of(None, tmp_path / "all", 200) == 200
    assert train.m5_of(tmp_path / "all", tmp_path / "some", 50) == 50
    sales, prices = (pd.read_csv(tmp_path / "some" / n) for n in ("sales_train_evaluation.csv", "sell_prices.csv"))
    assert sales[STORE_ID].nunique() == 10
    assert set(prices[ITEM_ID]) == set(sales[ITEM_ID])
    assert sales[ITEM_ID].nunique() == 5
    assert load_panel(M5(tmp_path / "some"), 0.05).panel.n_series == 50


def test_every_contender_forecasts_0_on_closed_days_only_and_follows_promotions_known_ahead(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers, horizon = benchmark("peers"), 14
    monkeypatch.setattr(peers, "THREADS", 1)
    panel = closing_shop(horizon)
    actual = panel.demand[:, panel.n_observed - horizon : panel.n_observed]
    seen = panel.as_of(panel.n_observed - 1 - horizon, horizon)
    metric = benchmark("scores").CASES["rossmann"].metric
    made = {}
    for contender in (peers.with_mlforecast, peers.with_statsforecast, peers.with_baselines):
        made |= contender(seen, horizon, metric)
    closed = seen.channels[OPEN][:, seen.n_observed :] == 0
    for name, values in made.items():
        assert (values[closed] == 0).all(), name
        assert (values[~closed] > 0).all(), name
    error = {name: np.nanmean(np.abs(values / actual - 1)) for name, values in made.items()}
    assert error[peers.MLFORECAST] < 0.1 < error["seasonal_naive"]


def closing_shop(horizon: int) -> Panel:
    """Six stores that close on Sundays, sell 60 % more on promotion, and plan their promotions ahead."""
    rng = np.random.default_rng(4)
    S, T = 6, 300 + horizon
    open_ = np.ones((S, T), np.float32)
    open_[:, 6::7] = 0
    promo = np.repeat(rng.random((S, T // 7 + 1)) < 0.4, 7, axis=1)[:, :T].astype(np.float32)
    level = 1000 * (1 + np.arange(S))[:, None] * (1 + 0.05 * (np.arange(T) % 7)) * (1 + 0.6 * promo)
    demand = np.where(open_ > 0, level * rng.normal(1, 0.03, (S, T)), np.nan).astype(np.float32)
    return Panel(
        dataset="closing",
        grain=Grain.DAY,
        store_ids=np.array([f"S{i}" for i in range(S)]),
        item_ids=np.array(["all"] * S),
        dates=np.datetime64("2014-01-06") + np.arange(T),
        n_observed=T,
        demand=demand,
        state=np.where(open_ > 0, State.OBSERVED, State.CLOSED).astype(np.uint8),
        channels={OPEN: open_, "on_promotion": promo},
        static={"store_id": Static(np.arange(S, dtype=np.int32), tuple(f"S{i}" for i in range(S)))},
    )
