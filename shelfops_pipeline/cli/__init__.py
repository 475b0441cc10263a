"""The `shelfops` command. Everything heavy is imported inside the command that needs it, so that --help is instant."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from shelfops_pipeline.cli.bench import bench
from shelfops_pipeline.cli.flags import flags
from shelfops_pipeline.cli.keys import keys
from shelfops_pipeline.cli.models import models
from shelfops_pipeline.cli.operations import backup, doctor, migrate, restore
from shelfops_pipeline.cli.options import AsOf, Data, Dataset, Horizon, MetricOption, Seed, TierOption, configure
from shelfops_pipeline.cli.orders import orders
from shelfops_pipeline.cli.policy import simulate_policy
from shelfops_pipeline.cli.quarantine import quarantine
from shelfops_pipeline.errors import ShelfOpsError

_STOPPED: Final = 130
"""Typer's exit status after Ctrl-C."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Forecast demand, say how sure it is, and what to reorder.",
    epilog="Start with [bold]shelfops demo[/bold], then look at it with [bold]shelfops up[/bold].",
)
app.add_typer(models, name="models")
app.add_typer(quarantine, name="quarantine")
app.add_typer(orders, name="orders")
app.add_typer(flags, name="flags")
app.add_typer(keys, name="keys")
app.add_typer(bench, name="bench")
app.command(epilog="Example: shelfops backup /backups/2026-03-01 --dataset rossmann")(backup)
app.command(epilog="Example: SHELFOPS_HOME=/srv/new shelfops restore /backups/2026-03-01 --dataset rossmann")(restore)
app.command(epilog="Examples: shelfops migrate    ·    shelfops migrate --to 0008")(migrate)
app.command(epilog="Examples: shelfops doctor    ·    shelfops doctor --json")(doctor)
app.command("simulate-policy", epilog="Example: shelfops simulate-policy --seeds 3 --out policy.json")(simulate_policy)


@app.command(epilog="Example: shelfops demo --stores 4 --items 30")
def demo(
    stores: Annotated[int, typer.Option(min=1, help="Simulated stores", envvar="SHELFOPS_SIMULATED_STORES")] = 10,
    items: Annotated[int, typer.Option(min=1, help="Simulated items", envvar="SHELFOPS_SIMULATED_ITEMS")] = 60,
    days: Annotated[
        int, typer.Option(min=120, help="Simulated days of history", envvar="SHELFOPS_SIMULATED_DAYS")
    ] = 730,
    effort: Annotated[
        float,
        typer.Option(
            help="Training size; 1 is that of `train`: a first look is not to take long", envvar="SHELFOPS_EFFORT"
        ),
    ] = 0.3,
    seed: Seed = 7,
) -> None:
    """Simulate a retailer, run the whole graph on it, and show what came out."""
    size = {"simulated_stores": stores, "simulated_items": items, "simulated_days": days}
    settings = configure("simulated", None, seed=seed, effort=effort, **size)
    from shelfops_pipeline.services.demo import run_demo

    run_demo(settings)


@app.command()
def up(
    dataset: Dataset = "simulated",
    data: Data = None,
    dagster_port: Annotated[int, typer.Option(help="Dagster UI")] = 3000,
    api_port: Annotated[int, typer.Option(help="Prediction API")] = 8000,
    mlflow_port: Annotated[int, typer.Option(help="MLflow UI")] = 5000,
    workers: Annotated[bool, typer.Option("--workers", help="With Celery workers, as on a server")] = False,
) -> None:
    """Dagster UI and daemon, MLflow and the API on embedded services. Ctrl-C stops them all."""
    settings = configure(dataset, data)
    from shelfops_pipeline.services.stack import Ports
    from shelfops_pipeline.services.up import run_up

    raise typer.Exit(run_up(settings, Ports(dagster_port, api_port, mlflow_port), workers=workers))


@app.command(
    epilog="Examples: shelfops onboard ~/data/our_shops --country AT    ·    "
    "shelfops onboard --check our_shops.yaml --data ~/data/our_shops"
)
def onboard(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Directory of CSV or Parquet files")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="YAML to write; default: DIR's name, here")] = None,
    check: Annotated[Path | None, typer.Option("--check", help="A mapping to validate instead")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="With --check: its files; default: beside it")] = None,
    country: Annotated[str | None, typer.Option(help="Whose public holidays count, such as AT")] = None,
    region: Annotated[str | None, typer.Option(help="Of that country, such as 9 (Vienna)")] = None,
    sales: Annotated[str | None, typer.Option(help="The file that holds the sales, where it cannot be told")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over --out")] = False,
) -> None:
    """Look at a retailer's own files, propose the mapping that reads them, and write it. No code needed."""
    if (folder is None) == (check is None):
        raise ShelfOpsError("say what to look at: `shelfops onboard DIR`, or `shelfops onboard --check MAPPING.yaml`")
    if region is not None and country is None:
        raise ShelfOpsError("--region needs --country")
    from shelfops_pipeline.services.onboard import run_check, run_onboard

    if check is not None:
        run_check(check, data, configure(str(check), data))
    elif folder is not None:
        run_onboard(folder.expanduser(), out, force, country, region, sales)


