"""`shelfops models`: the versions of a retailer."""

from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Dataset, configure
from shelfops_pipeline.contracts.columns import Tier

models = typer.Typer(
    no_args_is_help=True, help="Model versions: list, show, compare, promote, roll back, verify. See docs/models.md."
)

Reason = Annotated[str, typer.Option(help="Recorded in the registry's history, with your name and the time")]


@models.command("list", epilog="Example: shelfops models list --dataset rossmann")
def models_list(dataset: Dataset = "simulated") -> None:
    """Every version of a retailer, with its status."""
    from shelfops_pipeline.services.models import list_models

    list_models(configure(dataset, None))


@models.command("show", epilog="Example: shelfops models show v2 --dataset rossmann")
def models_show(version: str, dataset: Dataset = "simulated") -> None:
    """One version: manifest, metrics, files checked against their checksums, and the history of its status."""
    from shelfops_pipeline.services.models import show_model

    show_model(configure(dataset, None), version)


@models.command("compare", epilog="Example: shelfops models compare v2 v3 --dataset rossmann")
def models_compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A version, as `list` names it")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one")],
    dataset: Dataset = "simulated",
) -> None:
    """Two versions side by side: scores on the folds that both have, parameters that differ, files."""
    from shelfops_pipeline.services.models import compare_models

    compare_models(configure(dataset, None), first, second)


@models.command("promote", epilog='Example: shelfops models promote v2 --reason "agreed with the planners"')
def models_promote(version: str, dataset: Dataset = "simulated", reason: Reason = "promoted by hand") -> None:
    """Make a version the champion by hand, without the gate; the old one is archived, never deleted."""
    from shelfops_pipeline.services.models import promote_model

    promote_model(configure(dataset, None), version, reason)


@models.command(
    "rollback",
    epilog="Examples: shelfops models rollback    ·    "
    'shelfops models rollback --tier cold_start --reason "orders too high since Monday"',
)
def models_rollback(
    dataset: Dataset = "simulated",
    tier: Annotated[Tier | None, typer.Option(help="Where both tiers have an earlier champion")] = None,
    reason: Reason = "rolled back by hand",
) -> None:
    """Let the champion before the present one serve again. A second rollback goes back one further."""
    from shelfops_pipeline.services.models import rollback_model

    rollback_model(configure(dataset, None), tier, reason)


@models.command("verify", epilog="Example: shelfops models verify --dataset rossmann")
def models_verify(dataset: Dataset = "simulated") -> None:
    """Check every file of every version against its checksum, and that champion.json says what the registry says."""
    from shelfops_pipeline.services.models import verify_models

    verify_models(configure(dataset, None))


@models.command("sync-tracking", epilog="Example: shelfops models sync-tracking --dataset rossmann")
def models_sync_tracking(dataset: Dataset = "simulated") -> None:
    """Send MLflow the runs that it missed while it was away, each once, and let its aliases follow the registry."""
    from shelfops_pipeline.services.sync_tracking import sync_tracking

    sync_tracking(configure(dataset, None))
