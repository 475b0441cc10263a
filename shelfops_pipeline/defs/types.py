"""Dagster types made from the Pandera models: what the UI shows of a gate, and a check on every value that passes."""

from typing import Any, Final

import dagster as dg
from dagster_pandera import pandera_schema_to_dagster_type

from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.evaluation.backtest import Backtest
from shelfops_pipeline.features.create import FeatureRows
from shelfops_pipeline.schemas.features import ColdStartFeaturesSchema, ProductionFeaturesSchema
from shelfops_pipeline.schemas.prediction import PredictionInputSchema
from shelfops_pipeline.schemas.transactions import RawTransactionSchema, TrainingDataSchema


def _of(schema: Any, expected: tuple[type, ...], name: str) -> dg.DagsterType:
    """A type for values that are arrays, or lie in files, rather than frames: it shows the schema, which the domain's
    gate applies block by block, to a bounded frame or, as ranges, to every row."""
    base = pandera_schema_to_dagster_type(schema)

    def check(_: dg.TypeCheckContext, value: object) -> bool:
        return isinstance(value, expected)

    return dg.DagsterType(check, name=name, description=base.description, metadata=base.metadata)


RawTransactions: Final = _of(RawTransactionSchema, (Partitions,), "RawTransactions")
TrainingData: Final = pandera_schema_to_dagster_type(TrainingDataSchema)
ColdStartFeatures: Final = _of(ColdStartFeaturesSchema, (FeatureRows, type(None)), "ColdStartFeatures")
ProductionFeatures: Final = _of(ProductionFeaturesSchema, (FeatureRows, type(None)), "ProductionFeatures")
PredictionInput: Final = _of(PredictionInputSchema, (list,), "PredictionInput")
BacktestResult: Final = dg.PythonObjectDagsterType(Backtest)
