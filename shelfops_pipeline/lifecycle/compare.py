"""Two versions side by side: their scores on the folds that both have, their parameters, their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from shelfops_pipeline.contracts.bundle import BACKTEST_METRICS
from shelfops_pipeline.contracts.columns import COUNT, METRIC, MODEL, ORIGIN, VALUE
from shelfops_pipeline.evaluation.groups import ALL
from shelfops_pipeline.evaluation.scores import ENSEMBLE
from shelfops_pipeline.lifecycle.parameters import parameters
from shelfops_pipeline.models.bundle import read_manifest, sha256

SHOWN: Final = ("mae", "wape", "rmse", "bias", "pinball", "coverage_90")
_KEYS: Final = [ORIGIN, METRIC]
_FIRST, _SECOND = "_first", "_second"


@dataclass(frozen=True)
class Comparison:
    """What two versions differ in; `None` where one of the two has no value."""

    folds: tuple[str, ...]
    """Origins of the folds that both were scored on."""
    scores: list[tuple[str, str, float, float]]
    """(origin, metric, first, second) of the ensembles; origin `all` only where both have the same folds"""
    note: str
    """What stands against comparing the scores; empty: nothing."""
    parameters: list[tuple[str, object, object]]
    """Those that differ."""
    files: list[tuple[str, int | None, int | None, bool]]
    """(name, bytes, bytes, same content?)"""


def compare(first: Path, second: Path) -> Comparison:
    """Compare two bundles. Raises BundleError when a manifest cannot be read."""
    ours, theirs = (parameters(read_manifest(folder)) for folder in (first, second))
    names = list(dict.fromkeys([*ours, *theirs]))
    differing = [(n, ours.get(n), theirs.get(n)) for n in names if ours.get(n) != theirs.get(n)]
    folds, scores, note = _scores(first, second)
    return Comparison(folds, scores, note, differing, _files(first, second))


def _scores(first: Path, second: Path) -> tuple[tuple[str, ...], list[tuple[str, str, float, float]], str]:
    missing = [f.name for f in (first, second) if not (f / BACKTEST_METRICS).is_file()]
    if missing:
        return (), [], f"{' and '.join(missing)}: no {BACKTEST_METRICS}, the run was cut short before it was written"
    a, b = (_own(pd.read_parquet(folder / BACKTEST_METRICS)) for folder in (first, second))
    origins = [set(frame[ORIGIN]) - {ALL} for frame in (a, b)]
    folds = tuple(sorted(origins[0] & origins[1]))
    if not folds:
        told = "; ".join(f"{f.name}: {', '.join(sorted(o))}" for f, o in zip((first, second), origins, strict=True))
        return (), [], f"no fold in common, so their scores say nothing about each other ({told})"
    keep = {*folds, ALL} if origins[0] == origins[1] else set(folds)
    both = a[a[ORIGIN].isin(keep)].merge(b, on=_KEYS, suffixes=(_FIRST, _SECOND))
    rows = both[[*_KEYS, VALUE + _FIRST, VALUE + _SECOND]].itertuples(index=False, name=None)
    uneven = both[COUNT + _FIRST] != both[COUNT + _SECOND]
    note = f"scored on other rows in {both.loc[uneven, ORIGIN].nunique()} of them" if uneven.any() else ""
    return folds, [(str(o), str(m), float(x), float(y)) for o, m, x, y in rows], note


def _own(metrics: pd.DataFrame) -> pd.DataFrame:
    """The ensemble's rows of the metrics that are shown, in their order within each fold."""
    own = metrics[(metrics[MODEL].astype(str) == ENSEMBLE) & metrics[METRIC].isin(SHOWN)]
    own = own.astype({ORIGIN: str, METRIC: pd.CategoricalDtype(list(SHOWN))}).sort_values(_KEYS, kind="stable")
    return own.astype({METRIC: str})[[*_KEYS, VALUE, COUNT]]


def _files(first: Path, second: Path) -> list[tuple[str, int | None, int | None, bool]]:
    a, b = ({p.name: p for p in folder.iterdir() if p.is_file()} for folder in (first, second))
    return [
        (
            name,
            a[name].stat().st_size if name in a else None,
            b[name].stat().st_size if name in b else None,
            name in a and name in b and sha256(a[name]) == sha256(b[name]),
        )
        for name in sorted({*a, *b})
    ]
