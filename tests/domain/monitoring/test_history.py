"""The reports of the latest origins."""

from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.defs.artifacts import ArtifactRoot
from shelfops_pipeline.monitoring import history
from shelfops_pipeline.monitoring.history import History


def report(origin: str, drifted: bool = False) -> dict[str, Any]:
    rows = [{"feature": f"f{n}", "psi": n / 100, "drifted": False} for n in range(30)]
    return {"origin": origin, "drifted": drifted, "inputs": rows, "errors": [], "coverage": None}


def test_a_report_replaces_that_of_its_origin_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_KEEP", 2)
    kept = History(ArtifactRoot(str(tmp_path), tmp_path / "cache"))
    for origin in ("2025-03-02", "2025-03-01", "2025-03-03"):
        kept.write(report(origin))
    kept.write(report("2025-03-03", drifted=True))
    assert [(r["origin"], r["drifted"]) for r in kept.read()] == [("2025-03-02", False), ("2025-03-03", True)]
    assert [row["feature"] for row in kept.read()[0]["inputs"]] == [f"f{n}" for n in range(29, 19, -1)]
