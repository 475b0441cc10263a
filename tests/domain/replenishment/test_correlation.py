"""The correlation of a backtest's errors, from its table."""

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import QUANTILE_COLUMNS
from shelfops_pipeline.replenishment.correlation import backtest_correlation
from shelfops_pipeline.replenishment.demand import ERROR_CORRELATION

SERIES, FOLDS, STEPS = 120, 3, 14


def table(correlation: float, step_days: int = 1) -> pd.DataFrame:
    """A backtest whose errors of neighbouring periods have this correlation, in no order."""
    rng = np.random.default_rng(3)
    series, fold, step = (a.ravel() for a in np.indices((SERIES, FOLDS, STEPS)))
    noise = rng.normal(size=(SERIES, FOLDS, STEPS))
    for h in range(1, STEPS):
        noise[..., h] = correlation * noise[..., h - 1] + np.sqrt(1 - correlation**2) * noise[..., h]
    origin = np.datetime64("2025-01-06") + step_days * STEPS * fold
    frame = pd.DataFrame({"store_id": "s", "item_id": series.astype(str), "origin": origin})
    frame = frame.assign(date=origin + step_days * (1 + step), mean=100.0, y=100 + 10 * noise.ravel())
    shape = zip(QUANTILE_COLUMNS, (-1.645, -0.674, 0, 0.674, 1.645), strict=True)
    return frame.assign(**{name: 100 + 10 * z for name, z in shape}).sample(frac=1, random_state=1)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("step_days", [1, 7])
def test_it_is_found_again(correlation: float, step_days: int) -> None:
    assert backtest_correlation(table(correlation, step_days), step_days) == pytest.approx(correlation, abs=0.04)


def test_periods_that_are_not_neighbours_do_not_count() -> None:
    whole = table(0.7)
    days = (whole["date"] - whole["origin"]).dt.days
    assert backtest_correlation(whole[days % 2 == 0], 1) == ERROR_CORRELATION
    assert backtest_correlation(whole[days % 7 > 0], 1) == pytest.approx(0.7, abs=0.04)
