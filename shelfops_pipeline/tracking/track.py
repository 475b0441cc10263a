"""Experiment tracking: every run goes to MLflow, and waits in `reports/run_TIMESTAMP.json` while MLflow is away.

Nothing is lost: the file holds all that is needed to log the run later (`replay_runs`), and a run that is logged twice
is found by its key and not repeated. An MLflow that is dead, slow or half-dead costs seconds, never a training.
"""

import logging
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.aliases import model_name, registry_aliases
from shelfops_pipeline.tracking.delivery import Delivery, deliver, deliver_all
from shelfops_pipeline.tracking.outbox import Outbox
from shelfops_pipeline.tracking.run_record import RunRecord, TrackResult, run_key

log = logging.getLogger(__name__)


def track_run(settings: Settings, run: RunRecord, uri: str | None = None) -> TrackResult:
    """`track_runs` of one run."""
    return track_runs(settings, [run], uri)[0]


def track_runs(settings: Settings, runs: Sequence[RunRecord], uri: str | None = None) -> list[TrackResult]:
    """Log `runs` to MLflow at `uri` (default: the settings' server, or a database store in the home).

    All together take no longer than SHELFOPS_TRACKING_SECONDS; what MLflow does not have by then stays in its file.
    Raises FileNotFoundError if a folder of artifacts does not exist: that is a mistake of the caller, not of MLflow.
    """
    missing = [str(path) for run in runs for path in run.artifacts.values() if not path.is_dir()]
    if missing:
        raise FileNotFoundError(f"No such artifact folder: {', '.join(missing)}")
    outbox, commit = Outbox.of(settings), settings.git_commit or git_commit()
    files = [outbox.put(run, commit) for run in runs]
    delivery = deliver(settings, files, uri)
    results = [_result(outbox, path, delivery) for path in files]
    for result in results:
        if result.path is not None:
            outbox.note(result.path, result.reason)
            log.warning("MLflow does not have the run in %s: %s", result.path.name, result.reason)
    return results


@dataclass(frozen=True)
class Replay:
    """What became of the runs that waited."""

    tracked: list[TrackResult]
    refused: list[TrackResult]
    """MLflow will not have them, or nobody can read them."""
    waiting: list[Path]
    away: str
    """Why MLflow could not be asked for everything; empty when it was."""


def replay_runs(settings: Settings, uri: str | None = None) -> Replay:
    """Log every waiting run to MLflow, each once, and let the aliases follow the registry. Stops when MLflow is away
    again: then runs still wait."""
    outbox, delivery = Outbox.of(settings), deliver_all(settings, uri)
    return Replay(
        tracked=[TrackResult("mlflow", run_id, number) for run_id, number in delivery.tracked.values()],
        refused=[TrackResult("file", path=outbox.refused / n, reason=why) for n, why in delivery.refused.items()],
        waiting=outbox.waiting(),
        away=delivery.away,
    )


def set_alias(settings: Settings, dataset: str, tier: str, version: str, alias: str, uri: str | None = None) -> bool:
    """Let MLflow's aliases (champion, challenger) follow the registry; does `alias` name this version there now?

    False, with a warning, if MLflow is away or does not have the version: then the alias stays behind, until the next
    run is logged or replayed.
    """
    delivery = deliver(settings, [], uri)
    made_at = {e.version: e.created_at for e in Registry.of(settings).entries()}
    pointed = delivery.aliases.get(model_name(dataset, tier), {}).get(alias)
    if version in made_at and pointed == run_key(dataset, version, made_at[version]):
        return True
    log.warning("MLflow's alias %s is not at %s: %s", alias, version, delivery.away or "it has no such version")
    return False


def is_behind(settings: Settings) -> bool:
    """Does a run wait for MLflow, or has a champion changed since its aliases followed?"""
    outbox = Outbox.of(settings)
    return bool(outbox.waiting()) or outbox.mirrored() != registry_aliases(Registry.of(settings))


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


def _result(outbox: Outbox, path: Path, delivery: Delivery) -> TrackResult:
    if path.name in delivery.tracked:
        run_id, number = delivery.tracked[path.name]
        return TrackResult("mlflow", run_id=run_id, model_version=number)
    if path.name in delivery.refused:
        return TrackResult("file", path=outbox.refused / path.name, reason=delivery.refused[path.name])
    return TrackResult("file", path=path, reason=delivery.away or "another process is logging it")