@app.command(epilog="Example: shelfops ingest --dataset online_retail --data ~/data/online_retail")
def ingest(
    dataset: Dataset,
    data: Data = None,
    everything: Annotated[bool, typer.Option("--full", help="Read all again, not only what changed")] = False,
) -> None:
    """Read what changed, validate it row by row, and store it; bad rows go to the quarantine."""
    settings = configure(dataset, data)
    from shelfops_pipeline.services.ingest import run_ingest

    run_ingest(settings, everything)


@app.command(epilog="Example: shelfops train --dataset rossmann --data ~/data/rossmann --horizon 42")
def train(dataset: Dataset, horizon: Horizon, data: Data = None, tier: TierOption = "auto", seed: Seed = 7) -> None:
    """Run the whole graph on a data set: train, backtest, explain, register a candidate, and run the gate."""
    settings = configure(dataset, data, horizon=horizon, tier=tier, seed=seed)
    from shelfops_pipeline.services.commands import run_train

    run_train(settings)


@app.command(epilog="Example: shelfops forecast --dataset m5 --data ~/data/m5 --horizon 28 --out m5.parquet")
def forecast(
    dataset: Dataset,
    horizon: Horizon,
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write")],
    data: Data = None,
    as_of: AsOf = None,
    metric: MetricOption = "mae",
    tier: TierOption = "auto",
    seed: Seed = 7,
) -> None:
    """Train on a data set and write one row per series and future period. Registers and promotes nothing."""
    settings = configure(dataset, data, horizon=horizon, metric=metric, tier=tier, seed=seed)
    from shelfops_pipeline.services.commands import run_forecast

    run_forecast(settings, out, None if as_of is None else as_of.date())


@app.command(
    epilog="Example: shelfops backtest --dataset favorita --data ~/data/favorita --horizon 16 --folds 3 --out bt"
)
def backtest(
    dataset: Dataset,
    horizon: Horizon,
    out: Annotated[
        Path, typer.Option("--out", help="Directory to write forecasts.parquet, metrics.parquet and charts to")
    ],
    data: Data = None,
    folds: Annotated[int, typer.Option(min=1, max=24, help="Rolling origins", envvar="SHELFOPS_FOLDS")] = 3,
    metric: MetricOption = "mae",
    tier: TierOption = "auto",
    seed: Seed = 7,
) -> None:
    """Score every model and baseline on rolling origins: overall, by fold, horizon, demand class, store and category.

    Registers and promotes nothing.
    """
    settings = configure(dataset, data, horizon=horizon, folds=folds, metric=metric, tier=tier, seed=seed)
    from shelfops_pipeline.services.backtest import run_backtest_command

    run_backtest_command(settings, out)


@app.command(epilog="Example: shelfops tune --dataset rossmann --data ~/data/rossmann --horizon 42 --minutes 30")
def tune(
    dataset: Dataset,
    horizon: Horizon,
    data: Data = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for the search; a trial that runs is finished")] = 30,
    trials: Annotated[int | None, typer.Option(min=1, help="At most so many new trials per tier and model")] = None,
    tier: TierOption = "auto",
    which: Annotated[str, typer.Option("--models", help="xgboost, lstm or both")] = "xgboost",
    folds: Annotated[
        int | None, typer.Option(min=1, max=24, help="Folds that will be scored: tuning stays before them")
    ] = None,
    as_of: AsOf = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew instead of going on")] = False,
    seed: Seed = 7,
) -> None:
    """Search better parameters on windows before the scored folds; the next training uses them. Goes on if repeated."""
    scored = {} if folds is None else {"folds": folds}
    settings = configure(dataset, data, horizon=horizon, tier=tier, seed=seed, **scored)
    from shelfops_pipeline.services.tune import TuneRequest, run_tune

    run_tune(settings, TuneRequest(minutes, trials, which, fresh, None if as_of is None else as_of.date()))


def main() -> None:
    """The console script: a user's mistake is one line on stderr; --debug or SHELFOPS_DEBUG=1 shows the traceback."""
    debug = "--debug" in sys.argv or os.environ.get("SHELFOPS_DEBUG") == "1"
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(arguments)
    except ShelfOpsError as error:
        _fail(error, debug)
    except SystemExit as ended:
        if ended.code == _STOPPED:
            typer.secho("stopped", err=True)
        raise


def _fail(error: Exception, debug: bool) -> NoReturn:
    if debug:
        raise error
    typer.secho(f"shelfops: {error}", err=True, fg=typer.colors.RED)
    sys.exit(1)
