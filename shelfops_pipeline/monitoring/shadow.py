"""Challengers in the champion's shadow: they forecast what it forecasts, and serve nobody."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from shelfops_pipeline.contracts.columns import Metric, Status, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import BundleError, DataError, PromotionError
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.serve import forecast_table, serve
from shelfops_pipeline.store.tables import MODEL_VERSION


@dataclass(frozen=True)
class Challengers:
    """The newest challenger of each tier, and why a tier has none."""

    versions: Mapping[Tier, str]
    why_none: Mapping[Tier, str]


def find_challengers(registry: Registry) -> Challengers:
    """Of each tier the latest candidate that is newer than the tier's champion, if its bundle is whole."""
    versions: dict[Tier, str] = {}
    why: dict[Tier, str] = {}
    entries = registry.entries()
    for tier in Tier:
        own = [e for e in entries if e.feature_tier is tier]
        held = [i for i, e in enumerate(own) if e.status is Status.CHAMPION]
        newer = [e for e in own[max(held, default=-1) + 1 :] if e.status is Status.CANDIDATE]
        if not newer:
            why[tier] = "no candidate is newer than the champion" if held else "no candidate"
            continue
        try:
            registry.check(newer[-1])
            versions[tier] = newer[-1].version
        except (BundleError, PromotionError) as error:
            why[tier] = str(error)
    return Challengers(versions, why)


def shadow_table(panel: Panel, registry: Registry, challengers: Mapping[Tier, str], metric: Metric) -> pa.Table:
    """The rows that would be other ones if each challenger took its champion's place: a table like the served one, of
    the challengers' rows only; no row where they would serve no series.

    Raises DataError where the panel is not what a challenger was trained for: it must not stop what is served.
    """
    pointer = registry.champion()
    champions = {} if pointer is None else {registry.entry(v).feature_tier: v for v in pointer.versions}
    models = {t: ServedModel.load_native(registry.models / v) for t, v in {**champions, **challengers}.items()}
    try:
        table = forecast_table(panel, serve(panel, models, metric), with_version=True)
    except KeyError as error:
        raise DataError(f"the panel has no {error}, which a challenger was trained with") from None
    theirs = pc.is_in(table.column(MODEL_VERSION), value_set=pa.array(sorted(challengers.values())))
    return table.filter(theirs)
