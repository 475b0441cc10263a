"""Runs on their way to MLflow: each is a file `reports/run_TIMESTAMP.json` until MLflow has all of it.

A run is written before MLflow is asked, so that nothing is lost when the process is killed meanwhile. What MLflow has
is moved to `reports/tracked/`; moved back, it is logged again, as to a new MLflow.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.lifecycle.files import write_json
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.run_record import RunRecord, defined

SCHEMA_VERSION: Final = 2
TRACKED: Final = "tracked"
REFUSED: Final = "refused"
_ALIASES: Final = "aliases.json"
_NOT_TRIED: Final = "not logged yet"

Aliases = Mapping[str, Mapping[str, str | None]]
"""Registered model → alias → key of the run whose bundle it names; None: nothing."""


class UnreadableRunError(ShelfOpsError):
    """A waiting file is damaged, or of another release."""


@dataclass(frozen=True)
class Outbox:
    """The waiting and the logged runs of one home."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> "Outbox":
        return cls(settings.root)

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def tracked(self) -> Path:
        return self.reports / TRACKED

    @property
    def refused(self) -> Path:
        return self.reports / REFUSED

    def waiting(self) -> list[Path]:
        """Files of the runs that MLflow does not have, oldest first."""
        return sorted(self.reports.glob("run_*.json"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold while runs are sent to MLflow: two that send at once would send a run twice. Waits; a killed holder
        lets go."""
        self.tracked.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.tracked / ".lock", os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def put(self, run: RunRecord, commit: str | None) -> Path:
        """Write a run whole, as `reports/run_TIMESTAMP.json`, under a name that is not taken."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "reason": _NOT_TRIED,
            "key": run.key,
            "git_commit": commit,
            "undefined_metrics": run.undefined,
            "run": self._plain(run),
        }
        while (path := self.reports / f"run_{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json").exists():
            pass  # a microsecond later it is not
        write_json(path, content)
        return path

    def read(self, path: Path) -> tuple[RunRecord, str | None]:
        """The run in a file and its git commit; folders that are gone are named in the tag `missing_artifacts`.

        Raises UnreadableRunError.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if (found := content["schema_version"]) != SCHEMA_VERSION:
                raise UnreadableRunError(f"{path.name}: written as schema {found}, this release reads {SCHEMA_VERSION}")
            return self._record(content["run"]), content["git_commit"]
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableRunError(f"{path.name}: not the record of a run ({type(error).__name__})") from error

    def note(self, path: Path, reason: str) -> None:
        """Write into a waiting file why it waits."""
        if path.is_file():
            write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"reason": reason})

    def done(self, path: Path) -> None:
        """MLflow has all of a run."""
        self.tracked.mkdir(parents=True, exist_ok=True)
        path.replace(self.tracked / path.name)

    def refuse(self, path: Path) -> None:
        """MLflow will never have this one, or nobody can read it: it is kept apart, for people to look at."""
        self.refused.mkdir(parents=True, exist_ok=True)
        path.replace(self.refused / path.name)

    def mirrored(self) -> Aliases:
        """What MLflow's aliases were last made to follow; empty before the first time."""
        path = self.tracked / _ALIASES
        found: Aliases = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found

    def set_mirrored(self, aliases: Aliases) -> None:
        """MLflow's aliases follow these, as far as it knows the versions."""
        write_json(self.tracked / _ALIASES, aliases)

    def _plain(self, run: RunRecord) -> dict[str, Any]:
        return {
            **asdict(run),
            "metrics": {k: defined(v) for k, v in run.metrics.items()},
            "fold_metrics": {k: [defined(v) for v in values] for k, values in run.fold_metrics.items()},
            "artifacts": {name: self._portable(path) for name, path in run.artifacts.items()},
            "made_at": run.made_at.isoformat(),
        }

    def _record(self, content: dict[str, Any]) -> RunRecord:
        folders = {name: self.root / folder for name, folder in content["artifacts"].items()}
        gone = sorted(name for name, folder in folders.items() if not folder.is_dir())
        tags = content["tags"] | ({"missing_artifacts": ", ".join(gone)} if gone else {})
        kept = {name: folder for name, folder in folders.items() if name not in gone}
        made_at = datetime.fromisoformat(content["made_at"])
        return RunRecord(**{**content, "made_at": made_at, "tags": tags, "artifacts": kept})

    def _portable(self, path: Path) -> str:
        """Relative to the home where it lies inside, so that a moved home can still be replayed."""
        full = path.absolute()
        return str(full.relative_to(self.root)) if full.is_relative_to(self.root) else str(full)
