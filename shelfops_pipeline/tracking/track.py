"""Experiment tracking: every run goes to MLflow, and to `reports/run_TIMESTAMP.json` when MLflow is away.

Nothing is lost: the JSON holds all that is needed to log the run later (`replay_runs`), and a run that is
logged twice is found by its key and not repeated. A dead server costs seconds, never a training.
"""

import json
import logging
import shutil
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.mlflow_store import (
    TrackingUnavailableError,
    log_run,
    move_alias,
    tracking_uri,
)
from shelfops_pipeline.tracking.run_record import BUNDLE, RunRecord, TrackResult

__all__ = ["BUNDLE", "RunRecord", "TrackResult", "replay_runs", "set_alias", "track_run"]

SCHEMA_VERSION: Final = 1
REPLAYED: Final = "replayed"
log = logging.getLogger(__name__)


def track_run(settings: Settings, run: RunRecord, uri: str | None = None) -> TrackResult:
    """Log `run` to MLflow at `uri` (default: the settings' server, or a database store in the home).

    On any failure of MLflow, writes `reports/run_TIMESTAMP.json` and goes on. Raises FileNotFoundError if a
    folder of `run.artifacts` does not exist: that is a mistake of the caller, not of MLflow.
    """
    missing = [str(path) for path in run.artifacts.values() if not path.is_dir()]
    if missing:
        raise FileNotFoundError(f"No such artifact folder: {', '.join(missing)}")
    try:
        run_id, model_version = log_run(settings, run, uri or tracking_uri(settings), git_commit())
    except TrackingUnavailableError as error:
        path = write_fallback(settings, run, str(error))
        log.warning("MLflow is not available (%s); the run was written to %s", error, path.name)
        return TrackResult("file", path=path, reason=str(error))
    return TrackResult("mlflow", run_id=run_id, model_version=model_version)


def set_alias(settings: Settings, dataset: str, tier: str, version: str, alias: str, uri: str | None = None) -> bool:
    """Point the MLflow alias (champion, candidate) at a version; False, with a warning, if MLflow is away."""
    try:
        return move_alias(uri or tracking_uri(settings), dataset, tier, version, alias)
    except TrackingUnavailableError as error:
        log.warning("MLflow alias %s was not moved to %s: %s", alias, version, error)
        return False


def write_fallback(settings: Settings, run: RunRecord, reason: str) -> Path:
    """Write the run as `reports/run_TIMESTAMP.json`, in full, under a name that is not taken."""
    settings.reports.mkdir(parents=True, exist_ok=True)
    content = {
        "schema_version": SCHEMA_VERSION,
        "reason": reason,
        "key": run.key,
        "git_commit": git_commit(),
        "undefined_metrics": run.undefined,
        "run": {
            **asdict(run),
            "metrics": {k: None if k in run.undefined else v for k, v in run.metrics.items()},
            "artifacts": {name: _portable(settings, path) for name, path in run.artifacts.items()},
            "started_at": run.started_at.isoformat(),
            "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        },
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    while True:
        path = settings.reports / f"run_{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path


def read_fallback(settings: Settings, path: Path) -> RunRecord:
    """The run in a fallback file; folders that are gone are named in the tag `missing_artifacts`."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["run"]
    folders = {name: settings.root / folder for name, folder in content["artifacts"].items()}
    gone = sorted(name for name, folder in folders.items() if not folder.is_dir())
    tags = content["tags"] | ({"missing_artifacts": ", ".join(gone)} if gone else {})
    times = {k: datetime.fromisoformat(content[k]) if content[k] else None for k in ("started_at", "ended_at")}
    kept = {name: folder for name, folder in folders.items() if name not in gone}
    return RunRecord(**{**content, **times, "tags": tags, "artifacts": kept})


def replay_runs(settings: Settings, uri: str | None = None) -> list[TrackResult]:
    """Log every fallback file to MLflow and move it to `reports/replayed/`. Stops at the first failure.

    The last result says why, if MLflow is still away; the files stay as they are then.
    """
    done: list[TrackResult] = []
    for path in sorted(settings.reports.glob("run_*.json")):
        commit = json.loads(path.read_text(encoding="utf-8"))["git_commit"]
        try:
            ids = log_run(settings, read_fallback(settings, path), uri or tracking_uri(settings), commit)
        except TrackingUnavailableError as error:
            return [*done, TrackResult("file", path=path, reason=str(error))]
        (settings.reports / REPLAYED).mkdir(exist_ok=True)
        path.rename(settings.reports / REPLAYED / path.name)
        done.append(TrackResult("mlflow", run_id=ids[0], model_version=ids[1]))
    return done


def git_commit() -> str | None:
    """The commit this code was checked out at; None for an installed package, or without git."""
    root = Path(__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _portable(settings: Settings, path: Path) -> str:
    """Relative to the home where it lies inside, so that a moved home can still be replayed."""
    full = path.absolute()
    return str(full.relative_to(settings.root)) if full.is_relative_to(settings.root) else str(full)
