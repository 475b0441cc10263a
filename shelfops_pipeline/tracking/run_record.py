"""What is logged about a run, and what became of logging it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

BUNDLE: Final = "bundle"
FOLD: Final = "fold/"
"""Prefix of a metric that has one value per fold: `fold/mae` at step k is the MAE of fold k, the earliest being 1."""
Param = str | int | float | bool | None


def run_key(dataset: str, version: str, made_at: datetime) -> str:
    """What makes a run itself, the same in every attempt to log it."""
    return f"{dataset}/{version}/{made_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


@dataclass(frozen=True)
class RunRecord:
    """One run, as it is logged: the training of a version, or a study of `shelfops tune`."""

    version: str
    dataset: str
    tier: str
    trigger: str
    """What it was started for: manual, weekly, drift, new_data, api; tune."""
    params: Mapping[str, Param]
    metrics: Mapping[str, float | None]
    """None or NaN where undefined: logged as undefined, never as 0."""
    fold_metrics: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Metric → its value on each fold, the earliest first; undefined as above."""
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """Folder name in the run → local folder. The folder `bundle` is also registered as a model version."""
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When what is logged was made. MLflow's run ends then."""
    seconds: float | None = None
    """How long making it took, measured. MLflow's run starts so long before its end."""
    dagster_run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """More tags than the standard's."""

    @property
    def key(self) -> str:
        """See `run_key`."""
        return run_key(self.dataset, self.version, self.made_at)

    def values(self) -> Iterator[tuple[str, int, float | None]]:
        """(name, step, value) of every metric; step 0 is over all folds. None where undefined."""
        for name, value in self.metrics.items():
            yield name, 0, defined(value)
        for name, values in self.fold_metrics.items():
            for k, value in enumerate(values, start=1):
                yield f"{FOLD}{name}", k, defined(value)

    @property
    def undefined(self) -> tuple[str, ...]:
        """Names of the metrics that have no value, with the step where there are several."""
        return tuple(sorted(f"{name} {step}" if step else name for name, step, v in self.values() if v is None))


def defined(value: float | None) -> float | None:
    """The value; None where it is undefined or not finite."""
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class TrackResult:
    """Where a run was logged."""

    where: Literal["mlflow", "file"]
    run_id: str | None = None
    model_version: str | None = None
    path: Path | None = None
    """The file in which the run waits."""
    reason: str = ""
    """Why it is not in MLflow."""

    def __str__(self) -> str:
        if self.where == "mlflow":
            return f"MLflow run {self.run_id}"
        return f"{self.path}: {self.reason}"
