"""`shelfops quarantine`: rows that were refused."""

from datetime import datetime
from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Data, Dataset, configure

quarantine = typer.Typer(no_args_is_help=True, help="Rows that were refused: show them, release them.")


@quarantine.command(
    "show", epilog="Example: shelfops quarantine show --dataset online_retail --data ~/or --reason outlier"
)
def quarantine_show(
    dataset: Dataset = "simulated",
    data: Data = None,
    reason: Annotated[str | None, typer.Option(help="Only rows with this reason")] = None,
    start: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First period")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last period")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show")] = 20,
) -> None:
    """Rows that were refused: why, from where, and what they say."""
    settings = configure(dataset, data)
    from shelfops_pipeline.services.ingest import show_quarantine

    show_quarantine(settings, reason, start and start.date(), end and end.date(), limit)


@quarantine.command("release", epilog="Example: shelfops quarantine release 3f9a1c0e77b2 --note 'a real bulk order'")
def quarantine_release(
    fingerprints: Annotated[list[str] | None, typer.Argument(help="As `show` prints them")] = None,
    dataset: Dataset = "simulated",
    data: Data = None,
    reason: Annotated[str | None, typer.Option(help="Release every row with this reason")] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the release")] = "",
) -> None:
    """Vouch for rows: their periods are judged again, and these rows are accepted."""
    if bool(fingerprints) == bool(reason):
        raise typer.BadParameter("name the rows, or give --reason to release all with that reason")
    settings = configure(dataset, data)
    from shelfops_pipeline.services.ingest import release_rows

    release_rows(settings, fingerprints or [], reason, note)
