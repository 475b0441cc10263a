"""The benchmarks run, and print one JSON object of the agreed form; what they measure is for `shelfops bench`."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_features_benchmark_prints_its_figures_and_agrees_with_pandas() -> None:
    command = [sys.executable, "benchmarks/features.py", "--series", "30", "--days", "90"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert {"machine", "seconds", "peak_mb", "peers", "ratios", "checks"} <= set(found)
    assert set(found["peers"]) == {"mlforecast", "pandas", "copy"}
    checks = {check["name"]: check["ok"] for check in found["checks"]}
    assert checks["largest difference from pandas, relative above 1"]
    assert done.returncode == (0 if all(checks.values()) else 1)


def test_the_ingest_benchmark_prints_its_figures_and_stores_what_it_read() -> None:
    command = [sys.executable, "benchmarks/ingest.py", "--series", "40", "--days", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert {"machine", "seconds", "peak_mb", "peers", "ratios", "checks"} <= set(found)
    assert set(found["peers"]) == {"pandas, parquet", "pandas, postgres"}
    assert found["stages"]["postgres"]["rows"] == found["stages"]["parquet"]["rows"] == found["rows"] > 2000
    assert done.returncode == (0 if all(check["ok"] for check in found["checks"]) else 1)
