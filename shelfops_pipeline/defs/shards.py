"""Assets that are made in shards of series, as many as SHELFOPS_SHARDS says, so that several workers share the work.

An asset of one shard is one step. One of several is a graph: a step that says how many there are, one per shard on
whatever worker is free, and one that puts the results together in the order of the series.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import dagster as dg

from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.defs.partitions import ML_QUEUE, PANEL_POOL, SHARDS
from shelfops_pipeline.defs.resources import Retailer, Warehouse

SECONDS: Final = "seconds"
"""Metadata of what takes time: how long the work itself took, without reading and writing."""


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
    """how many shards there are: about SHELFOPS_SHARDS"""
    make: Callable[[Retailer, Panel, int], Any]
    """what one shard comes to; on any worker"""
    join: Callable[[Retailer, Warehouse, Panel, list[Any]], dg.Output[Any]]
    """what all of them are together, in the order of the shards"""
    io_manager_key: str
    dagster_type: dg.DagsterType
    after: str | None = None
    """an asset that must be there first, though it is not read"""

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
            seconds = taken()
            made = self.join(retailer, warehouse, panel, parts)
            return made.with_metadata({**made.metadata, SECONDS: seconds})

        made: dg.AssetsDefinition = one_step
        return made

    def in_shards(self) -> dg.AssetsDefinition:
        """As a graph whose steps are shared out."""

        @dg.op(
            name=f"{self.name}_shards",
            ins={} if self.after is None else {"after": dg.In(dg.Nothing)},
            out=dg.DynamicOut(int, io_manager_key="json"),
            pool=PANEL_POOL,
        )
        def shards(retailer: Retailer, panel: Panel) -> Iterator[dg.DynamicOutput[int]]:
            for k in range(self.count(retailer, panel)):
                yield dg.DynamicOutput(k, mapping_key=f"{k:04}")

        @dg.op(
            name=f"{self.name}_shard",
            out=dg.Out(io_manager_key=self.io_manager_key),
            tags=ML_QUEUE,
            pool=PANEL_POOL,
        )
        def shard(retailer: Retailer, panel: Panel, number: int) -> dg.Output[Any]:
            taken = stopwatch()
            return dg.Output(self.make(retailer, panel, number), metadata={SECONDS: taken()})

        @dg.op(
            name=f"{self.name}_joined",
            out=dg.Out(self.dagster_type, io_manager_key=self.io_manager_key),
            tags=ML_QUEUE,
            pool=PANEL_POOL,
        )
        def joined(retailer: Retailer, warehouse: Warehouse, panel: Panel, parts: list[Any]) -> dg.Output[Any]:
            made = self.join(retailer, warehouse, panel, parts)
            return made.with_metadata({**made.metadata, "shards": len(parts)})

        def put_together(panel: Any, numbers: Any) -> Any:
            return joined(panel, numbers.map(lambda number: shard(panel, number)).collect())

        if self.after is None:

            @dg.graph_asset(name=self.name, **self.described)
            def graph(panel: Panel) -> Any:
                return put_together(panel, shards(panel))
        else:
            ins = {"after": dg.AssetIn(self.after, dagster_type=dg.Nothing)}

            @dg.graph_asset(name=self.name, ins=ins, **self.described)
            def graph(panel: Panel, after: Any) -> Any:
                return put_together(panel, shards(panel, after=after))

        return graph
