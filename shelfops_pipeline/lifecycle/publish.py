"""Publish a release: its model inputs, its forecasts, and last of all its name, from which readers start."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import ChampionPointer, Manifest
from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.contracts.messages import ReleaseMessage, releases_channel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import PromotionError
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import verify
from shelfops_pipeline.models.serve import ServingInput
from shelfops_pipeline.store import totals, writes
from shelfops_pipeline.store.bus import announce
from shelfops_pipeline.store.reads import latest_release
from shelfops_pipeline.store.tables import MODEL_VERSION, PAYLOAD

_KEEP_RELEASES = 2


def champion_manifests(registry: Registry) -> dict[Tier, Manifest]:
    """Of the serving versions, checksums verified. Raises PromotionError when nothing serves yet."""
    manifests = [verify(registry.models / version) for version in serving(registry).versions]
    return {manifest.tier: manifest for manifest in manifests}


def champion_models(registry: Registry, tiers: Collection[Tier] = tuple(Tier)) -> dict[Tier, ServedModel]:
    """The serving versions of these tiers. Raises as `champion_manifests` does."""
    manifests = champion_manifests(registry)
    return {t: ServedModel.load_native(registry.models / m.version) for t, m in manifests.items() if t in tiers}


def publish_inputs(engine: Engine, registry: Registry, panel: Panel, inputs: list[ServingInput]) -> int:
    """Write the inputs of every series to `online_features`; returns the number of series."""
    release, rows = serving(registry).release, 0
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


def publish_table(engine: Engine, registry: Registry, table: pa.Table, redis_url: str | None = None) -> str:
    """Write the forecasts, then name the release, then announce it; older releases but one are deleted, and what the
    release had of series that are forecast no more.

    Returns the release. Whoever the announcement does not reach finds the release by asking the warehouse.
    """
    pointer = serving(registry)
    writes.publish_forecasts(engine, pointer.release, _columns(table))
    writes.forget_series(engine, pointer.release, _columns(table.select([c.STORE_ID, c.ITEM_ID])))
    writes.publish_release(
        engine,
        pointer.release,
        champion_version=pointer.version,
        cold_start_version=None if pointer.cold_start is None else pointer.cold_start.version,
        dataset=pointer.dataset,
        manifest=pointer.model_dump(mode="json"),
    )
    writes.prune_releases(engine, pointer.dataset, keep=_KEEP_RELEASES)
    published = latest_release(engine, pointer.dataset)
    if published is not None:
        message = ReleaseMessage(
            dataset=pointer.dataset, release=published.release, published_at=published.published_at
        )
        announce(redis_url, releases_channel(pointer.dataset), [message])
    return pointer.release


def publish_totals(engine: Engine, registry: Registry, table: pa.Table) -> tuple[str, int]:
    """Write the totals of the release's forecasts; returns the release and the number of rows."""
    release = serving(registry).release
    return release, totals.publish_totals(engine, release, _columns(table))


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table.column(name).to_numpy() for name in table.column_names}


def serving(registry: Registry) -> ChampionPointer:
    """What serves. Raises PromotionError when nothing does yet."""
    pointer = registry.champion()
    if pointer is None:
        raise PromotionError(
            "no champion to publish: no candidate has beaten the baselines yet; see `shelfops models list`"
        )
    return pointer
