"""What a version was trained on and what its backtest promised: kept in its bundle, so that drift can be told later."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shelfops_pipeline.contracts.bundle import REFERENCE, Frozen
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.backtest import Backtest, ScoredFold
from shelfops_pipeline.evaluation.groups import BY_BLOCK, BY_ORIGIN, Grouping, PeriodDimension, SeriesDimension
from shelfops_pipeline.evaluation.sums import FoldRows, grouped_sums
from shelfops_pipeline.models.serve import Shaped
from shelfops_pipeline.monitoring.distance import bin_edges, bin_shares, ks, psi, systematic_sample
from shelfops_pipeline.monitoring.inputs import NOT_COMPARED, input_rows, past_windows
from shelfops_pipeline.monitoring.scoring import ROWS, block_labels, log_level, ratios, totals

_SAMPLE: Final = 200  # values of a feature: the distance of two samples is known to 0.005
_DIGITS: Final = 5


class FeatureReference(Frozen):
    """The distribution of one feature in training, and how far its windows lay from the whole."""

    edges: tuple[float, ...] = Field(description="Upper edges of all bins but the last: deciles")
    shares: tuple[float, ...] = Field(description="Share of values in each bin; the last is that of unknown ones")
    sample: tuple[float, ...] = Field(description="Known values, evenly through their order")
    furthest_psi: float = Field(description="Largest PSI of a window of training against the whole")
    furthest_ks: float | None = Field(description="Largest KS statistic likewise; null: nothing is known")


class FoldError(Frozen):
    """A backtest fold's scores in one block of the horizon; null where undefined."""

    block: str
    origin: str
    n: int
    mae: float | None
    wape: float | None
    level: float | None = Field(description="log of forecast over actual demand, both summed")
    coverage_90: float | None


class Reference(Frozen):
    """`reference.json` of a bundle."""

    tier: Tier
    rows: int = Field(description="Inputs behind the distributions: series x origins")
    windows: tuple[str, ...] = Field(description="Last day of each window of training")
    features: dict[str, FeatureReference]
    errors: tuple[FoldError, ...]


def read_reference(folder: Path) -> Reference | None:
    """A bundle's reference; None where a release without references wrote it."""
    path = folder / REFERENCE
    return Reference.model_validate_json(path.read_text()) if path.is_file() else None


def training_reference(panel: Panel, model: Shaped, backtest: Backtest, tier: Tier) -> Reference:
    """The reference of a tier that was trained on all of `panel`."""
    spec = model.spec
    windows = past_windows(panel.n_observed, spec)
    values, origins = input_rows(panel, model, sorted({origin for window in windows for origin in window}))
    return Reference(
        tier=tier,
        rows=len(values),
        windows=tuple(str(panel.dates[window[-1]].astype("datetime64[D]")) for window in windows),
        features={
            name: _feature(values[:, j], [np.isin(origins, window) for window in windows])
            for j, name in enumerate(feature_names(spec))
            if name not in NOT_COMPARED
        },
        errors=tuple(_errors(backtest, tier)),
    )


def _feature(values: NDArray[np.float32], windows: list[NDArray[np.bool_]]) -> FeatureReference:
    edges = _rounded(bin_edges(values))
    whole, sample = bin_shares(values, edges), _rounded(systematic_sample(values, _SAMPLE))
    parts = [values[window] for window in windows if window.any()]
    distances = [d for part in parts if (d := ks(sample, part)) is not None]
    return FeatureReference(
        edges=tuple(edges.tolist()),
        shares=tuple(whole.tolist()),
        sample=tuple(sample.tolist()),
        furthest_psi=max((psi(whole, bin_shares(part, edges)) for part in parts), default=0.0),
        furthest_ks=max(distances, default=None),
    )


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """To five significant digits, so that the file stays small; in order still."""
    return np.array([float(f"{v:.{_DIGITS}g}") for v in values])


def _errors(backtest: Backtest, tier: Tier) -> list[FoldError]:
    """By fold and block: the production tier on the series whose history it serves, the other on all."""
    spec, folds = backtest.recipes[tier].spec, backtest.folds[tier]
    labels = block_labels(spec.horizon, spec.grain)
    names, starts = np.unique(labels, return_index=True)
    order = np.argsort(starts)
    blocks = PeriodDimension(BY_BLOCK, tuple(names[order].tolist()), starts[order])
    codes = tuple(np.full(len(fold.actual), k, dtype=np.intp) for k, fold in enumerate(folds))
    origin = SeriesDimension(BY_ORIGIN, tuple(fold.origin_date for fold in folds), codes)
    rows = [_served_rows(fold, spec.min_history) for fold in folds]
    (found,) = grouped_sums(rows, [origin], [Grouping((origin,), blocks)])
    values = totals(found)
    metrics, level = ratios(values), log_level(values)
    pairs = [(o, b) for o in origin.labels for b in blocks.labels]
    return [
        FoldError(
            origin=o,
            block=b,
            n=int(values[ROWS][i]),
            level=_known(level[i]),
            **{name: _known(metrics[name][i]) for name in ("mae", "wape", "coverage_90")},
        )
        for i, (o, b) in enumerate(pairs)
    ]


def _served_rows(fold: ScoredFold, min_history: int) -> FoldRows:
    served = (fold.history >= min_history)[:, None]
    actual = np.where(served, fold.actual, np.float32(np.nan))
    return FoldRows(actual, fold.forecast.points, fold.forecast.quantiles, np.zeros(len(actual), dtype=np.float32))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
