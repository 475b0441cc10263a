"""The `shelfops` command. Everything heavy is imported inside the command that needs it, so that --help is instant."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from shelfops_pipeline.errors import ShelfOpsError

if TYPE_CHECKING:
    from shelfops_pipeline.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Forecast demand, say how sure it is, and what to reorder.",
    epilog="Start with [bold]shelfops demo[/bold], then look at it with [bold]shelfops up[/bold].",
)
models = typer.Typer(no_args_is_help=True, help="Model versions: list, show, promote.")
bench = typer.Typer(no_args_is_help=True, help="Measure speed beside what you would use instead.")
quarantine = typer.Typer(no_args_is_help=True, help="Rows that were refused: show them, release them.")
app.add_typer(models, name="models")
app.add_typer(quarantine, name="quarantine")
app.add_typer(bench, name="bench")

_DEMO_EFFORT = 0.3  # of the default training size: a first look should not take long

Dataset = Annotated[
    str,
    typer.Option(
        "--dataset",
        help="favorita, rossmann, m5, online_retail, simulated, or MAPPING.yaml (see onboard)",
        envvar="SHELFOPS_DATASET",
    ),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Directory with the data set's official files", envvar="SHELFOPS_DATA")
]
Horizon = Annotated[int, typer.Option("--horizon", min=1, max=400, help="Periods to forecast")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random choice", envvar="SHELFOPS_SEED")]
TierOption = Annotated[str, typer.Option("--tier", help="auto, cold_start or production")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Train on rows up to this day; default: the last"),
]


@app.command(epilog="Example: shelfops demo --stores 4 --items 30")
def demo(
    stores: Annotated[int, typer.Option(min=1, help="Simulated stores")] = 10,
    items: Annotated[int, typer.Option(min=1, help="Simulated items")] = 60,
    days: Annotated[int, typer.Option(min=120, help="Simulated days of history")] = 730,
    seed: Seed = 7,
) -> None:
    """Simulate a retailer, run the whole graph on it, and show what came out."""
    size = {"simulated_stores": stores, "simulated_items": items, "simulated_days": days}
    settings = _configure("simulated", None, seed=seed, effort=_DEMO_EFFORT, **size)
    from shelfops_pipeline.services.demo import run_demo

    run_demo(settings)


@app.command()
def up(
    dataset: Dataset = "simulated",
    data: Data = None,
    dagster_port: Annotated[int, typer.Option(help="Dagster UI")] = 3000,
    api_port: Annotated[int, typer.Option(help="Prediction API")] = 8000,
    mlflow_port: Annotated[int, typer.Option(help="MLflow UI")] = 5000,
) -> None:
    """Dagster UI and daemon, MLflow and the API on embedded services. Ctrl-C stops them all."""
    settings = _configure(dataset, data)
    from shelfops_pipeline.services.stack import Ports
    from shelfops_pipeline.services.up import run_up

    raise typer.Exit(run_up(settings, Ports(dagster_port, api_port, mlflow_port)))


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
        run_check(check, data, _configure(str(check), data))
    elif folder is not None:
        run_onboard(folder.expanduser(), out, force, country, region, sales)


@app.command(epilog="Example: shelfops ingest --dataset online_retail --data ~/data/online_retail")
def ingest(
    dataset: Dataset,
    data: Data = None,
    everything: Annotated[bool, typer.Option("--full", help="Read all again, not only what changed")] = False,
) -> None:
    """Read what changed, validate it row by row, and store it; bad rows go to the quarantine."""
    settings = _configure(dataset, data)
    from shelfops_pipeline.services.ingest import run_ingest

    run_ingest(settings, everything)


@app.command(epilog="Example: shelfops train --dataset rossmann --data ~/data/rossmann --horizon 42")
def train(dataset: Dataset, horizon: Horizon, data: Data = None, tier: TierOption = "auto", seed: Seed = 7) -> None:
    """Run the whole graph on a data set: train, backtest, explain, register a candidate, and run the gate."""
    settings = _configure(dataset, data, horizon=horizon, tier=tier, seed=seed)
    from shelfops_pipeline.services.commands import run_train

    run_train(settings)


@app.command(epilog="Example: shelfops forecast --dataset m5 --data ~/data/m5 --horizon 28 --out m5.parquet")
def forecast(
    dataset: Dataset,
    horizon: Horizon,
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write")],
    data: Data = None,
    as_of: AsOf = None,
    metric: Annotated[str, typer.Option(help="What `point` is optimal for: mae, rmse, rmsle or rmspe")] = "mae",
    tier: TierOption = "auto",
    seed: Seed = 7,
) -> None:
    """Train on a data set and write one row per series and future period. Registers and promotes nothing."""
    settings = _configure(dataset, data, horizon=horizon, metric=metric, tier=tier, seed=seed)
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
    folds: Annotated[int, typer.Option(min=1, max=24, help="Rolling origins")] = 3,
    metric: Annotated[str, typer.Option(help="What `point` is optimal for: mae, rmse, rmsle or rmspe")] = "mae",
    tier: TierOption = "auto",
    seed: Seed = 7,
) -> None:
    """Score every model and baseline on rolling origins: overall, by fold, horizon, demand class, store and category.

    Registers and promotes nothing.
    """
    settings = _configure(dataset, data, horizon=horizon, folds=folds, metric=metric, tier=tier, seed=seed)
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
    settings = _configure(dataset, data, horizon=horizon, tier=tier, seed=seed, **scored)
    from shelfops_pipeline.services.tune import TuneRequest, run_tune

    run_tune(settings, TuneRequest(minutes, trials, which, fresh, None if as_of is None else as_of.date()))


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
    settings = _configure(dataset, data)
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
    settings = _configure(dataset, data)
    from shelfops_pipeline.services.ingest import release_rows

    release_rows(settings, fingerprints or [], reason, note)


@models.command("list")
def models_list(dataset: Dataset = "simulated") -> None:
    """Every version of a retailer, with its status."""
    from shelfops_pipeline.services.commands import list_models

    list_models(_configure(dataset, None))


@models.command("show")
def models_show(version: str, dataset: Dataset = "simulated") -> None:
    """One version: manifest, metrics, files checked against their checksums."""
    from shelfops_pipeline.services.commands import show_model

    show_model(_configure(dataset, None), version)


@models.command("promote")
def models_promote(
    version: str,
    dataset: Dataset = "simulated",
    reason: Annotated[str, typer.Option(help="Recorded in the registry")] = "promoted by hand",
) -> None:
    """Make a version the champion by hand; the old one is archived, never deleted."""
    from shelfops_pipeline.services.commands import promote_model

    promote_model(_configure(dataset, None), version, reason)


@app.command()
def doctor(dataset: Dataset = "simulated") -> None:
    """What is reachable, what is missing, and how to get it."""
    from shelfops_pipeline.services.commands import show_doctor

    show_doctor(_configure(dataset, None))


@bench.command("features")
def bench_features(
    series: Annotated[int, typer.Option(min=10, help="Series")] = 30_490,
    days: Annotated[int, typer.Option(min=60, help="Days of history")] = 1_941,
) -> None:
    """Lags and rolling statistics beside pandas and mlforecast; one JSON object on stdout."""
    from shelfops_pipeline.services.commands import run_benchmark

    run_benchmark("features", ["--series", str(series), "--days", str(days)])


@bench.command("ingest")
def bench_ingest(
    series: Annotated[int, typer.Option(min=10, help="Series")] = 30_490,
    days: Annotated[int, typer.Option(min=28, help="Days of history")] = 152,
    data: Annotated[Path | None, typer.Option(help="The real M5 files; without, files like them are made")] = None,
) -> None:
    """Read, validate, store and load M5 beside plain pandas; one JSON object on stdout."""
    from shelfops_pipeline.services.commands import run_benchmark

    given = [] if data is None else ["--data", str(data)]
    run_benchmark("ingest", ["--series", str(series), "--days", str(days), *given])


@bench.command("train", epilog="Example: shelfops bench train --data ~/data --only xgboost")
def bench_train(
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds rossmann/ and m5/; without, data like them are made")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="xgboost, forecast or scaling; may be repeated")] = None,
    series: Annotated[list[int] | None, typer.Option(min=10, help="Sizes for scaling; may be repeated")] = None,
) -> None:
    """XGBoost beside mlforecast + LightGBM, the default forecast, and its growth; one JSON object on stdout."""
    from shelfops_pipeline.services.commands import run_benchmark

    given = [] if data is None else ["--data", str(data)]
    given += ["--only", *only] if only else []
    given += ["--series", *map(str, series)] if series else []
    run_benchmark("train", given)


def main() -> None:
    """The console script: a user's mistake is one line on stderr; --debug or SHELFOPS_DEBUG=1 shows the traceback."""
    debug = "--debug" in sys.argv or os.environ.get("SHELFOPS_DEBUG") == "1"
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(arguments)
    except ShelfOpsError as error:
        _fail(error, debug)
    except KeyboardInterrupt:
        typer.secho("stopped", err=True)
        sys.exit(130)


def _fail(error: Exception, debug: bool) -> NoReturn:
    if debug:
        raise error
    typer.secho(f"shelfops: {error}", err=True, fg=typer.colors.RED)
    sys.exit(1)


def _configure(dataset: str, data: Path | None, **flags: object) -> "Settings":
    """Settings from flags over the environment; the flags are put there too, where assets will look for them."""
    from pydantic import ValidationError

    from shelfops_pipeline.settings import Settings

    flags |= {"dataset": dataset}
    if data is not None:
        flags["data"] = data.expanduser().absolute()
    os.environ |= {f"SHELFOPS_{name.upper()}": str(value) for name, value in flags.items()}
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ShelfOpsError(f"--{name.replace('_', '-')} (SHELFOPS_{name.upper()}): {first['msg']}") from None
    os.environ["SHELFOPS_HOME"] = str(settings.root)
    return settings
