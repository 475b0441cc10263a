"""Assets that are made in shards, where SHELFOPS_SHARDS is above 1, so that several workers share the work: of series,
as many as it says, or, of a backtest, its folds.

An asset of one shard is one step. One of several is a graph: a step that says how many there are, one per shard on
whatever worker is free, beside them what is made of all series at once, and a step that puts the results together in
their order.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import dagster as dg

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.partitions import ML_QUEUE, PANEL_POOL, SHARDS
from shelfops_pipeline.defs.resources import Retailer, Warehouse

SECONDS: Final = "seconds"
"""Metadata of what takes time: how long the work itself took, without reading and writing; of shards, all of it."""


def stopwatch() -> Callable[[], float]:
    """Started now; asked, it says how many seconds have passed."""
    started = time.perf_counter()
    return lambda: time.perf_counter() - started


def series_shards(n_series: int, shards: int) -> list[slice]:
    """At most `shards` runs of neighbouring series of about equal length, in the order of the series."""
    count = max(min(shards, n_series), 1)
    ends = [n_series * k // count for k in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(ends)]


@dataclass(frozen=True)
class Sharded:
    """An asset made of the panel in shards; `whole` and `in_shards` make the same."""

    name: str
    described: Mapping[str, Any]
    """what the UI shows of it"""
    count: Callable[[Retailer, Panel], int]
    """how many shards there are"""
    make: Callable[[Retailer, Panel, int], Any]
    """what one shard comes to; on any worker"""
    join: Callable[..., dg.Output[Any]]
    """(retailer, warehouse, panel, what the shards came to in their order, and by its name what was made beside them):
    what all of that is together"""
    io_manager_key: str
    """of the asset, and of its shards unless they have one of their own"""
    dagster_type: dg.DagsterType
    beside: Mapping[str, Callable[[Retailer, Panel], Any]] = field(default_factory=dict)
    """what is made of all series at once, while shards are made; by a name that is also its IO manager's"""
    after: str | None = None
    """an asset that must be there first, though it is not read"""
    shard_io_manager_key: str | None = None

    def asset(self) -> dg.AssetsDefinition:
        """The asset, in the form that this deployment needs."""
        return self.whole() if SHARDS == 1 else self.in_shards()

    def whole(self) -> dg.AssetsDefinition:
        """As one step."""

        @dg.asset(  # type: ignore[untyped-decorator]  # what is described may be anything
            name=self.name,
            io_manager_key=self.io_manager_key,
            dagster_type=self.dagster_type,
            deps=[] if self.after is None else [self.after],
            op_tags=ML_QUEUE,
            pool=PANEL_POOL,
            **self.described,
        )
        def one_step(retailer: Retailer, warehouse: Warehouse, panel: Panel) -> dg.Output[Any]:
            taken = stopwatch()
            parts = [self.make(retailer, panel, k) for k in range(self.count(retailer, panel))]
            beside = {name: make(retailer, panel) for name, make in self.beside.items()}
            seconds = taken()
            made = self.join(retailer, warehouse, panel, parts, **beside)
            return made.with_metadata({**made.metadata, SECONDS: seconds})

        made: dg.AssetsDefinition = one_step
        return made

    def in_shards(self) -> dg.AssetsDefinition:
        """As a graph whose steps are shared out."""
        shards, shard, joined = self._shards(), self._shard(), self._joined()
        ins = {} if self.after is None else {"after": dg.AssetIn(self.after, dagster_type=dg.Nothing)}

        @dg.graph_asset(name=self.name, ins=ins, **self.described)
        def graph(panel: Panel, **after: Any) -> Any:
            made, seconds = shards(panel, **after).map(lambda number: shard(panel, number))
            beside = {name: self._beside(name)(panel, **after) for name in self.beside}
            return joined(panel, made.collect(), seconds.collect(), **beside)

        return graph

    def _shards(self) -> dg.OpDefinition:
        """The step that says how many shards there are."""

        @dg.op(
            name=f"{self.name}_shards",
            ins=self._ins_after,
            out=dg.DynamicOut(int, io_manager_key="json"),
            pool=PANEL_POOL,
        )
        def shards(retailer: Retailer, panel: Panel) -> Iterator[dg.DynamicOutput[int]]:
            for k in range(self.count(retailer, panel)):
                yield dg.DynamicOutput(k, mapping_key=f"{k:04}")

        return shards

    def _shard(self) -> dg.OpDefinition:
        """The step that makes one of them, and says how long that took."""
        made = dg.Out(io_manager_key=self.shard_io_manager_key or self.io_manager_key)

        @dg.op(
            name=f"{self.name}_shard",
            out={"made": made, SECONDS: dg.Out(float, io_manager_key="json")},
            tags=ML_QUEUE,
            pool=PANEL_POOL,
        )
        def shard(retailer: Retailer, panel: Panel, number: int) -> tuple[Any, float]:
            taken = stopwatch()
            return self.make(retailer, panel, number), taken()

        return shard

    def _beside(self, name: str) -> dg.OpDefinition:
        """The step that makes something of all series at once."""

        @dg.op(
            name=f"{self.name}_{name}",
            ins=self._ins_after,
            out=dg.Out(io_manager_key=name),
            tags=ML_QUEUE,
            pool=PANEL_POOL,
        )
        def beside(retailer: Retailer, panel: Panel) -> Any:
            return self.beside[name](retailer, panel)

        return beside

    def _joined(self) -> dg.OpDefinition:
        """The step that puts everything together."""

        @dg.op(
            name=f"{self.name}_joined",
            ins={name: dg.In() for name in self.beside},
            out=dg.Out(self.dagster_type, io_manager_key=self.io_manager_key),
            tags=ML_QUEUE,
            pool=PANEL_POOL,
        )
        def joined(
            retailer: Retailer,
            warehouse: Warehouse,
            panel: Panel,
            parts: list[Any],
            seconds: list[float],
            **beside: Any,
        ) -> dg.Output[Any]:
            made = self.join(retailer, warehouse, panel, parts, **beside)
            return made.with_metadata({**made.metadata, "shards": len(parts), SECONDS: sum(seconds)})

        return joined

    @property
    def _ins_after(self) -> dict[str, dg.In]:
        return {} if self.after is None else {"after": dg.In(dg.Nothing)}
