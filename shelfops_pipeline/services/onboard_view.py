"""What `shelfops onboard` shows: the tables it found, the first rows, a quality report, and what it would ask."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.mapping import Constant
from shelfops_pipeline.data.mapping import Mapping as Described
from shelfops_pipeline.data.mapping import Table as DescribedTable
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.onboarding.findings import CANONICAL, Finding, Role
from shelfops_pipeline.onboarding.propose import Proposal
from shelfops_pipeline.onboarding.quality import Ids, Quality
from shelfops_pipeline.onboarding.questions import SURE

_LONGEST = 26
_SHOWN = 3


def tables_view(proposal: Proposal) -> RenderableType:
    """One block per table: what it is, and which of its columns is what."""
    used = _used(proposal.mapping)
    return Group(*(_table_block(finding, used.get(finding.table.name, {})) for finding in proposal.findings))


def rows_view(preview: pd.DataFrame) -> RenderableType:
    """The first rows as they will be read."""
    table = _plain_table()
    for name in preview:
        table.add_column(str(name), justify="right" if pd.api.types.is_numeric_dtype(preview[name]) else "left")
    texts = [_texts(preview[name]) for name in preview]
    for row in zip(*texts, strict=True):
        table.add_row(*row)
    return _block("First rows, as they will be read", table)


def quality_view(quality: Quality) -> RenderableType:
    """The figures of all rows."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    for name, value, good in quality_facts(quality):
        facts.add_row(name, Text(value, style="" if good else "yellow"))
    return _block("Quality of all rows", Padding(facts, (0, 0, 0, 2), expand=False))


def quality_facts(quality: Quality) -> list[tuple[str, str, bool]]:
    """(what, figure, is it fine) of each line of the report."""
    q = quality
    period = "weeks" if q.grain is Grain.WEEK else "days"
    span = f"{q.first} to {q.last}, {(q.last - q.first).days // q.grain.days + 1:,} {period}"
    silent = [f"{store} {first} to {last}" for store, first, last in q.gaps]
    facts = [
        ("rows", f"{q.rows:,}", True),
        ("span", span, True),
        ("series", f"{q.series:,}", True),
        ("stores", _ids(q.stores), not q.stores.unlisted),
        ("items", _ids(q.items), not q.items.unlisted),
        ("empty cells", _counts(q.missing), not q.missing),
        ("unreadable cells", _counts(q.unreadable), not q.unreadable),
        ("to quarantine", _counts(q.refused) + (f" ({q.refused_share:.1%})" if q.refused else ""), not q.refused),
        ("returns", f"{q.returns:,} ({q.returns / q.rows:.1%})", True),
        ("zeros", f"{q.zeros:,} ({q.zeros / q.rows:.1%})", True),
        ("silent stores", _some(silent), not silent),
    ]
    if q.repeated:
        facts.append(("in two files", f"{q.repeated:,} lines; do exports overlap? they would count twice", False))
    ahead = [f"{name} {q.ahead(name):,} {period}" for name in q.plans]
    return [*facts, ("known ahead", ", ".join(ahead) or "nothing but the calendar", True)]


