"""Options that several commands take, and how they become settings."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfops_pipeline.errors import ShelfOpsError

if TYPE_CHECKING:
    from shelfops_pipeline.settings import Settings

Dataset = Annotated[
    str,
    typer.Option(
        "--dataset",
        help="favorita, rossmann, m5, online_retail, simulated, or MAPPING.yaml (see onboard)",
        envvar="SHELFOPS_DATASET",
    ),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Directory with the data set's files", envvar="SHELFOPS_DATA")
]
Horizon = Annotated[
    int, typer.Option("--horizon", min=1, max=400, help="Periods to forecast", envvar="SHELFOPS_HORIZON")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random choice", envvar="SHELFOPS_SEED")]
TierOption = Annotated[str, typer.Option("--tier", help="auto, cold_start or production", envvar="SHELFOPS_TIER")]
MetricOption = Annotated[
    str,
    typer.Option("--metric", help="What `point` is optimal for: mae, rmse, rmsle or rmspe", envvar="SHELFOPS_METRIC"),
]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Train on rows up to this day; default: the last"),
]


def configure(dataset: str, data: Path | None, **flags: object) -> "Settings":
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
