"""Drift: quiet data raise no alarm, changed data do, and what cannot be told says why."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import PRICE, Grain, Tier
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import metrics as m
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.models.bundle import Trained, read_manifest
from shelfops_pipeline.monitoring import limits
from shelfops_pipeline.monitoring.drift import coverage_drift, error_drift, input_drift, recent_cells
from shelfops_pipeline.monitoring.inputs import NOT_COMPARED, input_rows, past_windows, window_of
from shelfops_pipeline.monitoring.issued import Role
from shelfops_pipeline.monitoring.reference import FoldError, Reference, read_reference, training_reference
from shelfops_pipeline.monitoring.report import NO_CHAMPION, NO_REFERENCE, NO_SCORES, drift_report, no_champion
from shelfops_pipeline.monitoring.scoring import SUMS, score_cells

TODAY = pd.Timestamp("2025-06-30")


@pytest.fixture(scope="module")
def reference(retailer_panel: Panel, trained_log: Trained, backtest: Backtest) -> Reference:
    return training_reference(retailer_panel, trained_log.members, backtest, Tier.PRODUCTION)


def cells_of(
    wape: float = 0.3, level: float = 1.0, inside: float = 0.92, days: int = 28, rows: int = 50
) -> pd.DataFrame:
    """Sums of a champion's forecasts one to seven days ahead that came due on the latest days."""
    demand = 4.0 * rows
    frame = pd.DataFrame({"date": TODAY - pd.to_timedelta(np.arange(days), "D")})
    frame = frame.assign(role=Role.CHAMPION.value, version="v1", versus="", block="1-7", horizon=1)
    values = (rows, demand, wape * demand, (level - 1) * demand, inside * rows, 0.1)
    return frame.assign(origin=frame["date"] - timedelta(days=1), **dict(zip(SUMS, values, strict=True)))


def promised(wapes: tuple[float, ...] = (0.28, 0.3, 0.32), block: str = "1-7") -> Reference:
    errors = tuple(
        FoldError(block=block, origin=str(k), n=700, mae=1.2, wape=w, level=0.02, coverage_90=0.91)
        for k, w in enumerate(wapes)
    )
    return Reference(tier=Tier.PRODUCTION, rows=0, windows=(), features={}, errors=errors)


def judged(cells: pd.DataFrame, reference: Reference) -> Any:
    return error_drift(cells[cells["date"] > TODAY - timedelta(days=7)], reference, Grain.DAY).iloc[0]


def test_the_reference_says_of_every_feature_but_the_date_how_it_was_spread(
    reference: Reference, retailer_panel: Panel, trained_log: Trained
) -> None:
    names = set(feature_names(trained_log.recipe.spec))
    assert set(reference.features) == names - NOT_COMPARED
    for name, feature in reference.features.items():
        assert sum(feature.shares) == pytest.approx(1), name
        assert len(feature.shares) == len(feature.edges) + 2, name
    assert len(reference.model_dump_json()) < 500_000
    assert Reference.model_validate_json(reference.model_dump_json()) == reference


def test_the_reference_holds_the_backtests_errors_by_fold_and_block(reference: Reference, backtest: Backtest) -> None:
    fold = backtest.folds[Tier.PRODUCTION][1]
    (found,) = [e for e in reference.errors if e.origin == fold.origin_date and e.block == "1-7"]
    served = fold.history >= backtest.recipes[Tier.PRODUCTION].spec.min_history
    actual, forecast = fold.actual[served, :7], fold.forecast
    assert found.n == np.isfinite(actual).sum()
    assert found.wape == pytest.approx(m.wape(actual, forecast.quantiles[served, :7, 2]).value)
    assert found.level == pytest.approx(np.log1p(m.bias(actual, forecast.mean[served, :7]).value))
    low, high = (forecast.quantiles[served, :7, q] for q in (0, 4))
    assert found.coverage_90 == pytest.approx(m.coverage(actual, low, high).value)


def test_windows_lie_apart_and_end_with_the_history(trained_log: Trained) -> None:
    spec = trained_log.recipe.spec
    windows = past_windows(300, spec)
    assert windows[-1] == window_of(299, Grain.DAY) == (293, 295, 297, 299)
    assert all(a[-1] < b[0] for a, b in pairwise(windows))
    assert window_of(50, Grain.WEEK) == (47, 48, 49, 50)
    assert past_windows(20, spec)[-1][-1] == 19
    assert all(origin >= 0 for window in past_windows(8, spec) for origin in window)


def test_inputs_are_of_series_that_were_on_sale_of_late(retailer_panel: Panel, trained_log: Trained) -> None:
    demand = np.array(retailer_panel.demand)
    demand[:5, 250:] = np.nan
    gone = replace(retailer_panel, demand=demand)
    origin = retailer_panel.n_observed - 1
    before, after = (len(input_rows(p, trained_log.members, [origin])[0]) for p in (retailer_panel, gone))
    assert after == before - 5


