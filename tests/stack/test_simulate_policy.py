"""`shelfops simulate-policy`: what our orders are worth in money, on retailers whose seeds were fixed beforehand."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def simulate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("shelfops")), "simulate-policy", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_small_replay_with_fitted_forecasts_prints_every_policy_and_its_cost() -> None:
    done = simulate("--seeds", "1", "--stores", "1", "--items", "14", "--days", "28", "--workers", "1")
    assert done.returncode == 0, done.stderr
    for said in ("shelfops", "(s, Q), tuned", "seasonal naive", "true rate", "fill rate", "total cost", "order line"):
        assert said in done.stdout, said


def test_a_folder_that_is_not_there_is_said_before_any_work(tmp_path: Path) -> None:
    done = simulate("--out", str(tmp_path / "none" / "policy.json"))
    assert done.returncode == 1
    assert "does not exist" in done.stderr


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_our_orders_cost_at_least_15_percent_less_than_a_tuned_rule_at_no_worse_a_fill_rate(
    tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    out = tmp_path / "policy.json"
    done = simulate("--out", str(out))
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text())
    assert len({a["seed"] for a in told["accounts"]}) == 10
    for saving in told["savings"]["all"]:
        record_property(f"saved beside {saving['rival']}, %", round(100 * saving["cost"]["mean"], 1))
        if saving["rival"] in ("(s, Q), tuned", "seasonal naive"):
            assert saving["cost"]["mean"] >= 0.15, saving
            assert saving["cost"]["low"] > 0, saving
            assert saving["fill_rate"]["mean"] >= 0, saving
