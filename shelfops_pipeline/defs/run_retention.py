"""Dagster keeps runs and their events for ever: old ones are deleted here, but for those that are still needed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import dagster as dg

REGISTERS: Final = dg.AssetKey("model_candidates")
"""The asset whose runs register model versions."""
_ENDED: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_PAGE: Final = 1000


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> tuple[int, int]:
    """Delete runs that ended before that time, with events and logs; (how many, how many that old are kept).

    Kept are runs that registered a model version, and those whose events are the only record that an asset, or a period
    of it, is there: without them Dagster would call it missing, and what is made of it would wait for it for ever.
    """
    old = set(instance.get_run_ids(dg.RunsFilter(statuses=_ENDED, updated_before=before)))
    deleted = old - _needed(instance, before) if old else old
    for run_id in deleted:
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    return len(deleted), len(old) - len(deleted)


def _needed(instance: dg.DagsterInstance, before: datetime) -> set[str]:
    ended, storage = before.timestamp(), instance.event_log_storage
    needed = set(_runs(instance, dg.AssetRecordsFilter(REGISTERS, before_timestamp=ended)))
    for record in instance.get_asset_records():
        entry = record.asset_entry
        if entry.last_materialization_record is not None:
            needed.add(entry.last_materialization_record.run_id)
        latest = storage.get_latest_storage_id_by_partition(entry.asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        if latest:
            ids = list(latest.values())
            asked = dg.AssetRecordsFilter(entry.asset_key, storage_ids=ids, before_timestamp=ended)
            needed.update(_runs(instance, asked))
    return needed


def _runs(instance: dg.DagsterInstance, materializations: dg.AssetRecordsFilter) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(materializations, limit=_PAGE, cursor=cursor)
        yield from (record.run_id for record in page.records)
        if not page.has_more:
            return
        cursor = page.cursor
