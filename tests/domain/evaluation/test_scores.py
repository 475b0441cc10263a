"""The long table of scores: every group's value is that of the metric's definition on the rows of the group."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import QUANTILE_COLUMNS, QUANTILES, SCORE_COLUMNS, Metric, Tier
from shelfops_pipeline.data.panel import Panel, Static
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation import sums
from shelfops_pipeline.evaluation.backtest import Backtest, ScoredFold
from shelfops_pipeline.evaluation.baselines import BASELINES
from shelfops_pipeline.evaluation.groups import panel_dimensions
from shelfops_pipeline.evaluation.metrics import Score
from shelfops_pipeline.evaluation.report import metrics_table, per_fold
from shelfops_pipeline.evaluation.scores import scores_table
from shelfops_pipeline.evaluation.served import served_fold
from shelfops_pipeline.inference.calibration import CLASSES
from tests.domain.support import chain_panel

Floats = NDArray[np.float32]
MODELS = ("ensemble", "xgboost", "lstm", *BASELINES)
ON = {"mae": "mae", "wape": "mae", "mape": "mae", "rmse": "rmse", "bias": "rmse", "rmsle": "rmsle", "rmspe": "rmspe"}


@pytest.fixture(scope="module")
def gappy(backtest: Backtest) -> Backtest:
    """Some rows not observed, one series never, one without demand, one whose naive error is unknown."""
    rng = np.random.default_rng(3)

    def holes(fold: ScoredFold) -> ScoredFold:
        actual = np.where(np.random.default_rng(fold.origin).random(fold.actual.shape) < 0.2, np.nan, fold.actual)
        actual[0], actual[1] = np.nan, 0
        return replace(fold, actual=actual.astype(np.float32), classes=rng.permuted(fold.classes))

    folds = {tier: [holes(f) for f in own] for tier, own in backtest.folds.items()}
    baselines = [replace(b, naive_error=np.where(np.arange(len(b.naive_error)) % 9, b.naive_error, np.nan))
                 for b in backtest.baselines]  # fmt: skip
    return replace(backtest, folds=folds, baselines=baselines)


@pytest.fixture(scope="module")
def table(gappy: Backtest, retailer_panel: Panel) -> pd.DataFrame:
    return scores_table(gappy, retailer_panel)


def members(fold: ScoredFold, panel: Panel, k: int, by: str, group: str) -> NDArray[np.bool_]:
    """[S, H] the cells of a group, by its name."""
    S, H = fold.actual.shape
    inside = np.ones((S, H), dtype=bool)
    if by == "all":
        return inside
    category = np.array(panel.static["category"].categories)[panel.static["category"].codes]
    of_series = {
        "origin": np.full(S, fold.origin_date),
        "class": np.array(CLASSES)[fold.classes],
        "store": panel.store_ids,
        "category": category,
    }
    for name, label in zip(by.split(" x "), group.split(" x "), strict=True):
        if name in of_series:
            inside &= (of_series[name] == label)[:, None]
        else:
            first, *last = map(int, label.split("-"))
            step = np.arange(1, H + 1)
            inside &= (step >= first) & (step <= (last or [first])[0])
    return inside


def by_definition(
    backtest: Backtest, panel: Panel, tier: str, by: str, group: str, model: str
) -> Callable[[str], Score]:
    """The metric of a group from the arrays, cell by cell."""
    own = [served_fold(backtest, k) if tier == "served" else backtest.folds[Tier(tier)][k] for k in range(2)]
    parts: dict[str, list[Floats]] = {"y": [], "scale": [], "q": [], **{metric.value: [] for metric in Metric}}
    for k, fold in enumerate(own):
        inside = members(fold, panel, k, by, group)
        parts["y"].append(np.where(inside, fold.actual, np.nan))
        parts["scale"].append(backtest.baselines[k].naive_error)
        parts["q"].append(fold.forecast.quantiles)
        others = fold.forecast.members | backtest.baselines[k].forecasts
        for metric in Metric:
            parts[metric.value].append(fold.forecast.points[metric] if model == "ensemble" else others[model])
    arrays = {name: np.concatenate(part) for name, part in parts.items()}
    y, q = arrays["y"], arrays["q"]

    def score(metric: str) -> Score:
        if metric in ON:
            return getattr(m, metric)(y, arrays[ON[metric]])
        if metric == "mase":
            return m.mase(y, arrays["mae"], arrays["scale"])
        if metric == "pinball":
            losses = [m.pinball(y, q[..., i], level) for i, level in enumerate(QUANTILES)]
            return Score(float(np.mean([s.value for s in losses])), losses[0].n, losses[0].why)
        if metric == "coverage_90":
            return m.coverage(y, q[..., 0], q[..., -1])
        side, column = metric.rsplit("_", 1)
        below, at_or_below = m.hit_rates(y, q[..., QUANTILE_COLUMNS.index(column)])
        return below if side == "below" else at_or_below

    return score


def test_every_score_is_that_of_the_definition_on_the_rows_of_its_group(
    table: pd.DataFrame, gappy: Backtest, retailer_panel: Panel
) -> None:
    keys = ["tier", "by", "group", "model"]
    groups = table[keys].drop_duplicates()
    checked = groups.groupby(["by", "tier"]).sample(6, random_state=1, replace=True).drop_duplicates()
    assert set(checked["by"]) == set(table["by"])
    own = table.set_index(keys).sort_index()
    for key in checked.itertuples(index=False, name=None):
        score = by_definition(gappy, retailer_panel, *key)
        for row in own.loc[key].itertuples():
            expected = score(row.metric)
            got = Score(float(row.value), int(row.n), row.why)
            assert got.value == pytest.approx(expected.value, rel=1e-6, nan_ok=True), (key, row.metric)
            assert (got.n, got.why) == (expected.n, expected.why), (key, row.metric)


def test_the_table_has_every_grouping_with_all_its_groups(table: pd.DataFrame, retailer_panel: Panel) -> None:
    assert tuple(table.columns) == SCORE_COLUMNS
    assert not table.duplicated(["tier", "by", "group", "model", "metric"]).any()
    groups = {by: set(part["group"]) for by, part in table.groupby("by")}
    assert groups["all"] == {"all"}
    assert groups["horizon"] == {str(h) for h in range(1, 15)}
    assert groups["block"] == {"1-7", "8-14"}
    assert groups["store"] == set(retailer_panel.store_ids)
    assert groups["category"] == set(retailer_panel.static["category"].categories)
    assert groups["class"] <= set(CLASSES)
    assert {"class x block", "store x category", "origin x store", "origin x block"} <= set(groups)
    assert "store x horizon" not in groups
    assert set(table["tier"]) == {"production", "cold_start", "served"}
    assert set(table["model"]) == set(MODELS)


@pytest.mark.parametrize("by", ["origin", "horizon", "block", "class", "store", "category", "store x category"])
def test_groups_share_out_the_rows_and_every_model_has_the_same(table: pd.DataFrame, by: str) -> None:
    counts = table[(table["metric"] == "mae") & (table["tier"] == "production")]
    whole = counts[counts["by"] == "all"]["n"]
    assert whole.nunique() == 1
    assert (counts[counts["by"] == by].groupby("model")["n"].sum() == whole.iloc[0]).all()


def test_blocks_of_series_give_the_scores_of_all_at_once(
    table: pd.DataFrame, gappy: Backtest, retailer_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "_BLOCK", 7)
    pd.testing.assert_frame_equal(scores_table(gappy, retailer_panel), table, rtol=1e-9)


def test_served_scores_are_those_of_the_forecasts_that_are_written(table: pd.DataFrame, gappy: Backtest) -> None:
    folds = [served_fold(gappy, k) for k in range(2)]
    mae = m.mae(np.concatenate([f.actual for f in folds]), np.concatenate([f.forecast.point for f in folds]))
    chosen = table[(table["tier"] == "served") & (table["by"] == "all") & (table["model"] == "ensemble")]
    assert chosen.set_index("metric")["value"]["mae"] == pytest.approx(mae.value)


def test_undefined_scores_say_why_and_are_not_zero(backtest: Backtest, retailer_panel: Panel) -> None:
    folds = [replace(f, actual=np.full_like(f.actual, np.nan)) for f in backtest.folds[Tier.PRODUCTION]]
    folds[0].actual[retailer_panel.store_ids == retailer_panel.store_ids[0]] = 0
    table = scores_table(replace(backtest, folds={Tier.PRODUCTION: folds}), retailer_panel)
    own = table[table["by"] == "store"].set_index(["group", "model", "metric"])
    idle, unseen = sorted(set(retailer_panel.store_ids))[:2]
    assert own.loc[(idle, "ensemble", "wape"), "why"] == "actuals sum to 0"
    assert own.loc[(idle, "lstm", "mape"), "why"] == "no non-zero actuals"
    assert own.loc[(idle, "ensemble", "mae"), "value"] >= 0
    assert own.loc[unseen]["value"].isna().all()
    assert (own.loc[unseen]["n"] == 0).all()
    assert (own.loc[unseen]["why"] != "").all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_forecast_that_is_not_a_number_spoils_its_own_groups_only(
    backtest: Backtest, retailer_panel: Panel, bad: float
) -> None:
    fold = backtest.folds[Tier.PRODUCTION][0]
    s, h = np.argwhere(np.isfinite(fold.actual) & (fold.actual > 0))[0]
    forecast = replace(fold.forecast, quantiles=fold.forecast.quantiles.copy(), points={**fold.forecast.points})
    forecast.points[Metric.MAE] = forecast.points[Metric.MAE].copy()
    forecast.points[Metric.MAE][s, h], forecast.quantiles[s, h, 2] = bad, bad
    folds = {Tier.PRODUCTION: [replace(fold, forecast=forecast), backtest.folds[Tier.PRODUCTION][1]]}
    table = scores_table(replace(backtest, folds=folds), retailer_panel)
    mine = table[(table["model"] == "ensemble") & (table["by"] == "store")].set_index(["group", "metric"])
    hit = retailer_panel.store_ids[s]
    for metric in ("mae", "mape", "pinball", "below_q50"):
        assert mine.loc[(hit, metric), "why"] == "a forecast is not a number"
        assert np.isnan(mine.loc[(hit, metric), "value"])
        others = mine.drop(index=hit).xs(metric, level="metric")
        assert np.isfinite(others["value"]).all(), metric
    assert np.isfinite(mine.loc[(hit, "rmse"), "value"])  # the mean was a number
    assert np.isfinite(mine.loc[(hit, "coverage_90"), "value"])


def test_items_without_a_category_are_scored_as_unknown(backtest: Backtest, retailer_panel: Panel) -> None:
    static = retailer_panel.static["category"]
    codes = np.where(np.arange(len(static.codes)) < 3, -1, static.codes).astype(np.int32)
    panel = replace(retailer_panel, static={**retailer_panel.static, "category": Static(codes, static.categories)})
    table = scores_table(backtest, panel)
    rows = table[(table["by"] == "category") & (table["group"] == "unknown") & (table["metric"] == "mae")]
    seen = sum(int(np.isfinite(f.actual[:3]).sum()) for f in backtest.folds[Tier.PRODUCTION])
    assert set(rows["n"]) == {seen}


def test_a_category_that_is_called_unknown_is_one_with_the_items_that_have_none() -> None:
    panel = chain_panel(stores=1, items=4, periods=30)
    static = {"category": Static(np.array([0, 1, -1, -1], np.int32), ("bakery", "unknown"))}
    *_, categories = panel_dimensions(replace(panel, static=static), folds=1)
    assert categories.labels == ("bakery", "unknown")
    assert categories.codes[0].tolist() == [0, 1, 1, 1]


def test_a_retailer_without_categories_is_scored_without_them(backtest: Backtest, retailer_panel: Panel) -> None:
    panel = replace(retailer_panel, static={k: v for k, v in retailer_panel.static.items() if k != "category"})
    assert not scores_table(backtest, panel)["by"].str.contains("category").any()


def test_pairs_of_many_groups_are_left_out(backtest: Backtest, retailer_panel: Panel) -> None:
    ids = np.array([f"store {k}" for k in range(retailer_panel.n_series)])
    table = scores_table(backtest, replace(retailer_panel, store_ids=ids))
    assert "store x category" not in set(table["by"])
    assert (table[table["by"] == "store"]["group"].nunique()) == len(ids)


def test_the_table_per_fold_is_a_part_of_the_whole(backtest: Backtest, retailer_panel: Panel) -> None:
    whole = scores_table(backtest, retailer_panel)
    part = metrics_table(backtest)
    assert list(part.columns) == ["tier", "model", "origin", "metric", "value", "n", "why"]
    assert set(part["origin"]) == {"all", *(f.origin_date for f in backtest.folds[Tier.PRODUCTION])}
    pd.testing.assert_frame_equal(part, per_fold(whole))
