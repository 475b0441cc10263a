"""`shelfops models`: the versions of a retailer."""

from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Dataset, configure

models = typer.Typer(no_args_is_help=True, help="Model versions: list, show, promote.")


@models.command("list")
def models_list(dataset: Dataset = "simulated") -> None:
    """Every version of a retailer, with its status."""
    from shelfops_pipeline.services.commands import list_models

    list_models(configure(dataset, None))


@models.command("show")
def models_show(version: str, dataset: Dataset = "simulated") -> None:
    """One version: manifest, metrics, files checked against their checksums."""
    from shelfops_pipeline.services.commands import show_model

    show_model(configure(dataset, None), version)


@models.command("promote")
def models_promote(
    version: str,
    dataset: Dataset = "simulated",
    reason: Annotated[str, typer.Option(help="Recorded in the registry")] = "promoted by hand",
) -> None:
    """Make a version the champion by hand; the old one is archived, never deleted."""
    from shelfops_pipeline.services.commands import promote_model

    promote_model(configure(dataset, None), version, reason)
