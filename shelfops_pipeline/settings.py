"""Every SHELFOPS_* variable of the pipeline: typed, documented, with its default."""

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shelfops_pipeline.contracts.columns import Metric

NEVER: Final = "never"
"""What a variable says whose setting shall be None, though its default is another: an empty one counts as unset."""


class Settings(BaseSettings):
    """One deployment serves one retailer; these settings say which, and where its things live."""

    model_config = SettingsConfigDict(
        env_prefix="SHELFOPS_", env_ignore_empty=True, env_parse_none_str=NEVER, frozen=True, populate_by_name=True
    )

    dataset: str = Field("simulated", description="Adapter name, or the path of a mapping YAML")
    data: Path | None = Field(None, description="Directory with the retailer's files; not needed for `simulated`")
    home: Path | None = Field(None, description="Where data, models and reports live; default .shelfops/<dataset>")
    artifacts: str | None = Field(
        None,
        description="Where assets are stored: a directory or an fsspec URL, s3://bucket/prefix; default home/artifacts",
    )
    database_url: SecretStr | None = Field(None, description="PostgreSQL warehouse; unset: an embedded server in home")
    compress_after_days: int | None = Field(
        90, ge=1, description="Age at which TimescaleDB compresses transactions and inventory, or `never`"
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        description="Age at which whole months of transactions and inventory are dropped; unset or `never`: never",
    )
    history_days: int | None = Field(
        365,
        ge=1,
        description="Age at which resolved alerts, settled orders and records of runs are deleted, above "
        "SHELFOPS_COUNT_DAYS, or `never`",
    )
    run_days: int | None = Field(
        90,
        ge=14,  # what starts trainings looks a week back for the last one
        description="Age at which Dagster's runs that ended are deleted, but those that made what is there, or `never`",
    )
    redis_url: SecretStr | None = Field(None, description="Redis for cache and pub/sub; unset: none")
    celery_broker_url: SecretStr | None = Field(
        None, description="Redis from which Celery workers take steps; unset: steps run where their run does"
    )
    horizon: int = Field(28, ge=1, le=400, description="Periods to forecast")
    metric: Metric = Field(Metric.MAE, description="The loss that the `point` column is optimal for")
    tier: str = Field("auto", pattern="^(auto|cold_start|production)$", description="Which tiers to train")
    start_date: date | None = Field(None, description="First partition; default: the adapter's first known date")
    folds: int = Field(3, ge=1, le=24, description="Rolling-origin backtest folds")
    seed: int = Field(7, description="Seed of every random choice")
    effort: float = Field(1.0, gt=0, le=4, description="Training size relative to the default; less is faster")
    lookback: int = Field(7, ge=0, description="Periods before the last one ingested that are read again for late rows")
    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="A larger share of bad rows fails the partition")
    issued_origins: int = Field(
        56, ge=2, description="Origins whose issued forecasts are kept, to be scored as demand comes in"
    )
    count_days: int = Field(
        14,
        ge=1,
        le=400,
        description="Age in days up to which a count of the stock holds, less what was sold since; an older one counts "
        "as unknown",
    )
    service_level: float = Field(0.95, gt=0.5, lt=1, description="Target probability of no stockout per order cycle")
    holding_rate: float = Field(
        0.25, ge=0, description="What holding stock costs a year, as a share of its cost: capital, space, shrinkage"
    )
    order_cost: float = Field(
        0.0, ge=0, description="What a line of an order costs whatever its quantity, in the currency of the items' cost"
    )
    shards: int = Field(
        1,
        ge=1,
        le=999,
        description="Parts that features and forecasts are made in, for as many workers to share; above 1, the folds "
        "of a backtest are shared too",
    )
    simulated_live: bool = Field(False, description="Let the simulated retailer trade one more day with every ingest")
    simulated_stores: int = Field(10, ge=1, description="Stores of the simulated retailer")
    simulated_items: int = Field(60, ge=1, description="Items of the simulated retailer")
    simulated_days: int = Field(730, ge=60, description="Days of history of the simulated retailer")
    simulated_shift: float = Field(
        1.0,
        gt=0,
        le=10,
        description="Demand of the simulated retailer from SHELFOPS_SIMULATED_SHIFT_FROM on, as a factor",
    )
    simulated_shift_from: date | None = Field(None, description="The first day of that shift in demand; unset: none")
    dagster_database_url: SecretStr | None = Field(
        None, description="Dagster's own storage; unset: beside the warehouse"
    )
    user: str | None = Field(
        None, description="Who changes the status of models, in the registry's history; unset: the system's user"
    )
    mlflow_tracking_uri: str | None = Field(
        None,
        validation_alias=AliasChoices("SHELFOPS_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="MLflow server; unset: `MLFLOW_TRACKING_URI`, else a database store in home",
    )
    git_commit: str | None = Field(
        None, description="Commit of the code, for the tracker, where there is no checkout (as in an image)"
    )
    tracking_seconds: float = Field(
        6, gt=0, description="Longest that a training waits for an MLflow server; what it lacks then is replayed later"
    )

    @field_validator("count_days")
    @classmethod
    def _history_is_longer(cls, days: int, info: ValidationInfo) -> int:
        """Accepted orders are there for as long as they may count as on order."""
        kept = info.data.get("history_days")
        if kept is not None and kept <= days:
            raise ValueError(f"must be below SHELFOPS_HISTORY_DAYS: accepted orders are deleted after {kept} days")
        return days

    @cached_property
    def root(self) -> Path:
        """SHELFOPS_HOME as an absolute path."""
        name = Path(self.dataset).stem
        return (self.home or Path(".shelfops") / name).absolute()

    @property
    def models(self) -> Path:
        """Model versions, registry.json and champion.json."""
        return self.root / "models"

    @property
    def tuning(self) -> Path:
        """Studies of `shelfops tune`, and what they found."""
        return self.root / "tuning"

    @property
    def reports(self) -> Path:
        """Charts, cards and run reports."""
        return self.root / "reports"
