"""What there is to ingest: the source compared with what the warehouse has recorded."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, timedelta

from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.source import Source, Zoned
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.ingestion.sync import SyncPlan, periods_between, plan_sync
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.ingested import period_records
from shelfops_pipeline.store.records import PeriodRecord


def find_changes(
    settings: Settings, source: Source, engine: Engine, first_period: date, *, everything: bool = False
) -> SyncPlan | None:
    """What has to be ingested so that the warehouse says what the source says; None: it does.

    With `everything`, all that the source has. A period is ingested once it is over. The key is another one after each
    ingest: what was taken back and comes again is news. Raises DataError when the source begins before the first
    partition: its first years would be left out in silence.
    """
    first = periods_between(source.span()[0], source.span()[0], source.grain)[0]
    if settings.start_date is None and first < first_period:
        raise DataError(
            f"{source.name} begins on {first}, before the first partition, {first_period}: set SHELFOPS_START_DATE "
            f"(or start_date in the mapping) to {first}, or to the day from which you want to use it"
        )
    records = period_records(engine, source.name)
    recorded = {} if everything else _recorded(records)
    bounds = {"since": first_period, "until": last_over(source)}
    plan = plan_sync(source, source.reference(), recorded, settings.lookback, **bounds)
    return None if plan is None else _after(plan, records)


def last_over(source: Source) -> date:
    """The last day of the last period that is over: here, and where the stores are."""
    today = min(date.today(), source.today) if isinstance(source, Zoned) else date.today()
    yesterday = today - timedelta(days=1)
    return yesterday if source.grain is Grain.DAY else yesterday - timedelta(days=(yesterday.weekday() + 1) % 7)


def _recorded(records: Iterable[PeriodRecord]) -> dict[date, str | None]:
    """Checksum of the source's rows, by period; of a period that is not complete, the warehouse has none of its own."""
    return {r.period: r.source_checksum for r in records if r.warehouse_checksum is not None}


def _after(plan: SyncPlan, records: Iterable[PeriodRecord]) -> SyncPlan:
    """The plan, named by when its periods were last ingested, too: the same until then, however often it is asked."""
    changed = set(plan.changed)
    ingested = [r.ingested_at for r in records if r.period in changed and r.ingested_at is not None]
    return replace(plan, key=f"{plan.key} after {max(ingested).astimezone(UTC).isoformat()}") if ingested else plan
