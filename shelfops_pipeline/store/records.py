"""What the warehouse returns and takes: plain values, no database objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Release:
    """The pointer row: what is being served, since when. `manifest` is JSON, shaped by the publisher."""

    release: str
    champion_version: str
    cold_start_version: str | None
    dataset: str
    published_at: datetime
    manifest: Mapping[str, Any]


class ForecastRow(NamedTuple):
    """One period of one series; field names are the forecast columns."""

    date: date
    model_version: str
    mean: float
    point: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


class ForecastExplanation(NamedTuple):
    """Why one series' expected demand is what it is, in one period or summed over `periods` of them from `date` on.

    `start` plus the `units` of the reasons is `prediction`, the served mean (their sum, where `periods` is above 1);
    `start` is None and there are no reasons where the store is closed. `member` is the model that was explained; what
    the served mean has beyond it is among the reasons. A reason has `theme`, `units` and `words`.
    """

    date: date
    periods: int
    model_version: str
    member: str
    start: float | None
    prediction: float
    sentence: str
    reasons: list[dict[str, Any]]


class OnlineFeatures(NamedTuple):
    """What the model needs to know of one series; `values` is flat float32, laid out as the manifest says."""

    model_version: str
    origin: date
    values: NDArray[np.float32]
    published_at: datetime | None = None
    """When the release was, as of the same read; None before it is published, and where nobody asks."""


@dataclass(frozen=True)
class QuarantinedRow:
    """A source row that could not be used: where it came from, why, and the row itself (JSON-safe values).

    By its `fingerprint` it is released; the same row of the same file has the same one, whenever it is read.
    """

    partition_key: str
    source: str
    line: int | None
    reason: str
    row: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True)
class QuarantineView:
    """Some quarantined rows, and how many there are of each reason, most frequent first."""

    rows: tuple[QuarantinedRow, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class PeriodRecord:
    """What became of one period's rows. `rows` is accepted + quarantined; `returns` are among the accepted.

    `late`: rows that were not there when the period was ingested before; `corrected`: rows whose content changed;
    `withdrawn`: rows that are there no more. `source_checksum` is of the source's rows, as the loader makes it;
    `warehouse_checksum` is that of `store.checksums`, of the rows as the warehouse gave them back. Without checksums
    a period is to be ingested again.
    """

    period: date
    rows: int
    accepted: int
    returns: int = 0
    quarantined: int = 0
    late: int = 0
    corrected: int = 0
    withdrawn: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    source_checksum: str | None = None
    warehouse_checksum: str | None = None
    run_id: str | None = None
    ingested_at: datetime | None = None


@dataclass(frozen=True)
class RetrainRequest:
    """Somebody asked for a training; what has become of it."""

    request_id: str
    dataset: str
    idempotency_key: str
    requested_by: str
    reason: str
    requested_at: datetime
    status: str
    claimed_at: datetime | None = None
    run_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class OperationalAlert:
    """Runs of a job that failed for one cause. `run_id`, `message` and `last_at` are of the latest."""

    alert_id: int
    dataset: str
    job: str
    cause: str
    message: str
    run_id: str
    occurrences: int
    raised_at: datetime
    last_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    """The run that succeeded."""
