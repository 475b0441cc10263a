"""The promotion gate: a candidate serves only if it is better than what serves now, on the same folds.

The first version of a tier must beat every baseline. Later ones need MAE < 0.95 x the champion's. The champion is
compared frozen where the folds lie after its training cut-off; otherwise its recipe is refitted per fold, because a
model must not be scored on days that it was trained on.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Manifest
from shelfops_pipeline.contracts.columns import Metric, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import Backtest, run_backtest
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.training import FOLD_EFFORT
from shelfops_pipeline.models.bundle import verify
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.models.serve import reconciled_state

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

THRESHOLD = 0.95
_BLOCK_PERIODS = 7
_RESAMPLES = 1_000


@dataclass(frozen=True)
class Decision:
    """What the gate said, and the figures behind it."""

    promote: bool
    reason: str
    candidate_mae: float
    rival: str
    """the champion's version, or the best baseline's name"""
    rival_mae: float
    ratio: float
    interval: tuple[float, float]
    """90 % bootstrap interval of the ratio of MAEs"""

    def summary(self) -> dict[str, str | float | bool | None]:
        """Flat and JSON-safe; undefined numbers are None."""
        numbers = {
            "candidate_mae": self.candidate_mae,
            "rival_mae": self.rival_mae,
            "ratio": self.ratio,
            "ratio_low": self.interval[0],
            "ratio_high": self.interval[1],
        }
        finite = {k: v if np.isfinite(v) else None for k, v in numbers.items()}
        return {"promote": self.promote, "reason": self.reason, "rival": self.rival, **finite}


def decide(panel: Panel, backtest: Backtest, tier: Tier, champion: Path | None) -> Decision:
    """Compare a tier's candidate with its champion's bundle, or with the baselines where there is none yet."""
    actual = [f.actual for f in backtest.folds[tier]]
    candidate = [f.forecast.points[Metric.MAE] for f in backtest.folds[tier]]
    if champion is None:
        names = backtest.baselines[0].forecasts
        maes = {n: _mae(actual, [b.forecasts[n] for b in backtest.baselines]) for n in names}
        rival = min(maes, key=maes.__getitem__)
        rival_forecasts, threshold = [b.forecasts[rival] for b in backtest.baselines], 1.0
    else:
        rival, threshold = champion.name, THRESHOLD
        rival_forecasts = champion_forecasts(panel, backtest, tier, champion)
        periods = min(actual[0].shape[1], rival_forecasts[0].shape[1])  # their horizons may differ
        actual, candidate, rival_forecasts = (
            [a[:, :periods] for a in arrays] for arrays in (actual, candidate, rival_forecasts)
        )
    mine, theirs = _mae(actual, candidate), _mae(actual, rival_forecasts)
    ratio = mine / theirs if theirs > 0 else float("nan")
    promote = bool(ratio < threshold)
    against = f"champion {rival}" if champion is not None else f"best baseline, {rival}"
    verb = "is" if promote else "is not"
    reason = f"MAE {mine:.4g} {verb} below {threshold:g} x {theirs:.4g} of the {against}, on the same folds"
    return Decision(promote, reason, mine, rival, theirs, ratio, _interval(actual, candidate, rival_forecasts))


def champion_forecasts(panel: Panel, backtest: Backtest, tier: Tier, champion: Path) -> list[Floats]:
    """The champion's median forecasts of the candidate's folds, [S, H] each; H is the champion's horizon."""
    manifest = verify(champion)
    cutoff = np.datetime64(manifest.training_cutoff, "D")
    if all(panel.dates[o].astype("datetime64[D]") >= cutoff for o in backtest.origins):
        return _frozen(panel, backtest, champion, manifest)
    recipe = Recipe.model_validate(manifest.recipe).scaled(FOLD_EFFORT)
    own = backtest.recipes[tier]
    if recipe.kind == own.kind:  # refitting it per fold gives the candidate's own forecasts
        return [f.forecast.points[Metric.MAE] for f in backtest.folds[tier]]
    sizes = {"max_rows": own.xgboost.max_rows}
    recipe = recipe.model_copy(update={"xgboost": recipe.xgboost.model_copy(update=sizes)})
    refitted = run_backtest(panel, {tier: recipe}, backtest.origins, Metric.MAE)
    return [f.forecast.points[Metric.MAE] for f in refitted.folds[tier]]


def _frozen(panel: Panel, backtest: Backtest, champion: Path, manifest: Manifest) -> list[Floats]:
    model = ServedModel.load_native(champion)
    out = []
    for origin in backtest.origins:
        known = panel.as_of(origin, manifest.horizon)
        out.append(predict_demand(model, reconciled_state(known, model)).points[Metric.MAE])
    return out


def _mae(actual: list[Floats], forecasts: list[Floats]) -> float:
    total = sum(float(_errors(y, f).sum()) for y, f in zip(actual, forecasts, strict=True))
    count = sum(int(np.isfinite(y).sum()) for y in actual)
    return total / count if count else float("nan")


def _errors(actual: Floats, forecast: Floats) -> Doubles:
    """[S, H] absolute errors; 0 where demand was not observed, NaN where a forecast is missing: it cannot win."""
    return np.where(np.isfinite(actual), np.abs(actual.astype(np.float64) - forecast), 0)


def _interval(actual: list[Floats], first: list[Floats], second: list[Floats]) -> tuple[float, float]:
    """Paired block bootstrap: blocks of seven periods of a fold, all series together, are drawn with replacement."""
    a, b = _all_errors(actual, first), _all_errors(actual, second)
    draws = np.random.default_rng(0).integers(0, len(a), (_RESAMPLES, len(a)))
    ours, theirs = a[draws].sum(axis=1), b[draws].sum(axis=1)
    ratios = np.divide(ours, theirs, out=np.full(_RESAMPLES, np.nan), where=theirs > 0)
    if not np.isfinite(ratios).any():
        return float("nan"), float("nan")
    low, high = np.nanquantile(ratios, [0.05, 0.95])
    return float(low), float(high)


def _all_errors(actual: list[Floats], forecasts: list[Floats]) -> Doubles:
    return np.concatenate([_block_errors(y, f) for y, f in zip(actual, forecasts, strict=True)])


def _block_errors(actual: Floats, forecast: Floats) -> Doubles:
    """Sum of absolute errors per block of periods."""
    per_period = _errors(actual, forecast).sum(axis=0)
    return np.add.reduceat(per_period, np.arange(0, len(per_period), _BLOCK_PERIODS))


def run_gate(registry: Registry, panel: Panel, backtest: Backtest, tier: Tier, version: str) -> Decision:
    """Decide about a candidate and act on it: promoted, or refused with the reason in the registry."""
    holder = registry.champion_of(tier)
    decision = decide(panel, backtest, tier, None if holder is None else registry.models / holder)
    if decision.promote:
        registry.promote(version, decision.reason)
    else:
        registry.refuse(version, decision.reason)
    return decision
