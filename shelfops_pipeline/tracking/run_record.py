"""What is logged about a training run, and what became of logging it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

BUNDLE: Final = "bundle"
Param = str | int | float | bool | None


@dataclass(frozen=True)
class RunRecord:
    """One training run, as it is logged."""

    version: str
    dataset: str
    tier: str
    trigger: str
    """Who started it: manual, a schedule's or a sensor's name."""
    params: Mapping[str, Param]
    metrics: Mapping[str, float | None]
    """None or NaN where undefined: logged as undefined, never as 0."""
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """Folder name in the run → local folder. The folder `bundle` is also registered as a model version."""
    alias: str | None = None
    """Alias of the registered version: candidate or champion."""
    dagster_run_id: str | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """More tags than the standard's."""

    @property
    def key(self) -> str:
        """What makes this run itself: the same in every attempt to log it."""
        return f"{self.dataset}/{self.version}/{self.started_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"

    @property
    def undefined(self) -> tuple[str, ...]:
        """Names of the metrics that have no value."""
        return tuple(sorted(k for k, v in self.metrics.items() if v is None or not math.isfinite(v)))


@dataclass(frozen=True)
class TrackResult:
    """Where a run was logged."""

    where: Literal["mlflow", "file"]
    run_id: str | None = None
    model_version: str | None = None
    path: Path | None = None
    """The fallback file."""
    reason: str = ""
    """Why MLflow was not used."""
