"""`shelfops ingest` and `shelfops quarantine`: what is new is judged, what was refused is shown and released."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta

from rich.markup import escape
from rich.table import Table

from shelfops_pipeline.data.source import Live
from shelfops_pipeline.data.sources import current_source
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.gate.reasons import Reason
from shelfops_pipeline.ingestion.sync import SyncPlan
from shelfops_pipeline.services.console import console, step_progress
from shelfops_pipeline.services.pipeline import Pipeline, Report, open_pipeline, require_directory
from shelfops_pipeline.services.warehouse import actor
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.ingested import period_records
from shelfops_pipeline.store.quarantine import quarantined, release
from shelfops_pipeline.store.records import PeriodRecord, QuarantineView


def run_ingest(settings: Settings, everything: bool) -> None:
    """`shelfops ingest`: read what changed, and show what the warehouse now holds."""
    require_directory(settings.data, settings.dataset)
    source = current_source(settings)
    if isinstance(source, Live):
        console.print(f"{settings.dataset} trades on {source.advance()}")
    with open_pipeline(settings) as pipeline:
        with step_progress(f"ingest {settings.dataset}") as board:
            plan = sync(pipeline, board.report, everything=everything)
        with pipeline.engine() as engine:
            records = period_records(engine, source.name)
    console.print(_totals(records, source.name))
    console.print(_what_was_done(plan, records), soft_wrap=True)


def sync(pipeline: Pipeline, report: Report, *, everything: bool = False) -> SyncPlan | None:
    """Ingest what the source says and the warehouse does not; returns what that was, None when there was nothing."""
    from shelfops_pipeline.defs.partitions import first_period
    from shelfops_pipeline.ingestion.watermark import find_changes

    settings = pipeline.settings
    report("", "comparing the source with the warehouse")
    with pipeline.engine() as engine:
        first, _ = first_period(settings)
        plan = find_changes(settings, current_source(settings), engine, first, everything=everything)
    if plan is not None:
        pipeline.ingest(plan.start, plan.end, report)
    return plan


def show_quarantine(settings: Settings, reason: str | None, start: date | None, end: date | None, limit: int) -> None:
    """`shelfops quarantine show`."""
    _check_reason(reason)
    name = current_source(settings).name
    with open_pipeline(settings) as pipeline, pipeline.engine() as engine:
        view = quarantined(engine, name, reason=reason, start=start, end=end, limit=limit)
    if not view.counts:
        console.print(f"{name}: nothing in quarantine" + (" of that kind" if reason or start or end else ""))
        return
    console.print(quarantine_table(view, name))
    console.print(", ".join(f"{reason} {n:,}" for reason, n in view.counts.items()))


def quarantine_table(view: QuarantineView, name: str) -> Table:
    """The rows as they came: what they say is no markup."""
    table = Table(title=f"{name}: {sum(view.counts.values()):,} rows in quarantine", title_justify="left")
    for column in ("fingerprint", "period", "reason"):
        table.add_column(column, no_wrap=True)
    table.add_column("where", overflow="fold", min_width=_WHERE)
    table.add_column("row", overflow="fold")
    for row in view.rows:
        where = str(row.source) if row.line is None else f"{row.source}:{row.line}"
        content = ", ".join(f"{k}={v}" for k, v in row.row.items() if v is not None)
        table.add_row(row.fingerprint[:_SHORT], row.partition_key, row.reason, escape(where), escape(content))
    return table


_WHERE = 16  # characters: of a file and a line, what mostly suffices
_SHORT = 12  # hexadecimal digits of a fingerprint that are shown, and enough to name one


def _check_reason(reason: str | None) -> None:
    if reason is not None and reason not in set(Reason):
        raise ShelfOpsError(f"--reason {reason} is unknown; known: {', '.join(Reason)}")


def release_rows(settings: Settings, names: Sequence[str], reason: str | None, note: str) -> None:
    """`shelfops quarantine release`: vouch for rows, and judge their periods again."""
    _check_reason(reason)
    dataset = current_source(settings).name
    with open_pipeline(settings) as pipeline, step_progress(f"release {settings.dataset}") as board:
        with pipeline.engine() as engine:
            view = quarantined(engine, dataset, reason=reason, limit=_EVERY)
            chosen = _chosen({row.fingerprint for row in view.rows}, names)
            keys = release(engine, dataset, chosen, note, actor(settings))
        for first, last in _ranges([date.fromisoformat(key) for key in keys], pipeline):
            pipeline.validate_again(first, last, board.report)
        with pipeline.engine() as engine:
            after = quarantined(engine, dataset, limit=_EVERY)
    before, left = (sum(row.fingerprint in chosen for row in each.rows) for each in (view, after))
    console.print(f"{before - left:,} rows re-admitted in {len(keys)} periods", soft_wrap=True)
    if left:
        console.print(
            f"[yellow]{left:,} rows stay[/]: without store, item, date or quantity they cannot be used; "
            "repair them at the source",
            soft_wrap=True,
        )


_NEAR = 31  # periods; judging those between again, to the same end, takes less time than another run
_EVERY = 1_000_000  # rows; more than this are not vouched for one by one


def _chosen(known: AbstractSet[str], names: Sequence[str]) -> AbstractSet[str]:
    """The fingerprints that begin with one of `names`; all, where none is given."""
    if not names:
        return known
    found: set[str] = set()
    for name in names:
        matches = [each for each in known if each.startswith(name)]
        if len(matches) != 1:
            problem = "is not in quarantine" if not matches else f"stands for {len(matches)} rows: give more digits"
            raise ShelfOpsError(f"{name}: {problem}; `shelfops quarantine show` lists what is there")
        found.update(matches)
    return found


def _ranges(periods: Sequence[date], pipeline: Pipeline) -> list[tuple[date, date]]:
    """Periods as ranges, each of which is one run; those near each other are one, with all between them."""
    from shelfops_pipeline.defs.partitions import first_period

    width = timedelta(days=first_period(pipeline.settings)[1].days)
    ranges: list[tuple[date, date]] = []
    for period in sorted(periods):
        if ranges and period - ranges[-1][1] <= width * _NEAR:
            ranges[-1] = (ranges[-1][0], period)
        else:
            ranges.append((period, period))
    return ranges


def _totals(records: Sequence[PeriodRecord], name: str) -> Table:
    """All that the warehouse holds of this retailer."""
    title = f"{name}, {records[0].period} to {records[-1].period}" if records else f"{name}: nothing yet"
    table = Table(title=title, title_justify="left", min_width=len(title))
    table.add_column("rows")
    table.add_column("count", justify="right")
    reasons: dict[str, int] = {}
    for record in records:
        for reason, n in record.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + n
    accepted, bad = sum(r.accepted for r in records), sum(r.quarantined for r in records)
    table.add_row("accepted", f"{accepted:,}")
    table.add_row("  of these returned", f"{sum(r.returns for r in records):,}")
    table.add_row("quarantined", f"{bad:,}")
    for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(f"  {reason}", f"{n:,}")
    table.add_row("sum", f"{accepted + bad:,}", style="bold")
    return table


def _what_was_done(plan: SyncPlan | None, records: Sequence[PeriodRecord]) -> str:
    if plan is None:
        return "nothing to do: the warehouse says what the source says"
    done = [r for r in records if plan.start <= r.period <= plan.end]
    moved = {n: sum(getattr(r, n) for r in done) for n in ("late", "corrected", "withdrawn")}
    told = ", ".join(f"{n:,} {name}" for name, n in moved.items() if n) or "no late, corrected or withdrawn rows"
    return f"ingested {len(done):,} periods, {plan.start} to {plan.end}: {told}"
