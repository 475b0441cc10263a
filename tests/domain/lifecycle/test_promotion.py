"""The gate: better by five percent on the same folds and worse in nothing that matters, or no promotion."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from shelfops_pipeline.contracts.bundle import DECISION
from shelfops_pipeline.contracts.columns import Metric, Status, Tier
from shelfops_pipeline.contracts.decision import GateDecision, Verdict
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import PromotionError
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.inference.predict import Forecast
from shelfops_pipeline.lifecycle import promotion
from shelfops_pipeline.lifecycle.card_decision import decision_section
from shelfops_pipeline.lifecycle.comparison import Side
from shelfops_pipeline.lifecycle.promotion import decide, run_gate
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.rivals import Rival
from shelfops_pipeline.models.recipe import Recipe
from tests.domain.lifecycle.gate_support import TIER, Floats, H, a_backtest, forecast

FOLDS = 3
Decide = Callable[..., GateDecision]


@pytest.fixture
def recipe(recipes: dict[Tier, Recipe]) -> Recipe:
    return recipes[TIER]


@pytest.fixture
def actual(retailer_panel: Panel) -> list[Floats]:
    return [np.full((retailer_panel.n_series, H), 10, np.float32)] * FOLDS


def off_by(actual: Sequence[Floats], error: float | Floats, mean: float = 0, half_width: float = 9) -> list[Forecast]:
    """Medians off by `error` (a number, or one for each series), means by `mean`."""
    column = np.broadcast_to(np.asarray(error, np.float32), len(actual[0]))[:, None]
    return [forecast(y + column, y + np.float32(mean), half_width) for y in actual]


@pytest.fixture
def against(monkeypatch: pytest.MonkeyPatch, retailer_panel: Panel, recipe: Recipe, actual: list[Floats]) -> Decide:
    """The decision about a candidate with these forecasts against a champion with those."""

    def made(candidate: list[Forecast], champion: list[Forecast], **how: bool) -> GateDecision:
        rival = Rival("v4", True, "as it is", tuple(range(FOLDS)), Side.of(champion), **how)
        monkeypatch.setattr(promotion, "find_rival", lambda *_: rival)
        return decide(retailer_panel, a_backtest(recipe, actual, candidate, naive=3), TIER, "v5", Path("v4"), "gate")

    return made


def first(panel: Panel, backtest: Backtest) -> GateDecision:
    return decide(panel, backtest, TIER, "v1", None, "gate")


@pytest.mark.parametrize(("error", "promoted"), [(1.9, True), (2.0, False), (2.5, False)])
def test_the_first_model_of_a_tier_must_beat_the_best_baseline(
    retailer_panel: Panel, recipe: Recipe, actual: list[Floats], error: float, promoted: bool
) -> None:
    backtest = a_backtest(recipe, actual, off_by(actual, error), poor=9, best=2, other=3)
    decision = first(retailer_panel, backtest)
    assert decision.promote is promoted
    assert (decision.rival, decision.rival_is_champion) == ("best", False)
    assert (decision.mae.candidate, decision.mae.rival) == (pytest.approx(error), 2)
    assert "of the best baseline, best, on the same folds" in decision.reason
    assert f"{'is' if promoted else 'is not'} below 1 x" in decision.reason


@pytest.mark.parametrize(("error", "promoted"), [(0.94, True), (0.949, True), (0.951, False), (1.0, False)])
def test_later_models_must_be_five_percent_better_than_the_champion(
    against: Decide, actual: list[Floats], error: float, promoted: bool
) -> None:
    decision = against(off_by(actual, error), off_by(actual, -1.0))
    assert decision.promote is promoted
    assert decision.mae.change == pytest.approx(error, rel=1e-5)
    assert (decision.mae.low, decision.mae.high) == (pytest.approx(error, rel=1e-5),) * 2
    assert (decision.rival, decision.rival_is_champion) == ("v4", True)
    assert "0.95 x 1 of the champion v4" in decision.reason


def test_a_candidate_whose_mean_is_biased_is_vetoed_with_both_figures(against: Decide, actual: list[Floats]) -> None:
    decision = against(off_by(actual, 0.5, mean=1.2), off_by(actual, 1.0, mean=0.1))
    assert not decision.promote
    assert decision.reason == (
        "MAE 0.5 is below 0.95 x 1 of the champion v4, on the same folds, but vetoed:"
        " bias of the mean +12.0 %, the rival's +1.0 %"
    )
    assert against(off_by(actual, 0.5, mean=0.4), off_by(actual, 1.0, mean=0.1)).promote


def test_a_candidate_whose_interval_holds_too_little_is_vetoed(against: Decide, actual: list[Floats]) -> None:
    decision = against(off_by(actual, 0.5, half_width=0.1), off_by(actual, 1.0, half_width=1.0))
    assert not decision.promote
    assert "vetoed: coverage of the 90 % interval 0.0 %, the rival's 100.0 %" in decision.reason


def test_a_large_store_that_gets_worse_vetoes_a_candidate_that_is_better_overall(
    against: Decide, actual: list[Floats], retailer_panel: Panel
) -> None:
    stores = retailer_panel.store_ids
    chosen = stores[0]
    decision = against(off_by(actual, np.where(stores == chosen, 1.5, 0.2)), off_by(actual, 1.0))
    assert (decision.mae.change or 9) < 0.9
    assert not decision.promote
    assert f"but vetoed: store {chosen}: MAE 1.50 x the rival's (1.50 to 1.50)" in decision.reason
    (failed,) = (f for f in decision.figures if f.verdict is Verdict.FAILED and f.by == "store")
    assert failed.group == chosen


def test_a_small_store_cannot_veto(against: Decide, actual: list[Floats], retailer_panel: Panel) -> None:
    stores = retailer_panel.store_ids
    actual[:] = [np.where((stores == stores[0])[:, None], np.float32(0.1), y) for y in actual]
    decision = against(off_by(actual, np.where(stores == stores[0], 1.5, 0.2)), off_by(actual, 1.0))
    assert stores[0] not in {f.group for f in decision.figures}
    assert not [f for f in decision.figures if f.by == "store" and f.verdict is Verdict.FAILED]


def test_the_first_version_is_only_warned_about_and_served(
    retailer_panel: Panel, recipe: Recipe, actual: list[Floats]
) -> None:
    backtest = a_backtest(recipe, actual, off_by(actual, 0.5, mean=5, half_width=0.1), naive=2)
    decision = first(retailer_panel, backtest)
    assert decision.promote
    assert {f.metric for f in decision.objections} == {"bias", "coverage_90"}
    assert "; warning: bias of the mean +50.0 %, the rival's +20.0 %; coverage" in decision.reason


@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("part", ["median", "mean", "quantiles"])
def test_a_candidate_with_a_forecast_that_is_no_number_is_refused(
    against: Decide, retailer_panel: Panel, recipe: Recipe, actual: list[Floats], part: str, champion: bool
) -> None:
    made = off_by(actual, 0.1)
    spoilt = {"median": made[0].points[Metric.MAE], "mean": made[0].points[Metric.RMSE], "quantiles": made[0].quantiles}
    spoilt[part][0, 0] = np.nan
    backtest = a_backtest(recipe, actual, made, naive=2)
    decision = against(made, off_by(actual, 1.0)) if champion else first(retailer_panel, backtest)
    assert not decision.promote


def test_every_fold_and_every_observed_row_counts_alike(against: Decide, actual: list[Floats]) -> None:
    mixed = [off_by(actual, e)[k] for k, e in enumerate((0.5, 1.0, 1.5))]
    assert against(mixed, off_by(actual, 1)).mae.change == pytest.approx(1.0)


def test_a_shorter_horizon_of_the_champion_is_what_both_are_compared_on(against: Decide, actual: list[Floats]) -> None:
    made = off_by(actual, 0.5)
    for f in made:
        f.points[Metric.MAE][:, 7:] += 50
    shorter = [forecast(y[:, :7] + 1) for y in actual]
    decision = against(made, shorter)
    assert decision.promote
    assert (decision.periods, decision.blocks) == (7, FOLDS)
    assert decision.mae.candidate == pytest.approx(0.5)


def test_a_candidate_without_a_single_scored_row_is_refused(
    retailer_panel: Panel, recipe: Recipe, actual: list[Floats]
) -> None:
    unseen = [np.full_like(y, np.nan) for y in actual]
    decision = first(retailer_panel, a_backtest(recipe, unseen, off_by(actual, 1), naive=2))
    assert not decision.promote
    assert decision.mae.change is None


def test_a_champion_that_errs_nowhere_cannot_be_beaten(against: Decide, actual: list[Floats]) -> None:
    assert not against(off_by(actual, 0), off_by(actual, 0)).promote


def test_a_tie_says_that_it_is_one(against: Decide, actual: list[Floats]) -> None:
    decision = against(off_by(actual, 1), off_by(actual, 1), is_tie=True)
    assert not decision.promote
    assert decision.reason.endswith("on the same folds: as it is")


def test_a_decision_is_kept_in_full_as_json(against: Decide, actual: list[Floats]) -> None:
    decision = against(off_by(actual, 0.8), off_by(actual, 1))
    text = json.dumps(decision.model_dump(mode="json"), allow_nan=False)
    assert GateDecision.model_validate_json(text) == decision
    assert {f.by for f in decision.figures} == {"all", "store", "category"}
    assert decision.rows == sum(np.isfinite(y).sum() for y in actual)


def test_a_tracker_gets_the_figures_over_all_rows_under_flat_names(against: Decide, actual: list[Floats]) -> None:
    numbers = against(off_by(actual, 0.8, mean=0.7), off_by(actual, 1, mean=0.2)).numbers
    assert numbers == {
        "candidate_mae": pytest.approx(0.8),
        "rival_mae": pytest.approx(1),
        **dict.fromkeys(("ratio", "ratio_low", "ratio_high"), pytest.approx(0.8)),
        "candidate_bias": pytest.approx(0.07),
        "rival_bias": pytest.approx(0.02),
        "candidate_coverage_90": 1,
        "rival_coverage_90": 1,
    }


def test_every_figure_is_in_the_cards_table(against: Decide, actual: list[Floats]) -> None:
    decision = against(off_by(actual, 0.8, mean=0.7), off_by(actual, 1, mean=0.2))
    section = decision_section(decision)
    assert "**Not promoted** by gate" in section
    assert "the champion `v4` (as it is)" in section
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(decision.figures)
    assert rows[2] == (
        "| MAE of the median | 0.800 units | 1.00 units | 0.800 x (0.800 to 0.800)"
        " | below 0.95 x the rival's | passed |"
    )
    assert rows[3] == (
        "| Bias of the mean | +7.0 % | +2.0 % | +5.0 points (+5.0 to +5.0)"
        " | within 5% of demand, or not surely 2 points worse | **failed** |"
    )
    assert "undefined (the gate did not run)" in decision_section(None)


# The gate and the registry.


def test_the_gate_promotes_the_better_and_refuses_the_rest_with_the_reason_on_record(
    registry: Registry,
    candidate: Callable[..., str],
    retailer_panel: Panel,
    recipe: Recipe,
    actual: list[Floats],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gate(version: str, error: float) -> GateDecision:
        backtest = a_backtest(recipe, actual, off_by(actual, error), naive=2)
        return run_gate(registry, retailer_panel, backtest, TIER, version, by="gate (weekly)")

    one = candidate(TIER)
    decision = gate(one, 3)
    assert not decision.promote
    assert registry.champion() is None
    assert registry.entry(one).reason == decision.reason
    two = candidate(TIER)
    assert gate(two, 1).promote
    assert registry.champion_of(TIER) == two
    assert registry.entry(two).history[-1].by == "gate (weekly)"
    asked: list[Path | None] = []

    def same(panel: Panel, backtest: Backtest, tier: Tier, champion: Path | None) -> Rival:
        asked.append(champion)
        return Rival("v2", True, "as it is", tuple(range(FOLDS)), Side.of([f.forecast for f in backtest.folds[tier]]))

    monkeypatch.setattr(promotion, "find_rival", same)
    three = candidate(TIER)
    assert not gate(three, 1).promote
    assert asked == [registry.models / two]
    assert registry.champion_of(TIER) == two
    assert {e.version: e.status for e in registry.entries()} == {
        one: Status.CANDIDATE,
        two: Status.CHAMPION,
        three: Status.CANDIDATE,
    }
    for version, promoted in ((one, False), (two, True), (three, False)):
        kept = GateDecision.model_validate_json((registry.models / version / DECISION).read_text())
        assert (kept.version, kept.promote, kept.by) == (version, promoted, "gate (weekly)")


def test_the_champion_of_one_tier_is_no_rival_of_the_other(
    registry: Registry, candidate: Callable[..., str], retailer_panel: Panel, recipe: Recipe, actual: list[Floats]
) -> None:
    registry.promote(candidate(Tier.PRODUCTION), "first")
    cold = candidate(TIER)
    backtest = a_backtest(recipe, actual, off_by(actual, 1), naive=2)
    assert run_gate(registry, retailer_panel, backtest, TIER, cold).rival == "naive"
    assert registry.champion_of(TIER) == cold


def test_a_version_that_was_promoted_is_not_compared_with_itself_when_the_step_is_repeated(
    registry: Registry, candidate: Callable[..., str], retailer_panel: Panel, recipe: Recipe, actual: list[Floats]
) -> None:
    version = candidate(TIER)
    backtest = a_backtest(recipe, actual, off_by(actual, 1), naive=2)
    decision = run_gate(registry, retailer_panel, backtest, TIER, version)
    before = registry.entries()
    assert run_gate(registry, retailer_panel, backtest, TIER, version) == decision
    assert registry.entries() == before
    (registry.models / version / DECISION).unlink()
    with pytest.raises(PromotionError, match="v1 serves already and was not promoted by the gate"):
        run_gate(registry, retailer_panel, backtest, TIER, version)


def test_a_promotion_by_hand_while_the_gate_compares_is_not_undone_by_it(
    registry: Registry,
    candidate: Callable[..., str],
    retailer_panel: Panel,
    recipe: Recipe,
    actual: list[Floats],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, theirs = candidate(TIER), candidate(TIER)
    really = promotion.find_rival

    def meanwhile(*args: object) -> Rival:
        registry.promote(theirs, "by hand")
        return really(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(promotion, "find_rival", meanwhile)
    backtest = a_backtest(recipe, actual, off_by(actual, 1), naive=2)
    with pytest.raises(PromotionError, match="v1 was compared with the baselines, but v2 serves the cold_start tier"):
        run_gate(registry, retailer_panel, backtest, TIER, mine)
    assert registry.champion_of(TIER) == theirs
