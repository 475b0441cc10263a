"""`shelfops onboard`: look at a directory, propose a mapping, write it; or check one that is there."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.markup import escape

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.mapping import Mapping, load_mapping
from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.errors import DataError, ShelfOpsError
from shelfops_pipeline.gate.quality import SHARE, describe_bad
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.country import AS_ASKED
from shelfops_pipeline.onboarding.propose import Proposal, propose
from shelfops_pipeline.onboarding.quality import Quality, assess
from shelfops_pipeline.onboarding.write import to_yaml
from shelfops_pipeline.services.console import console, errors
from shelfops_pipeline.services.onboard_view import (
    quality_facts,
    quality_view,
    questions_view,
    rows_view,
    tables_view,
)
from shelfops_pipeline.settings import Settings

_MOST_BYTES: Final = 400 << 20
"""Files of more are not read through here; `--check` does."""


def run_onboard(
    folder: Path, out: Path | None, force: bool, country: str | None, region: str | None, sales: str | None
) -> None:
    """Write the mapping of `folder` to `out` (default: <folder>.yaml here) and show how it came about.

    Raises DataError when no mapping can be proposed, when `out` is there already and `force` is not given, or, after
    it was written, when the files cannot be read by it.
    """
    catalog = read_catalog(folder)
    out = out or Path(f"{folder.resolve().name}.yaml")
    if not out.parent.is_dir():
        raise DataError(f"--out: the directory {out.parent} does not exist; create it first")
    if out.is_dir():
        raise DataError(f"--out: {out} is a directory; name a file in it")
    if out.exists() and not force:
        raise DataError(f"{out} exists; write elsewhere with --out, or over it with --force")
    proposal = propose(catalog, country, region, sales)
    _show(proposal)
    problem, quality = None, None
    if sum(path.stat().st_size for table in catalog.tables for path in table.files) <= _MOST_BYTES:
        try:
            quality = assess(Mapped(proposal.mapping, folder))
            proposal.begin(quality.first)
            console.print(rows_view(quality.preview), quality_view(quality))
        except DataError as error:
            problem = error
    if (view := questions_view(proposal.questions, catalog.others)) is not None:
        console.print(view)
    out.write_text(to_yaml(proposal, folder.name), "utf-8")
    again = f"shelfops onboard --check {shlex.quote(str(out))} --data {shlex.quote(str(folder))}"
    if problem is not None:
        raise DataError(f"{out} is written, but the files cannot be read by it: {problem}; correct it, then: {again}")
    _next(out, folder, again, proposal, quality)


def _show(proposal: Proposal) -> None:
    console.print(tables_view(proposal))
    mapping, shape = proposal.mapping, proposal.shape
    console.print(f"\n[bold]One retailer[/], by the {mapping.grain}: {mapping.target}", highlight=False)
    meaning = "nothing was sold" if mapping.absence == "zero" else "nobody knows"
    console.print(f"  no row means that {meaning}: {shape.absence_why}", highlight=False)
    if proposal.country is None:
        told = "holidays: none; no good evidence of a country (--country AT sets it)"
        console.print("  " + ("holidays: those of the calendar table" if mapping.calendar else told), highlight=False)
    else:
        guess = "" if proposal.country.why == AS_ASKED else " (a guess; --country sets it)"
        console.print(f"  holidays of {proposal.country.code}: {escape(proposal.country.why)}{guess}", highlight=False)


def _next(out: Path, folder: Path, again: str, proposal: Proposal, quality: Quality | None) -> None:
    weekly = proposal.mapping.grain is Grain.WEEK
    where = f"--dataset {shlex.quote(str(out))} --data {shlex.quote(str(folder))}"
    console.print(
        f"\n[green]✓[/] [bold]{escape(str(out))}[/] is written. Look through it, then:", highlight=False, soft_wrap=True
    )
    for command in (
        again,
        f"shelfops ingest {where}",
        f"shelfops forecast {where} --horizon {8 if weekly else 28} --out forecast.parquet",
    ):
        console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)
    if quality is None:
        console.print("  The files are too large to be read through here: --check does, and reports.", highlight=False)


def run_check(path: Path, data: Path | None, settings: Settings) -> None:
    """Load a mapping, read all that it names below `data` (default: where it lies), and print what came out.

    Raises ShelfOpsError when something is wrong; each fault is printed on a line of its own.
    """
    mapping = load_mapping(path)
    folder = data or path.parent
    if not folder.is_dir():
        raise DataError(f"no such directory: {folder}")
    source = Mapped(mapping, folder)
    faults: list[str] = []
    quality = None
    try:
        quality = assess(source)
        source.inventory(*source.span())
    except DataError as error:
        faults += list(_faults(mapping, folder)) or [str(error)]
    limit = max(settings.max_quarantined_share, mapping.rules.tolerated_share)
    if quality is not None and quality.refused_share > limit:
        worst = ", ".join(f"{reason} {n:,}" for reason, n in quality.refused.items())
        faults.append(
            f"{quality.refused_share:.1%} of the rows would go to quarantine ({worst}); allowed are {limit:.1%}"
        )
    elif quality is not None and len(bad := quality.periods[quality.periods[SHARE] > limit]):
        faults.append(describe_bad(bad, limit))  # all in all it is fine, yet `shelfops ingest` would stop there
    if len(faults) > 1:
        for fault in faults:
            errors.print(f"[red]✗[/] {escape(fault)}", highlight=False, soft_wrap=True)
    if faults:
        raise ShelfOpsError(f"{path}: {faults[0] if len(faults) == 1 else f'{len(faults)} faults, as listed above'}")
    if quality is not None:
        console.print(quality_view(quality))
        facts = {name: value for name, value, _ in quality_facts(quality)}
        text = f"{facts['rows']} rows, {facts['span']}, {facts['series']} series; known ahead: {facts['known ahead']}"
        console.print(
            f"\n[green]✓[/] [bold]{escape(str(path))}[/] is fine: {escape(text)}", highlight=False, soft_wrap=True
        )


def _faults(mapping: Mapping, folder: Path) -> Iterator[str]:
    """What is wrong with each part of a mapping, one line each; of the others nothing if the sales cannot be read."""
    bare = mapping.model_copy(
        update={"stores": None, "items": None, "suppliers": None, "inventory": None, "calendar": None}
        | {"known_future": (), "past": (), "holidays": ()}
    )
    try:
        Mapped(bare, folder).span()
    except DataError as error:
        yield str(error)
        return
    for part in ("stores", "items", "suppliers", "inventory", "calendar", "holidays"):
        yield from _fault(bare.model_copy(update={part: getattr(mapping, part)}), folder)
    for part in ("known_future", "past"):
        for n, table in enumerate(getattr(mapping, part)):
            for fault in _fault(bare.model_copy(update={part: (table,)}), folder):
                yield fault.replace(f"{part}.0", f"{part}.{n}")


def _fault(mapping: Mapping, folder: Path) -> Iterator[str]:
    source = Mapped(mapping, folder)
    try:
        source.reference()
        source.inventory(*source.span())
    except DataError as error:
        yield str(error)
