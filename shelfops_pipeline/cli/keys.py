"""`shelfops keys`: who may call the API."""

from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Dataset, configure
from shelfops_pipeline.contracts.access import Scope

keys = typer.Typer(no_args_is_help=True, help="API keys: issue, revoke, list. See docs/security.md.")


@keys.command("issue", epilog="Example: shelfops keys issue till-system --scope read --scope predict --days 365")
def keys_issue(
    name: Annotated[str, typer.Argument(help="Whose key it is; audit trails say it")],
    scope: Annotated[list[Scope] | None, typer.Option("--scope", help="May be given several times")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Valid for so long; default: until revoked")] = None,
    dataset: Dataset = "simulated",
) -> None:
    """Issue a key and print it, this once: only its hash is stored."""
    settings = configure(dataset, None)
    from shelfops_pipeline.services.keys import issue

    issue(settings, name, scope or [Scope.READ], days)


@keys.command("revoke", epilog="Example: shelfops keys revoke till-system")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its id or name, as `list` shows them")], dataset: Dataset = "simulated"
) -> None:
    """Make a key, and the tokens made from it, invalid for good; the API knows within seconds."""
    settings = configure(dataset, None)
    from shelfops_pipeline.services.keys import revoke

    revoke(settings, key)


@keys.command("list", epilog="Example: shelfops keys list")
def keys_list(dataset: Dataset = "simulated") -> None:
    """Every key that was ever issued: scopes, by whom, until when, last used."""
    settings = configure(dataset, None)
    from shelfops_pipeline.services.keys import show

    show(settings)
