"""Where the rolling-origin folds lie."""

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import NotEnoughHistoryError

_LEAST_TRAINING_SEASONS = 2
_LEAST_TRAINING_PERIODS = 8


def fold_origins(panel: Panel, horizon: int, folds: int, season: int) -> tuple[int, ...]:
    """Origins of the folds, oldest first; the last fold ends with the observed history.

    Windows are disjoint where the history is long enough; else they overlap, as far apart as it allows; else there are
    fewer of them; a history that cannot hold one whole fold gets one that is scored on its first periods only.
    Raises NotEnoughHistoryError when not even a season (a week of daily data) would be left to score.
    """
    if folds < 1:
        raise ValueError(f"at least one fold is needed, not {folds}")
    first = max(_LEAST_TRAINING_SEASONS * season, _LEAST_TRAINING_PERIODS) - 1
    last = panel.n_observed - 1 - horizon
    if last < first:
        shortest = min(horizon, season)
        if panel.n_observed - 1 - first < shortest:
            raise NotEnoughHistoryError(
                f"{panel.dataset}: {panel.n_observed} observed periods are too few to score a forecast on;"
                f" at least {first + 1 + shortest} are needed"
            )
        return (first,)
    stride = min(horizon, (last - first) // max(folds - 1, 1))
    if stride < 1:
        folds = last - first + 1
        stride = 1
    return tuple(last - stride * k for k in reversed(range(folds)))
