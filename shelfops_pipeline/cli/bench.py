"""`shelfops bench`: speed beside what a user would pick instead."""

from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(no_args_is_help=True, help="Measure speed beside what you would use instead.")


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


@bench.command("scale", epilog="Example: shelfops bench scale --data ~/data --series 3000 --only workers")
def bench_scale(
    data: Annotated[Path | None, typer.Option(help="Folder that holds m5/; without, data like it are made")] = None,
    only: Annotated[list[str] | None, typer.Option(help="workers or memory; may be repeated")] = None,
    series: Annotated[list[int] | None, typer.Option(min=10, help="Sizes; may be repeated")] = None,
    workers: Annotated[list[int] | None, typer.Option(min=1, help="Celery workers; may be repeated")] = None,
    rows: Annotated[list[int] | None, typer.Option(min=1000, help="Training rows, for memory; may be repeated")] = None,
) -> None:
    """Features and forecasts on Celery workers, and training rows from disk; one JSON object on stdout."""
    from shelfops_pipeline.services.commands import run_benchmark

    given = [] if data is None else ["--data", str(data)]
    given += ["--only", *only] if only else []
    given += ["--series", *map(str, series)] if series else []
    given += ["--workers", *map(str, workers)] if workers else []
    given += ["--rows", *map(str, rows)] if rows else []
    run_benchmark("scale", given)


@bench.command("api", epilog="Example: shelfops bench api --home .shelfops/simulated")
def bench_api(
    home: Annotated[
        Path | None, typer.Option(help="Home whose champion serves; without, a small one is trained")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="stored, what-if or bulk; may be repeated")] = None,
) -> None:
    """The API beside `mlflow models serve` and a bare FastAPI + ONNX route; one JSON object on stdout."""
    from shelfops_pipeline.services.commands import run_benchmark

    given = [] if home is None else ["--home", str(home)]
    run_benchmark("api", given + (["--only", *only] if only else []))