def questions_view(questions: Iterable[str], others: Iterable[str]) -> RenderableType | None:
    """What only the retailer can say, and the files that were left alone; None if there is nothing."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(width=3, justify="right")
    lines.add_column()
    for question in questions:
        lines.add_row("[yellow]?", Text(question))
    for other in others:
        lines.add_row("[dim]–", Text(other, style="dim"))
    return _block("Please look at", lines) if lines.row_count else None


def _table_block(finding: Finding, used: Mapping[str, list[str]]) -> RenderableType:
    table = finding.table
    style = "dim" if finding.role is Role.UNUSED else "bold"
    title = Text.assemble((table.name, style), "  ", (str(finding.role), "dim" if style == "dim" else "cyan"))
    rows = f"{table.rows:,} rows" if table.whole else f"about {table.rows:,} rows, {table.n:,} read"
    rows += f" ({table.odd_lines:,} lines with other columns)" if table.odd_lines else ""
    files = f"{len(table.files)} files, " if len(table.files) > 1 else ""
    about = Text(f"  {files}{rows}; {_written(table.format, finding)}{finding.why}", style="dim")
    if finding.role is Role.UNUSED:
        return Group("", title, about)
    return Group("", title, about, _columns(finding, used))


def _columns(finding: Finding, used: Mapping[str, list[str]]) -> Table:
    columns = _plain_table()
    columns.add_column("column", max_width=_LONGEST, no_wrap=True)
    columns.add_column("is", style="cyan", max_width=40)
    columns.add_column("for example", max_width=_LONGEST, no_wrap=True)
    columns.add_column("sure", justify="right")
    columns.add_column("why", style="dim")
    choices = {choice.column: choice for choice in finding.reading.choices.values()}
    for name, column in finding.table.columns.items():
        names, choice = used.get(name), choices.get(name)
        example = Text(column.example)
        if not names:
            columns.add_row(Text(name), Text("–"), example, "", Text("not used"), style="dim")
        elif choice is None or CANONICAL.isdisjoint(names):
            columns.add_row(Text(name), ", ".join(names), example, "", "under its own name")
        else:
            sure = f"{choice.confidence:.0%}"
            columns.add_row(
                Text(name),
                ", ".join(names),
                example,
                sure if choice.confidence >= SURE else f"[yellow]{sure}",
                Text(choice.why),
            )
    for name, value in finding.columns.items():
        if isinstance(value, Constant):
            columns.add_row(
                Text("(none)", style="dim"), name, Text(str(value.value)), "", "no such column: the same for all"
            )
    return columns


def _used(mapping: Described) -> dict[str, dict[str, list[str]]]:
    """Canonical names by table and column."""
    parts: list[DescribedTable | None] = [
        mapping.transactions, mapping.stores, mapping.items, mapping.suppliers, mapping.inventory,
        mapping.calendar, *mapping.known_future, *mapping.past,
    ]  # fmt: skip
    out: dict[str, dict[str, list[str]]] = {}
    for part in parts:
        for name, column in () if part is None else part.columns.items():
            names = out.setdefault(str(part.files if part else ""), {}).setdefault(str(column), [])
            if name not in names and not (name == "date" and "ts" in names):
                names.append(name)
    return out


def _written(form: Format, finding: Finding) -> str:
    """The dialect in a few words; nothing for Parquet."""
    if finding.table.files[0].suffix.lower() in (".parquet", ".pq"):
        return "Parquet; "
    separator = {"\t": "tab"}.get(form.separator, f"'{form.separator}'")
    words = [form.encoding, f"separated by {separator}", f"decimal '{form.decimal}'"]
    words += [f"thousands '{form.thousands}'"] if form.thousands else []
    words += [f"header on line {form.skip_rows + 1}"] if form.skip_rows else []
    dates = [c.date_format.pattern or "ISO" for c in finding.table.columns.values() if c.date_format is not None]
    return ", ".join(words + [f"dates {dates[0]}" for _ in dates[:1]]) + "; "


def _ids(ids: Ids) -> str:
    unlisted = f", {len(ids.unlisted):,} of them not in the reference: {_some(ids.unlisted)}" if ids.unlisted else ""
    return f"{ids.sold:,} sold, {ids.listed:,} listed{unlisted}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items()) or "none"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more if listed else "none"


def _texts(values: "pd.Series[Any]") -> list[Text]:
    """The cells of a column, numbers with as many decimals as the column needs (two at most)."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return [Text("" if pd.isna(v) else f"{v:%Y-%m-%d %H:%M}".removesuffix(" 00:00")) for v in values]
    if pd.api.types.is_numeric_dtype(values):
        decimals = 0 if values.dropna().mod(1).eq(0).all() else 2
        return [Text("" if pd.isna(v) else f"{v:,.{decimals}f}") for v in values]
    return [Text("" if pd.isna(v) else str(v)) for v in values]


def _plain_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=True, header_style="dim", show_edge=False)


def _block(title: str, content: RenderableType) -> RenderableType:
    return Group("", Text(title, style="bold"), content)
