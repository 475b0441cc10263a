"""Has the world moved away from what the champion learned? Three comparisons, each a table with its limits.

All of them look at the version that serves most series. Limits and why they are what they are: `limits`.
"""

from typing import Final

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import COUNT, DATE, Grain
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation.groups import BY_BLOCK
from shelfops_pipeline.models.serve import Shaped
from shelfops_pipeline.monitoring import limits
from shelfops_pipeline.monitoring.distance import bin_shares, ks, psi
from shelfops_pipeline.monitoring.inputs import input_rows, window_of
from shelfops_pipeline.monitoring.issued import ROLE, Role
from shelfops_pipeline.monitoring.reference import FoldError, Reference
from shelfops_pipeline.monitoring.scoring import ROWS, SUMS, VERSION, VERSUS, log_level, score_table

DRIFTED: Final = "drifted"
FEATURE: Final = "feature"
PSI, KS = "psi", "ks"


def input_drift(panel: Panel, model: Shaped, reference: Reference) -> pd.DataFrame:
    """Each feature's latest origins beside the training reference: n, psi, ks, their limits, and whether both are
    beyond; NaN where too few values are there to compare. Furthest first."""
    last = panel.n_observed - 1
    values, _ = input_rows(panel, model, window_of(last, panel.grain))
    names = feature_names(model.spec)
    rows = []
    for name, known in reference.features.items():
        now = values[:, names.index(name)]
        few = len(now) < limits.LEAST_VALUES
        index = psi(np.array(known.shares), bin_shares(now, np.array(known.edges)))
        distance = None if few else ks(np.array(known.sample), now)
        rows.append(
            {
                FEATURE: name,
                COUNT: len(now),
                PSI: np.nan if few else index,
                "psi limit": max(limits.PSI, limits.BEYOND * known.furthest_psi),
                KS: np.nan if distance is None else distance,
                "ks limit": max(limits.KS, limits.BEYOND * (known.furthest_ks or 0)),
            }
        )
    table = pd.DataFrame(rows, columns=[FEATURE, COUNT, PSI, f"{PSI} limit", KS, f"{KS} limit"])
    table[DRIFTED] = (table[PSI] > table["psi limit"]) & (table[KS] > table["ks limit"])
    return table.sort_values([DRIFTED, PSI], ascending=False, ignore_index=True)


def recent_cells(cells: pd.DataFrame, version: str, panel: Panel, periods: int) -> pd.DataFrame:
    """The sums of a version's forecasts as champion, of the latest periods of a panel."""
    after = pd.Timestamp(panel.last_observed) - pd.Timedelta(days=periods * panel.grain.days)
    own = (cells[ROLE] == Role.CHAMPION) & (cells[VERSION] == version) & (cells[VERSUS] == "")
    return cells[own & (cells[DATE] > after)]


def error_drift(recent: pd.DataFrame, reference: Reference, grain: Grain) -> pd.DataFrame:
    """Realised WAPE and level by block of the horizon beside those of the backtest's folds, with limits; only blocks
    that have been scored and that the backtest knows. `recent` is of `recent_cells`."""
    rows = []
    for block, part in recent.groupby(BY_BLOCK, sort=False):
        promised = [fold for fold in reference.errors if fold.block == block and fold.wape is not None]
        if not promised:
            continue
        score = score_table(part, [BY_BLOCK]).iloc[0]
        level = float(log_level({name: np.array([part[name].sum()]) for name in SUMS})[0])
        enough = part[DATE].nunique() >= limits.LEAST_PERIODS[grain] and score[COUNT] >= limits.LEAST_ROWS
        row = {BY_BLOCK: block, "periods": part[DATE].nunique(), COUNT: score[COUNT], "judged": enough}
        rows.append(row | _beside("wape", score["wape"], promised) | _beside("level", level, promised))
    table = pd.DataFrame(rows, columns=_ERROR_COLUMNS)
    too_wrong = table["wape"] > table["wape limit"]
    off_level = (table["level"] - table["level promised"]).abs() > table["level limit"]
    return table.assign(drifted=table["judged"].astype(bool) & (too_wrong | off_level))


_ERROR_COLUMNS: Final = (
    BY_BLOCK,
    "periods",
    COUNT,
    "judged",
    *(f"{name}{part}" for name in ("wape", "level") for part in ("", " promised", " spread", " limit")),
)


def _beside(name: str, value: float, promised: list[FoldError]) -> dict[str, float]:
    """A realised figure, its mean and standard deviation over folds, and how far it may go (level: from the mean)."""
    found = [v for fold in promised if (v := getattr(fold, name)) is not None]
    mean = float(np.mean(found)) if found else np.nan
    spread = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
    if name == "level":
        limit = max(limits.BIAS, limits.SPREADS * spread)
    else:
        limit = max(limits.ERROR * mean, mean + limits.SPREADS * spread)
    return {name: value, f"{name} promised": mean, f"{name} spread": spread, f"{name} limit": limit}


def coverage_drift(recent: pd.DataFrame) -> dict[str, float | bool]:
    """Share of demand within the 90 % interval, its standard error between periods (rows of a period rise and fall
    together), and the lowest share that is no drift."""
    by_period = recent.groupby(DATE)[[ROWS, "inside"]].sum()
    rows, inside = by_period[ROWS].to_numpy(), by_period["inside"].to_numpy()
    share, n = float(inside.sum() / rows.sum()), len(by_period)
    between = float(((inside - share * rows) ** 2).sum()) * n / max(n - 1, 1)
    error = float(np.sqrt(between) / rows.sum())
    lowest = limits.COVERAGE - max(limits.MARGIN, limits.ERRORS * error)
    return {
        "coverage": share,
        "nominal": limits.COVERAGE,
        "standard error": error,
        "lowest": lowest,
        COUNT: int(rows.sum()),
        "periods": n,
        DRIFTED: share < lowest,
    }
