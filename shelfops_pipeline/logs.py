"""Structured logs of the pipeline: one JSON object per line, with data set, run, step and partition.

`dagster.yaml` attaches the handler to every run; lines go to `logs/pipeline.jsonl` in the home, so that a log shipper
can follow one file, and the command line's progress stays readable.
"""

import logging
from collections.abc import Mapping, MutableMapping
from logging.handlers import RotatingFileHandler
from typing import Any, Final

import structlog

from shelfops_pipeline.settings import Settings

_BYTES: Final = 20_000_000
_FILES: Final = 5
_PARTITION_TAGS: Final = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


class JsonLines(RotatingFileHandler):
    """Writes records of Dagster's and our own loggers as JSON lines.

    The file is opened for each: Dagster makes a handler per run and never closes it, and several processes write here,
    of which only one can rename the file when it is full.
    """

    def __init__(self) -> None:
        settings = Settings()
        path = settings.root / "logs" / "pipeline.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8", delay=True)
        self.setFormatter(formatter(settings.dataset))

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self.close()


def formatter(dataset: str) -> logging.Formatter:
    """A formatter of JSON lines: time (UTC), level, logger, message, dataset, and what Dagster says of the record."""

    def describe(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"dataset": dataset, **event, **_of_dagster(event["_record"])}

    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            describe,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    )


def _of_dagster(record: logging.LogRecord) -> dict[str, Any]:
    """run, job, step, partition and kind of event, where Dagster logged the record."""
    meta: Mapping[str, Any] = getattr(record, "dagster_meta", {})
    tags: Mapping[str, str] = meta.get("job_tags") or {}
    partition = "..".join(tags[name] for name in _PARTITION_TAGS if name in tags)
    event = meta.get("dagster_event")
    found = {
        "run": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        "partition": partition or None,
        "kind": getattr(event, "event_type_value", None),
        "event": meta.get("orig_message"),
    }
    return {name: value for name, value in found.items() if value is not None}
