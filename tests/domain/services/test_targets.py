"""Where a command cannot write is said before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.replenishment.simulation.replay import Trial
from shelfops_pipeline.services.backtest import run_backtest_command
from shelfops_pipeline.services.commands import run_forecast
from shelfops_pipeline.services.onboard import run_onboard
from shelfops_pipeline.services.simulate_policy import run_simulate_policy
from shelfops_pipeline.settings import Settings


def onboard(out: Path) -> None:
    (out.parent / "sales.csv").write_text("date,units\n2024-01-01,1\n2024-01-02,2\n")
    run_onboard(out.parent, out, True, None, None, None)


@pytest.mark.parametrize(
    "command",
    [
        lambda out: run_forecast(Settings(), out, None),
        lambda out: run_simulate_policy(Trial(), 1, 1, out, False),
        onboard,
    ],
    ids=["forecast", "simulate-policy", "onboard"],
)
def test_a_directory_is_no_file(command: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match=r"--out: .*there is a directory; name a file in it"):
        command(tmp_path / "there")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(DataError, match=r"--out: .*there is a file; name a directory, which need not exist"):
        run_backtest_command(Settings(), tmp_path / "there")
