"""Features and models of both tiers, and the backtest that says how good they are."""

from typing import Any, Final

import dagster as dg

from shelfops_pipeline.charts.score_tables import groups_markdown
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.partitions import ML_QUEUE, PANEL_POOL
from shelfops_pipeline.defs.resources import Retailer, Warehouse
from shelfops_pipeline.defs.shards import SECONDS, Sharded, series_shards, stopwatch
from shelfops_pipeline.defs.types import BacktestResult, ColdStartFeatures, ProductionFeatures
from shelfops_pipeline.evaluation.backtest import Backtest, RawFold, join_folds
from shelfops_pipeline.evaluation.report import headline, per_fold
from shelfops_pipeline.evaluation.scores import scores_table
from shelfops_pipeline.evaluation.totals import total_intervals
from shelfops_pipeline.features.create import FeatureRows, create_features, create_windows
from shelfops_pipeline.lifecycle.training import fold_of_plan
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.lstm import fit_lstm
from shelfops_pipeline.models.recipe import channel_scales
from shelfops_pipeline.schemas.features import check_features

OWNERS = ["team:data-science"]
_TYPES = {Tier.COLD_START: ColdStartFeatures, Tier.PRODUCTION: ProductionFeatures}
HEADLINES = ("mae", "wape", "bias", "coverage_90")
_NOT_TRAINED: dict[str, Any] = {
    "trained": False,
    "why": "the history is too short for this tier, or the settings exclude it",
}


def features(tier: Tier) -> Sharded:
    """A tier's training rows; empty when the tier is not trained."""

    def count(retailer: Retailer, panel: Panel) -> int:
        return len(series_shards(panel.n_series, retailer.settings.shards)) if retailer.trains(panel, tier) else 1

    def make(retailer: Retailer, panel: Panel, number: int) -> FeatureRows | None:
        if not retailer.trains(panel, tier):
            return None
        recipe, scales = retailer.plan(panel).recipes[tier], channel_scales(panel)
        series = series_shards(panel.n_series, retailer.settings.shards)[number]
        size = recipe.xgboost.max_rows
        return create_features(panel, recipe.spec, recipe.transform, scales, size, recipe.seed, series=series)

    def join(retailer: Retailer, _: Warehouse, panel: Panel, parts: list[Any]) -> dg.Output[Any]:
        if parts == [None]:
            return dg.Output(None, metadata=_NOT_TRAINED)
        rows = FeatureRows.join(parts)
        breaches = check_features(rows, retailer.plan(panel).recipes[tier].spec)
        facts: dict[str, Any] = {"dagster/row_count": len(rows.demand), "out of range": [b.feature for b in breaches]}
        return dg.Output(rows, metadata=facts | {"features": rows.matrix.shape[1]})

    described = {
        "group_name": "features",
        "kinds": {"numpy", "pandera"},
        "description": f"Training rows of the {tier.value} tier; the features gate warns of values out of range.",
        "owners": OWNERS,
    }
    return Sharded(f"{tier.value}_features", described, count, make, join, "arrays", _TYPES[tier])


def xgboost_asset(tier: Tier) -> dg.AssetsDefinition:
    """A tier's gradient-boosted member; empty when the tier is not trained."""

    @dg.asset(
        name=f"{tier.value}_xgboost",
        group_name="models",
        kinds={"xgboost"},
        io_manager_key="boosters",
        ins={"rows": dg.AssetIn(f"{tier.value}_features")},
        description=f"The gradient-boosted member of the {tier.value} tier.",
        owners=OWNERS,
        op_tags=ML_QUEUE,
        pool=PANEL_POOL,
    )
    def xgboost(retailer: Retailer, panel: Panel, rows: Any) -> dg.MaterializeResult[Any]:
        if rows is None:
            return dg.MaterializeResult(value=None, metadata=_NOT_TRAINED)
        recipe, taken = retailer.plan(panel).recipes[tier], stopwatch()
        booster = fit_xgboost(rows, recipe)
        return dg.MaterializeResult(value=booster, metadata={SECONDS: taken()} | recipe.xgboost.model_dump())

    return xgboost


def lstm_asset(tier: Tier) -> dg.AssetsDefinition:
    """A tier's recurrent member; empty when the tier is not trained."""

    @dg.asset(
        name=f"{tier.value}_lstm",
        group_name="models",
        kinds={"keras", "tensorflow"},
        io_manager_key="networks",
        description=f"The recurrent member of the {tier.value} tier.",
        owners=OWNERS,
        op_tags=ML_QUEUE,
        pool=PANEL_POOL,
    )
    def lstm(retailer: Retailer, panel: Panel) -> dg.MaterializeResult[Any]:
        if not retailer.trains(panel, tier):
            return dg.MaterializeResult(value=None, metadata=_NOT_TRAINED)
        recipe, taken = retailer.plan(panel).recipes[tier], stopwatch()
        scales, size = channel_scales(panel), recipe.lstm.max_windows
        windows = create_windows(panel, recipe.spec, recipe.transform, scales, size, recipe.seed + 1)
        sizes = {name: len(panel.static[name].categories) for name in recipe.spec.static}
        network = fit_lstm(windows, recipe.spec, sizes, recipe.lstm, recipe.transform, recipe.seed)
        facts = {SECONDS: taken(), "windows": len(windows.target)}
        return dg.MaterializeResult(value=network, metadata=facts | recipe.lstm.model_dump())

    return lstm


def _folds(retailer: Retailer, panel: Panel) -> int:
    return len(retailer.plan(panel).origins)


def _fold(retailer: Retailer, panel: Panel, number: int) -> RawFold:
    return fold_of_plan(panel, retailer.plan(panel), number, dg.get_dagster_logger().info)


def _join(retailer: Retailer, _: Warehouse, panel: Panel, folds: list[RawFold]) -> dg.Output[Backtest]:
    result = join_folds(panel, folds, retailer.settings.metric)
    scores = scores_table(result, panel)
    table = per_fold(scores)
    facts: dict[str, Any] = {"folds": [f.origin_date for f in next(iter(result.folds.values()))]}
    for tier in result.folds:
        numbers = headline(table, tier)
        facts |= {f"{tier.value} {m}": numbers[m] for m in HEADLINES if numbers[m] is not None}
    for by in ("block", "class", "store", "category"):
        if text := groups_markdown(scores, by):
            facts[f"by {by}"] = dg.MetadataValue.md(text)
    return dg.Output(result, metadata=facts)


BACKTEST: Final = Sharded(
    "backtest",
    {
        "group_name": "evaluation",
        "owners": OWNERS,
        "kinds": {"xgboost", "keras"},
        "description": "Rolling-origin folds: every model and baseline on identical rows, each refitted on what was "
        "known then.",
    },
    _folds,
    _fold,
    _join,
    "backtests",
    BacktestResult,
    shard_io_manager_key="folds",
)
backtest = BACKTEST.asset()


@dg.asset(group_name="evaluation", owners=OWNERS, kinds={"numpy"}, pool=PANEL_POOL, io_manager_key="json")
def totals_calibration(panel: Panel, backtest: Backtest) -> dg.MaterializeResult[dict[str, Any]]:
    """How far the backtest's totals of stores and categories were off: what intervals of served totals are made of."""
    intervals = total_intervals(panel, backtest)
    facts = {f"{level.value}: error that its series share": of.common for level, of in intervals.levels.items()}
    return dg.MaterializeResult(value=intervals.to_json(), metadata=facts)


TIER_ASSETS = [asset for tier in Tier for asset in (features(tier).asset(), xgboost_asset(tier), lstm_asset(tier))]
