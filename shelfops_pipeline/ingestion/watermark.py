"""What there is to ingest: the source compared with what the warehouse has recorded."""

from datetime import date, timedelta

from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.source import Source
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.ingestion.sync import SyncPlan, periods_between, plan_sync
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.ingested import period_records


def find_changes(
    settings: Settings, source: Source, engine: Engine, first_period: date, *, everything: bool = False
) -> SyncPlan | None:
    """What has to be ingested so that the warehouse says what the source says; None: it does.

    With `everything`, all that the source has. A period is ingested once it is over. Raises DataError when the source
    begins before the first partition: its first years would be left out in silence.
    """
    first = periods_between(source.span()[0], source.span()[0], source.grain)[0]
    if settings.start_date is None and first < first_period:
        raise DataError(
            f"{source.name} begins on {first}, before the first partition, {first_period}: set SHELFOPS_START_DATE "
            f"(or start_date in the mapping) to {first}, or to the day from which you want to use it"
        )
    recorded = {} if everything else _recorded(engine, source.name)
    bounds = {"since": first_period, "until": last_over(source.grain)}
    return plan_sync(source, source.reference(), recorded, settings.lookback, **bounds)


def last_over(grain: Grain) -> date:
    """The last day of the last period that is over."""
    yesterday = date.today() - timedelta(days=1)
    return yesterday if grain is Grain.DAY else yesterday - timedelta(days=(yesterday.weekday() + 1) % 7)


def _recorded(engine: Engine, dataset: str) -> dict[date, str | None]:
    """Checksum of the source's rows, by period; of a period that is not complete, the warehouse has none of its own."""
    records = period_records(engine, dataset)
    return {r.period: r.source_checksum for r in records if r.warehouse_checksum is not None}
