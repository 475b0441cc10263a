"""What keeps a deployment going: `shelfops backup` and `restore`, `migrate` and `doctor`."""

from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Dataset, configure


def backup(
    target: Annotated[str, typer.Argument(help="An empty directory, or an fsspec URL such as s3://bucket/2026-03-01")],
    dataset: Dataset = "simulated",
    artifacts: Annotated[
        bool,
        typer.Option(help="Also the pipeline's intermediate results; without, the source must be read again"),
    ] = True,
) -> None:
    """Back up warehouse, Dagster's storage, models, reports and artifacts, while everything goes on."""
    settings = configure(dataset, None)
    from shelfops_pipeline.services.backup import run_backup

    run_backup(settings, target, artifacts)


def restore(
    source: Annotated[str, typer.Argument(help="What `shelfops backup` wrote")],
    dataset: Dataset = "simulated",
) -> None:
    """Restore a backup into an empty home and empty databases, and verify it. Never writes over anything."""
    settings = configure(dataset, None)
    from shelfops_pipeline.services.restore import run_restore

    run_restore(settings, source)


def migrate(
    to: Annotated[str | None, typer.Option("--to", help="Revision to go to, up or down; default: the newest")] = None,
    dataset: Dataset = "simulated",
) -> None:
    """Bring the warehouse's tables to the release that is installed, or back. See docs/operations.md#upgrade.

    Going back drops tables that the older release does not know, with their rows: back up first.
    """
    settings = configure(dataset, None)
    from shelfops_pipeline.services.warehouse import run_migrate

    run_migrate(settings, to)


def doctor(
    dataset: Dataset = "simulated",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object on standard output")] = False,
) -> None:
    """What is reachable, what is missing, and how to get it. Exits 1 when something is missing that is needed."""
    settings = configure(dataset, None)
    from shelfops_pipeline.services.commands import show_doctor

    show_doctor(settings, as_json)
