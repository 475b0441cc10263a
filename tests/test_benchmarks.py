"""The benchmarks run, and print one JSON object of the agreed form; what they measure is for `shelfops bench`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def test_the_features_benchmark_prints_its_figures_and_agrees_with_pandas() -> None:
    command = [sys.executable, "benchmarks/features.py", "--series", "30", "--days", "90"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert {"machine", "seconds", "peak_mb", "peers", "ratios", "checks"} <= set(found)
    assert set(found["peers"]) == {"mlforecast", "pandas", "copy", "ours, collected"}
    checks = {check["name"]: check["ok"] for check in found["checks"]}
    assert checks["largest difference from pandas, relative above 1"]
    assert checks["ours, peak MB beyond the input"]
    assert done.returncode == (0 if all(checks.values()) else 1)


def test_the_ingest_benchmark_prints_its_figures_and_stores_what_it_read() -> None:
    command = [sys.executable, "benchmarks/ingest.py", "--series", "40", "--days", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert {"machine", "seconds", "peak_mb", "peers", "ratios", "checks"} <= set(found)
    assert set(found["peers"]) == {"pandas, parquet", "pandas, postgres"}
    assert found["stages"]["postgres"]["rows"] == found["stages"]["parquet"]["rows"] == found["rows"] > 2000
    assert done.returncode == (0 if all(check["ok"] for check in found["checks"]) else 1)


# 100 days leave too little for the production tier: one tier to train.
TINY = {"SIMULATED_STORES": "2", "SIMULATED_ITEMS": "10", "SIMULATED_DAYS": "100", "EFFORT": "0.05", "FOLDS": "1"}
NAIVE, LIGHTGBM, ETS = "seasonal_naive", "mlforecast + LightGBM", "statsforecast AutoETS"
BASELINES = {NAIVE, "seasonal_mean", "seasonal_promo_mean", "profile_mean"}


def run_tiny(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a benchmark on a small retailer: (exit status, the JSON object that it printed)."""
    # One thread: several that wait for each other's turn on a busy machine take minutes for nothing.
    environment = os.environ | {f"SHELFOPS_{name}": value for name, value in TINY.items()} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_accuracy_benchmark_scores_its_contenders_on_every_window() -> None:
    chosen = ("--contenders", "baselines", "statsforecast")
    code, found = run_tiny("benchmarks/accuracy.py", "--sets", "simulated", "--windows", "2", "--json", *chosen)
    contenders = found["sets"]["simulated"]
    assert set(contenders) == BASELINES | {ETS}
    assert all(len({w["as_of"] for w in figures["windows"]}) == 2 for figures in contenders.values())
    naive = contenders[NAIVE]["metric"]
    assert naive["min"] < naive["mean"] < naive["max"]
    assert contenders[ETS]["metric"]["mean"] < naive["mean"]
    assert (found["checks"], code) == ([], 0)


@pytest.mark.soak
def test_the_accuracy_benchmark_says_whether_ours_is_ahead() -> None:
    code, found = run_tiny("benchmarks/accuracy.py", "--sets", "simulated", "--windows", "1", "--json")
    contenders = found["sets"]["simulated"]
    assert set(contenders) == BASELINES | {"ShelfOps", LIGHTGBM, ETS}
    assert contenders[LIGHTGBM]["metric"]["mean"] < contenders[NAIVE]["metric"]["mean"]
    assert [rate["quantile"] for rate in contenders["ShelfOps"]["hit_rates"]] == [0.05, 0.25, 0.5, 0.75, 0.95]
    ours = contenders["ShelfOps"]["metric"]["mean"]
    ahead = [ours <= figures["metric"]["mean"] for name, figures in contenders.items() if name != "ShelfOps"]
    assert [check["ok"] for check in found["checks"]] == ahead
    assert code == (0 if all(ahead) else 1)


def test_the_accuracy_benchmark_says_what_is_missing_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/accuracy.py", "--sets", "rossmann", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"accuracy: --data {tmp_path / 'rossmann'}: no such directory"]


def test_the_training_benchmark_prints_its_figures_beside_its_peer() -> None:
    code, found = run_tiny("benchmarks/train.py", "--only", "xgboost", "forecast")
    assert {"machine", "seconds", "peak_mb", "peers", "ratios", "checks"} <= set(found)
    assert set(found["runs"]) == {"simulated: XGBoost alone", "simulated: default forecast"}
    assert set(found["peers"]) == {LIGHTGBM}
    assert found["seconds"] == sum(run["seconds"] for run in found["runs"].values())
    ours, theirs = (found["scores"][f"simulated: {name}"]["MAE of point"] for name in ("XGBoost alone", LIGHTGBM))
    assert 0 < ours < 2 * theirs
    assert found["ratios"]["XGBoost alone / mlforecast + LightGBM, MAE of point"] == ours / theirs
    assert code == (0 if all(check["ok"] for check in found["checks"]) else 1)


@pytest.mark.soak
def test_the_training_benchmark_measures_how_a_forecast_grows_with_the_series() -> None:
    code, found = run_tiny("benchmarks/train.py", "--only", "scaling", "--series", "20", "80")
    few, many = (found["runs"][f"m5: {n} series"] for n in (20, 80))
    growth = "m5, 20 to 80 series: growth of {} / growth of series"
    assert found["ratios"] == {
        growth.format(what): pytest.approx(many[what] / few[what] / 4) for what in ("seconds", "peak_mb")
    }
    assert code == (0 if all(check["ok"] for check in found["checks"]) else 1)


@pytest.mark.soak
def test_the_scale_benchmark_finds_equal_results_on_one_and_two_workers() -> None:
    code, found = run_tiny("benchmarks/scale.py", "--only", "workers", "--series", "100", "--workers", "1", "2")
    one, two = found["workers"]
    assert (one["workers"], two["workers"], two["took_part"]) == (1, 2, 2)
    assert one["checksum"] == two["checksum"]
    assert one["steps"].keys() >= {"production_features", "production_lstm", "production_xgboost", "backtest"}
    assert len(two["steps"]) > len(one["steps"])
    assert found["ratios"] == {"100 series: throughput of 2 workers / of 1": one["seconds"] / two["seconds"]}
    assert code == (0 if all(check["ok"] for check in found["checks"]) else 1)


@pytest.mark.soak
def test_the_scale_benchmark_fits_rows_in_memory_and_from_disk() -> None:
    arguments = ("--only", "memory", "--series", "200", "--rows", "20000", "40000", "--rounds", "20")
    code, found = run_tiny("benchmarks/scale.py", *arguments)
    assert [row["rows"] for row in found["memory"]] == [pytest.approx(n, rel=0.1) for n in (20_000, 40_000)]
    assert all(0 < row[how]["mae"] < row[how]["rmse"] for row in found["memory"] for how in ("in memory", "from disk"))
    assert code == (0 if all(check["ok"] for check in found["checks"]) else 1)