def test_inputs_of_the_period_of_training_raise_no_alarm(
    retailer_panel: Panel, trained_log: Trained, reference: Reference
) -> None:
    for origin in (200, 250, retailer_panel.n_observed - 1):
        table = input_drift(retailer_panel.as_of(origin, 14), trained_log.members, reference)
        assert table["drifted"].sum() < limits.LEAST_FEATURES


def test_prices_that_all_rose_are_seen_in_the_inputs(
    retailer_panel: Panel, trained_log: Trained, reference: Reference
) -> None:
    prices = np.array(retailer_panel.channels[PRICE])
    prices[:, retailer_panel.n_observed - 7 :] *= 1.15
    dearer = replace(retailer_panel, channels={**retailer_panel.channels, PRICE: prices})
    table = input_drift(dearer, trained_log.members, reference)
    moved = table.loc[table["drifted"], "feature"]
    assert len(moved) >= limits.LEAST_FEATURES
    assert moved.str.contains("price").all()


def test_errors_as_promised_are_no_drift_and_twice_as_large_ones_are() -> None:
    quiet, wrong = judged(cells_of(wape=0.4), promised()), judged(cells_of(wape=0.6), promised())
    assert quiet["wape promised"] == pytest.approx(0.3)
    assert quiet["wape limit"] == pytest.approx(0.525)  # 1.75 times, and more than three spreads of 0.02
    assert (quiet["judged"], quiet["drifted"], wrong["drifted"]) == (True, False, True)


def test_a_backtest_whose_folds_differ_promises_less() -> None:
    unsure = judged(cells_of(wape=0.6), promised((0.1, 0.3, 0.5)))
    assert unsure["wape limit"] == pytest.approx(0.3 + 3 * 0.2)
    assert not unsure["drifted"]


@pytest.mark.parametrize(("level", "expected"), [(1 / 0.6, True), (1 / 1.5, True), (1.1, False), (0.9, False)])
def test_forecasts_that_are_far_too_high_or_low_in_sum_are_drift(level: float, expected: bool) -> None:
    assert judged(cells_of(level=level), promised())["drifted"] == expected


def test_too_few_periods_or_rows_are_shown_but_not_judged() -> None:
    for few in (cells_of(wape=0.9, days=3), cells_of(wape=0.9, rows=10)):
        row = judged(few, promised())
        assert (row["judged"], row["drifted"]) == (False, False)


def test_a_block_that_the_backtest_does_not_know_is_left_out() -> None:
    assert error_drift(cells_of(), promised(block="1-14"), Grain.DAY).empty


def test_coverage_has_a_margin_that_grows_with_what_periods_differ_by() -> None:
    steady = coverage_drift(cells_of(inside=0.82))
    assert steady["drifted"]
    assert steady["lowest"] == pytest.approx(0.84)
    wild = cells_of(inside=0.82)
    wild["inside"] += np.where(np.arange(len(wild)) % 2, 9.0, -9.0)
    unsure = coverage_drift(wild)
    assert unsure["coverage"] == pytest.approx(0.82)
    assert unsure["standard error"] == pytest.approx(0.18 / np.sqrt(27))
    assert not unsure["drifted"]


def test_only_the_champions_own_latest_forecasts_are_judged(retailer_panel: Panel) -> None:
    cells = pd.concat([cells_of().assign(version="v0"), cells_of().assign(versus="v2"), cells_of()])
    cells["date"] += pd.Timestamp(retailer_panel.last_observed) - TODAY
    recent = recent_cells(cells, "v1", retailer_panel, 7)
    assert len(recent) == 7
    assert (recent["version"] == "v1").all()


def test_a_report_before_anything_was_scored_says_what_is_undefined(
    retailer_panel: Panel, trained_log: Trained, reference: Reference, bundles: dict[str, Any]
) -> None:
    manifest = read_manifest(bundles["log"])
    report = drift_report(retailer_panel, manifest, reference, score_cells(retailer_panel, []))
    assert (report["drifted"], report["reasons"]) == (False, [])
    assert report["undefined"] == {"errors": NO_SCORES, "coverage": NO_SCORES}
    assert len(report["inputs"]) == len(reference.features)
    old = drift_report(retailer_panel, manifest, read_reference(bundles["log"]), score_cells(retailer_panel, []))
    assert old["undefined"] == {"inputs": NO_REFERENCE, "errors": NO_REFERENCE, "coverage": NO_SCORES}
    none = no_champion(retailer_panel)
    assert set(none["undefined"].values()) == {NO_CHAMPION}
    assert not none["drifted"]


def test_a_report_of_drift_names_its_reasons(
    retailer_panel: Panel, reference: Reference, bundles: dict[str, Any]
) -> None:
    cells = cells_of(wape=0.9, level=0.6, inside=0.5)
    cells["date"] += pd.Timestamp(retailer_panel.last_observed) - TODAY
    report = drift_report(retailer_panel, read_manifest(bundles["log"]), reference, cells)
    assert report["drifted"]
    errors, coverage = report["reasons"]
    assert errors.startswith("1-7 periods ahead: WAPE 0.90")
    assert "0.60 times the demand" in errors
    assert "holds 50% of demand" in coverage
