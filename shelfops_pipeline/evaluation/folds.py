"""Where the rolling-origin folds lie."""

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError


def fold_origins(panel: Panel, horizon: int, folds: int, season: int) -> tuple[int, ...]:
    """Origins of the folds, oldest first; the last fold ends with the observed history.

    Windows are disjoint where the history is long enough; else they overlap, as far apart as it allows; else there are
    fewer of them. Raises NotEnoughHistoryError when not even one fold fits.
    """
    if folds < 1:
        raise ValueError(f"at least one fold is needed, not {folds}")
    last = panel.n_observed - 1 - horizon
    first = max(3 * season, min(2 * horizon, panel.n_observed // 2), 8) - 1
    if last < first:
        raise NotEnoughHistoryError(
            f"{panel.dataset}: {panel.n_observed} observed periods cannot hold one backtest fold of {horizon};"
            f" at least {first + 1 + horizon} are needed, or a shorter horizon"
        )
    if folds == 1:
        return (last,)
    stride = min(horizon, (last - first) // (folds - 1))
    if stride < 1:
        return fold_origins(panel, horizon, folds - 1, season)
    return tuple(last - stride * k for k in reversed(range(folds)))
