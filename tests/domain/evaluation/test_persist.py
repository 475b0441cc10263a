"""A backtest on disk is the backtest, and a fold the fold."""

from pathlib import Path

import numpy as np

from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.evaluation.persist import load_backtest, save_backtest
from shelfops_pipeline.evaluation.report import metrics_table


def test_a_saved_backtest_comes_back_whole(backtest: Backtest, tmp_path: Path) -> None:
    save_backtest(backtest, tmp_path / "new" / "backtest")
    again = load_backtest(tmp_path / "new" / "backtest")
    assert again.origins == backtest.origins
    assert again.recipes == backtest.recipes
    assert metrics_table(again).equals(metrics_table(backtest))
    for tier, folds in backtest.folds.items():
        for mine, theirs in zip(folds, again.folds[tier], strict=True):
            assert mine.origin_date == theirs.origin_date
            np.testing.assert_array_equal(mine.dates, theirs.dates)
            np.testing.assert_array_equal(mine.history, theirs.history)
            np.testing.assert_array_equal(mine.forecast.point, theirs.forecast.point)
        assert again.calibrations[tier].to_json() == backtest.calibrations[tier].to_json()


def test_a_saved_backtest_holds_no_pickle(backtest: Backtest, tmp_path: Path) -> None:
    save_backtest(backtest, tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".npz", ".json"}
    for path in tmp_path.glob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)
