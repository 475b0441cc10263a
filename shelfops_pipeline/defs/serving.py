"""What is served: model inputs and forecasts of every series in the warehouse."""

from typing import Any, Final

import dagster as dg
import pandas as pd
import pyarrow as pa

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.automation import CARRIED
from shelfops_pipeline.defs.partitions import ML_QUEUE, PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.shards import Sharded
from shelfops_pipeline.defs.types import PredictionInput
from shelfops_pipeline.evaluation.totals import totals_table
from shelfops_pipeline.explain.publish import publish_explanations
from shelfops_pipeline.lifecycle.publish import (
    champion_manifests,
    champion_models,
    publish_inputs,
    publish_table,
    publish_totals,
)
from shelfops_pipeline.models.bundle import read_calibration, read_manifest
from shelfops_pipeline.models.serve import (
    ServingInput,
    Shard,
    forecast_table,
    join_inputs,
    make_inputs,
    served,
    served_totals,
    serving_shards,
)
from shelfops_pipeline.models.total_intervals import TotalIntervals
from shelfops_pipeline.models.totals import Totals
from shelfops_pipeline.monitoring.issued import Role, issue
from shelfops_pipeline.store.tables import MODEL_VERSION

OWNERS = ["team:data-science"]


def _shards(retailer: Retailer, panel: Panel) -> list[Shard]:
    return serving_shards(panel, champion_manifests(retailer.registry), retailer.settings.shards)


def _make(retailer: Retailer, panel: Panel, number: int) -> list[ServingInput]:
    shard = _shards(retailer, panel)[number]
    return [make_inputs(panel, champion_models(retailer.registry, [shard.tier])[shard.tier], shard)]


def _totals(retailer: Retailer, panel: Panel) -> Totals | None:
    return served_totals(panel, champion_manifests(retailer.registry))


def _join(
    retailer: Retailer, warehouse: Warehouse, panel: Panel, parts: list[Any], totals: Totals | None
) -> dg.Output[Any]:
    inputs = join_inputs(panel, [part for made in parts for part in made], totals)
    with warehouse.engine() as engine:
        rows = publish_inputs(engine, retailer.registry, panel, inputs)
    return dg.Output(inputs, metadata={"dagster/row_count": rows, **{i.version: len(i.rows) for i in inputs}})


INPUTS: Final = Sharded(
    "online_features",
    {
        "group_name": "serving",
        "owners": OWNERS,
        "kinds": {"postgres"},
        "description": "What the champion needs to know of every series, through the prediction-input gate, for "
        "what-if in the API; and what its members expect of them.",
        "automation_condition": CARRIED,
    },
    lambda retailer, panel: len(_shards(retailer, panel)),
    _make,
    _join,
    "inputs",
    PredictionInput,
    beside={"totals": _totals},
    after="champion",
)
online_features = INPUTS.asset()


def keep_issued(retailer: Retailer, panel: Panel, table: pa.Table, role: Role) -> None:
    """Keep forecasts as they are issued from the panel's last period, for their scores."""
    models = retailer.settings.models
    versions = table.column(MODEL_VERSION).unique().to_pylist()
    known_until = {v: read_manifest(models / v).training_cutoff for v in versions}
    retailer.archive.write(issue(table, panel.last_observed, role, panel.grain, known_until))


@dg.asset(
    group_name="serving",
    owners=OWNERS,
    kinds={"postgres"},
    op_tags=ML_QUEUE,
    io_manager_key="frames",
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def demand_forecasts(
    retailer: Retailer, warehouse: Warehouse, panel: Panel, online_features: list[ServingInput]
) -> dg.MaterializeResult[pd.DataFrame]:
    """The champion's calibrated forecasts of every series, in the warehouse and as Parquet; names the release last."""
    metric, models = retailer.settings.metric, retailer.settings.models
    parts = [served(i, read_calibration(models / i.version), metric) for i in online_features]
    table = forecast_table(panel, parts, with_version=True)
    with warehouse.engine() as engine:
        release = publish_table(engine, retailer.registry, table, retailer.redis_url)
    keep_issued(retailer, panel, table, Role.CHAMPION)
    frame = table.to_pandas()
    facts = {"release": release, "from": str(frame[c.DATE].min()), "to": str(frame[c.DATE].max())}
    return dg.MaterializeResult(value=frame, metadata=facts | {"dagster/row_count": len(frame)})


@dg.asset(
    group_name="serving",
    owners=OWNERS,
    kinds={"shap", "postgres"},
    op_tags=ML_QUEUE,
    deps=["demand_forecasts"],
    automation_condition=CARRIED,
    pool=PANEL_POOL,
)
def forecast_explanations(
    retailer: Retailer, warehouse: Warehouse, panel: Panel, online_features: list[ServingInput]
) -> dg.MaterializeResult[None]:
    """Why each served forecast is what it is, in units and in plain words, for the API to answer with."""
    with warehouse.engine() as engine:
        told = publish_explanations(engine, retailer.settings.models, panel, online_features)
    facts: dict[str, Any] = {"release": told.release, "periods explained": told.periods, "for example": told.example}
    return dg.MaterializeResult(metadata=facts | {"dagster/row_count": told.rows})


@dg.asset(group_name="serving", owners=OWNERS, kinds={"postgres"}, automation_condition=CARRIED, pool=PANEL_POOL)
def forecast_totals(
    retailer: Retailer,
    warehouse: Warehouse,
    panel: Panel,
    demand_forecasts: pd.DataFrame,
    totals_calibration: dict[str, Any],
) -> dg.MaterializeResult[None]:
    """Expected demand of stores, of categories and of the whole retailer, with intervals of their own."""
    table = totals_table(panel, demand_forecasts, TotalIntervals.from_json(totals_calibration))
    with warehouse.engine() as engine:
        release, rows = publish_totals(engine, retailer.registry, table)
    groups = table.column(c.LEVEL).value_counts().to_pylist()
    facts = {f"rows by {g['values']}": g["counts"] for g in groups}
    return dg.MaterializeResult(metadata={"release": release, "dagster/row_count": rows, **facts})
