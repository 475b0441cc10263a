"""`shelfops flags`: what people know of items and no sale tells."""

from typing import Annotated

import typer

from shelfops_pipeline.cli.options import Dataset, configure

flags = typer.Typer(
    no_args_is_help=True, help="Discontinued items, and new ones that will sell like another. See docs/orders.md."
)

Store = Annotated[str | None, typer.Option("--store", help="One store; default: every store")]
Note = Annotated[str, typer.Option(help="Why; kept on record with your name and the time")]


@flags.command(
    "set", epilog="Examples: shelfops flags set I0042 --discontinued    ·    shelfops flags set I0099 --like I0042"
)
def flags_set(
    item: str,
    dataset: Dataset = "simulated",
    store: Store = None,
    discontinued: Annotated[
        bool | None, typer.Option("--discontinued/--continued", help="Order no more of it, or again")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="An item that it will sell like until it has a past of its own")
    ] = None,
    note: Note = "",
) -> None:
    """Say something of an item; what is left out stays as it was said before."""
    from shelfops_pipeline.services.flags import set_flag

    set_flag(configure(dataset, None), item, store, discontinued, like, note)


@flags.command("clear", epilog="Example: shelfops flags clear I0042")
def flags_clear(item: str, dataset: Dataset = "simulated", store: Store = None, note: Note = "") -> None:
    """Take back what was said of an item."""
    from shelfops_pipeline.services.flags import clear_flag

    clear_flag(configure(dataset, None), item, store, note)


@flags.command("list", epilog="Examples: shelfops flags list    ·    shelfops flags list --history --item I0042")
def flags_list(
    dataset: Dataset = "simulated",
    item: Annotated[str | None, typer.Option(help="One item; default: all")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="The latest 200 changes instead: who said what, when, and why")
    ] = False,
) -> None:
    """Every flag that is set, or what was said and taken back."""
    from shelfops_pipeline.services.flags import list_flags, show_history

    (show_history if history else list_flags)(configure(dataset, None), item)
