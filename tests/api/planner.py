"""A retailer with everything that the planner's page shows, in a warehouse of its own, behind a server with Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, QUANTITY, REASON, STORE_ID, TS, UNIT_PRICE, TotalLevel
from shelfops_pipeline.contracts.messages import alerts_channel
from shelfops_pipeline.contracts.replenishment import AlertKind, AlertSeverity
from shelfops_pipeline.evaluation.totals import totals_table
from shelfops_pipeline.models.total_intervals import LevelIntervals, TotalIntervals
from shelfops_pipeline.store import tables, writes
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.alerts import alert_message
from shelfops_pipeline.store.bus import announce
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.replenishment_records import Alert
from shelfops_pipeline.store.replenishment_tables import DELIVERY_DATE, ORDER_DATE, UNIT_COST
from shelfops_pipeline.store.tables import MODEL_VERSION, PERIOD, SUPPLIER_ID
from shelfops_pipeline.store.totals import publish_totals
from shelfops_pipeline.store.transactions import replace_periods
from tests.api.support import (
    CHAMPION,
    DATASET,
    HORIZON,
    Retailer,
    api_settings,
    forecast_columns,
    pointer,
    publish,
    served,
)

HOSTILE = '<img src=x onerror="document.title=1">'
MILK = Alert("S0", "milk", AlertKind.STOCKOUT_RISK, AlertSeverity.HIGH, "Stock of 3 lasts a day; order 48 today.")
EGGS = Alert("S1", "eggs", AlertKind.OVERSTOCK, AlertSeverity.LOW, "120 units are two months of demand.")
XSS = Alert("S1", HOSTILE, AlertKind.PHANTOM_STOCK, AlertSeverity.MEDIUM, f"Nothing sold for 9 days. {HOSTILE}")


@dataclass(frozen=True)
class Planner:
    """The page's address, and what happens behind it."""

    url: str
    client: httpx.Client
    engine: Engine
    redis_url: str
    day: date

    def propose(self, factor: float = 1) -> None:
        """Two orders of one day: one of the dairy, one of a supplier nobody knows."""
        _propose(self.engine, self.day, factor)

    def raise_alerts(self, *alerts: Alert) -> None:
        """As the graph does it: written, then announced."""
        happened = sync_alerts(self.engine, DATASET, pointer().release, alerts, at=datetime.now(UTC))
        announce(self.redis_url, alerts_channel(DATASET), [alert_message(event, alert) for event, alert in happened])


@contextmanager
def planner_of(retailer: Retailer, database_url: str, redis_url: str, **settings: Any) -> Iterator[Planner]:
    """Everything published, and served."""
    engine = open_engine(database_url)
    try:
        publish(engine, retailer, CHAMPION)
        _publish_totals(engine, retailer)
        _publish_reasons(engine, retailer)
        _publish_sales(engine, retailer)
        home: Path = retailer.models.parent
        with served(api_settings(home, database_url, redis_url=redis_url, **settings)) as client:
            day = retailer.panel.last_observed + timedelta(days=1)
            planner = Planner(str(client.base_url), client, engine, redis_url, day)
            planner.propose()
            planner.raise_alerts(MILK)
            yield planner
    finally:
        engine.dispose()


def _publish_totals(engine: Engine, retailer: Retailer) -> None:
    errors = LevelIntervals(0.05, np.array([[0.7, 1.7], [0.8, 2.0]]))
    intervals = TotalIntervals((7, HORIZON), dict.fromkeys(TotalLevel, errors))
    table = totals_table(retailer.panel, pd.DataFrame(forecast_columns(retailer)), intervals)
    publish_totals(engine, pointer().release, {name: table.column(name).to_numpy() for name in table.column_names})


def _publish_reasons(engine: Engine, retailer: Retailer) -> None:
    first = retailer.panel.last_observed + timedelta(days=1)
    reasons = [
        {"theme": "promo", "units": 6.5, "words": "because of the promotion"},
        {"theme": "weekday", "units": -2.0, "words": "because of the weekday"},
    ]
    columns: dict[str, Any] = {
        STORE_ID: ["S0", "S0"],
        ITEM_ID: ["milk", "milk"],
        DATE: np.array([first, first], "datetime64[D]"),
        tables.PERIODS: np.array([2, 1], np.int32),
        MODEL_VERSION: CHAMPION,
        tables.MEMBER: "xgboost",
        tables.START: [10.0, 5.0],
        tables.PREDICTION: [14.5, 9.5],
        tables.SENTENCE: ["Expected 14.5 units: promotion (+6.5)."] * 2,
        tables.REASONS: [reasons, reasons],
    }
    writes.publish_explanations(engine, pointer().release, columns)


def _publish_sales(engine: Engine, retailer: Retailer) -> None:
    """The panel's demand of one series as receipts."""
    row, panel = retailer.keys.index(("S0", "milk")), retailer.panel
    days = panel.dates[: panel.n_observed].astype("datetime64[D]")
    demand = np.nan_to_num(panel.demand[row, : panel.n_observed])
    sold = {
        PERIOD: days,
        TS: days.astype("datetime64[ns]"),
        STORE_ID: pa.array(["S0"] * len(days)).dictionary_encode(),
        ITEM_ID: pa.array(["milk"] * len(days)).dictionary_encode(),
        QUANTITY: demand.astype(np.float64),
        UNIT_PRICE: np.full(len(days), 1.99),
    }
    replace_periods(engine, DATASET, days.tolist(), [pa.table(sold)])


def _propose(engine: Engine, day: date, factor: float) -> None:
    n = 3
    columns: dict[str, Any] = {
        STORE_ID: ["S0", "S1", "S2"],
        ITEM_ID: ["milk", "milk", "eggs"],
        SUPPLIER_ID: ["Dairy & Co", "Dairy & Co", None],
        ORDER_DATE: np.array([day] * n, "datetime64[D]"),
        DELIVERY_DATE: np.array([day + timedelta(days=2)] * n, "datetime64[D]"),
        QUANTITY: [48.0 * factor, 24.0 * factor, 60.0 * factor],
        UNIT_COST: [0.8, 0.8, np.nan],
        REASON: ["case_pack", "below_reorder_point", "minimum_order"],
    }
    propose_orders(engine, DATASET, pointer().release, pa.table(columns), today=day)
