"""Publish a release: its model inputs, its forecasts, and last of all its name, from which readers start."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import PromotionError
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import verify
from shelfops_pipeline.models.serve import ServingInput
from shelfops_pipeline.replenishment.alerts import stock_alerts
from shelfops_pipeline.replenishment.reorder import Demand, Stock, Terms, plan_orders
from shelfops_pipeline.store import totals, writes
from shelfops_pipeline.store.alert_sync import sync_alerts
from shelfops_pipeline.store.tables import MODEL_VERSION, PAYLOAD

_KEEP_RELEASES = 2


def champion_models(registry: Registry) -> dict[Tier, ServedModel]:
    """The serving versions, checksums verified. Raises PromotionError when nothing serves yet."""
    tiers = {verify(registry.models / version).tier: version for version in _pointer(registry).versions}
    return {tier: ServedModel.load_native(registry.models / version) for tier, version in tiers.items()}


def publish_inputs(engine: Engine, registry: Registry, panel: Panel, inputs: list[ServingInput]) -> int:
    """Write the inputs of every series to `online_features`; returns the number of series."""
    release, rows = _pointer(registry).release, 0
    for part in inputs:
        columns: dict[str, Any] = {
            c.STORE_ID: panel.store_ids[part.rows],
            c.ITEM_ID: panel.item_ids[part.rows],
            MODEL_VERSION: part.version,
            c.ORIGIN: np.repeat(part.state.origin.astype("datetime64[D]"), len(part.rows)),
            PAYLOAD: part.state.pack(),
        }
        rows += writes.publish_online_features(engine, release, columns)
    return rows


def publish_table(engine: Engine, registry: Registry, table: pa.Table) -> str:
    """Write the forecasts, then name the release; older releases but one are deleted. Returns the release."""
    pointer = _pointer(registry)
    writes.publish_forecasts(engine, pointer.release, _columns(table))
    writes.publish_release(
        engine,
        pointer.release,
        champion_version=pointer.version,
        cold_start_version=None if pointer.cold_start is None else pointer.cold_start.version,
        dataset=pointer.dataset,
        manifest=pointer.model_dump(mode="json"),
    )
    writes.prune_releases(engine, pointer.dataset, keep=_KEEP_RELEASES)
    return pointer.release


def publish_totals(engine: Engine, registry: Registry, table: pa.Table) -> tuple[str, int]:
    """Write the totals of the release's forecasts; returns the release and the number of rows."""
    release = _pointer(registry).release
    return release, totals.publish_totals(engine, release, _columns(table))


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table.column(name).to_numpy() for name in table.column_names}


def publish_alerts(
    engine: Engine,
    registry: Registry,
    forecasts: pd.DataFrame,
    inventory: pd.DataFrame,
    service_level: float,
    period_days: int,
) -> dict[str, int]:
    """Make the alerts of the latest stock and forecasts the release's alerts; returns counts by kind.

    `inventory` holds the snapshots of the last period. Stock is reviewed once a period, when there is a new forecast.
    """
    ordered = forecasts.sort_values([c.STORE_ID, c.ITEM_ID, c.DATE])
    keys = ordered[[c.STORE_ID, c.ITEM_ID]].drop_duplicates().reset_index(drop=True)
    shape = (len(keys), len(ordered) // len(keys))
    quantiles = ordered[list(c.QUANTILE_COLUMNS)].to_numpy(np.float32).reshape(*shape, -1)
    demand = Demand(ordered[c.MEAN].to_numpy(np.float32).reshape(shape), quantiles)
    stock = _latest_stock(inventory, keys)
    today = pd.Timestamp(ordered[c.DATE].min()).date()
    plan = plan_orders(
        demand, stock, Terms.unknown(len(keys)), service_level=service_level, today=today, period_days=period_days
    )
    stores, items = keys[c.STORE_ID].to_numpy(np.str_), keys[c.ITEM_ID].to_numpy(np.str_)
    alerts = stock_alerts(stores, items, stock, plan, service_level)
    pointer = _pointer(registry)
    sync_alerts(engine, pointer.dataset, pointer.release, alerts, at=datetime.now(UTC))
    return dict(Counter(a.kind for a in alerts))


def _latest_stock(inventory: pd.DataFrame, keys: pd.DataFrame) -> Stock:
    """The last count of each series, in the order of `keys`; NaN where a series has none. Within a week, stores may
    count on different days."""
    ids = [c.STORE_ID, c.ITEM_ID]
    counted = inventory[inventory[c.ON_HAND].notna()].astype(dict.fromkeys(ids, str))
    latest = counted.sort_values(c.DATE, kind="stable", na_position="first").drop_duplicates(ids, keep="last")
    joined = keys.astype(str).merge(latest, how="left", on=ids)
    names = (c.ON_HAND, c.ON_ORDER, c.LEAD_TIME_DAYS, c.LEAD_TIME_SD)
    unknown = np.full(len(keys), np.nan)
    return Stock(*(joined[n].to_numpy(np.float64) if n in joined else unknown for n in names))


def _pointer(registry: Registry) -> ChampionPointer:
    pointer = registry.champion()
    if pointer is None:
        raise PromotionError(
            "no champion to publish: no candidate has beaten the baselines yet; see `shelfops models list`"
        )
    return pointer
