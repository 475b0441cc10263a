"""What assets are given: the retailer's settings and data, and the warehouse. Both connect when used, not before."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pandas as pd
from sqlalchemy import Engine

from shelfops_pipeline.contracts.bundle import BACKTEST_FORECASTS, ChampionPointer
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import Source
from shelfops_pipeline.data.sources import current_source
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.defs.io_managers import io_managers
from shelfops_pipeline.lifecycle.publish import serving
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.training import TrainingPlan, plan_training
from shelfops_pipeline.monitoring.archive import Archive
from shelfops_pipeline.replenishment.correlation import backtest_correlation
from shelfops_pipeline.replenishment.demand import ERROR_CORRELATION
from shelfops_pipeline.replenishment.terms import Economics
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import migrate
from shelfops_pipeline.store.warehouse import open_warehouse
from shelfops_pipeline.tuning.result import read_tuning


class Retailer(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The one retailer of this deployment, as SHELFOPS_* variables describe it."""

    @property
    def settings(self) -> Settings:
        return Settings()

    @property
    def source(self) -> Source:
        return current_source(self.settings)

    @property
    def registry(self) -> Registry:
        return Registry.of(self.settings)

    @property
    def archive(self) -> Archive:
        """Forecasts as they were issued."""
        return Archive(artifact_root(self.settings), self.settings.issued_origins)

    @property
    def serving(self) -> ChampionPointer:
        """The release that serves. Raises PromotionError before there is one."""
        return serving(self.registry)

    @property
    def redis_url(self) -> str | None:
        """Where releases and alerts are announced; None: nowhere."""
        url = self.settings.redis_url
        return None if url is None else url.get_secret_value()

    @property
    def error_correlation(self) -> float:
        """Of the champion's errors in neighbouring periods, as its backtest has it; a usual one without a backtest."""
        path = self.settings.models / self.serving.version / BACKTEST_FORECASTS
        if not path.exists():
            return ERROR_CORRELATION
        return backtest_correlation(pd.read_parquet(path), self.source.grain.days)

    @property
    def economics(self) -> Economics:
        """What stock and orders cost this retailer."""
        return Economics(holding_rate=self.settings.holding_rate, order_cost=self.settings.order_cost)

    def plan(self, panel: Panel) -> TrainingPlan:
        """What to train on this panel; the same every time it is asked."""
        s = self.settings
        return plan_training(panel, s.horizon, s.tier, s.folds, s.seed, s.effort, read_tuning(s.tuning))

    def trains(self, panel: Panel, tier: Tier) -> bool:
        """Does the history allow this tier, and do the settings want it?"""
        return tier in self.plan(panel).recipes


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """PostgreSQL: SHELFOPS_DATABASE_URL, or the embedded server of the home, migrated to the current schema."""

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        settings = Settings()
        given = settings.database_url
        with open_warehouse(None if given is None else given.get_secret_value(), settings.root) as url:
            engine = open_engine(url)
            try:
                migrate(engine)
                yield engine
            finally:
                engine.dispose()


def resources() -> dict[str, object]:
    """By the names that assets ask for."""
    return {"retailer": Retailer(), "warehouse": Warehouse(), **io_managers()}
