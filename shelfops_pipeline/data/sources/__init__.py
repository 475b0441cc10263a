"""The data sets that ShelfOps reads, by name."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Source, SourceFactory
from shelfops_pipeline.data.sources.favorita import Favorita
from shelfops_pipeline.data.sources.m5 import M5
from shelfops_pipeline.data.sources.online_retail import OnlineRetail
from shelfops_pipeline.data.sources.rossmann import Rossmann
from shelfops_pipeline.data.sources.simulated import Simulated
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings


def _simulated(data: Path | None, settings: Settings) -> Source:
    return Simulated(
        _simulator(settings.simulated_stores, settings.simulated_items, settings.simulated_days, settings.seed)
    )


@lru_cache(maxsize=1)
def _simulator(stores: int, items: int, days: int, seed: int) -> Simulator:
    """Simulated once per process: every partition of an ingest opens the source anew."""
    return Simulator(stores=stores, items=items, days=days, seed=seed)


FACTORIES: Final[dict[str, SourceFactory]] = {
    "favorita": lambda data, settings: Favorita(data),
    "m5": lambda data, settings: M5(data),
    "online_retail": lambda data, settings: OnlineRetail(data),
    "rossmann": lambda data, settings: Rossmann(data),
    "simulated": _simulated,
}


def open_source(dataset: str, data: Path | None, settings: Settings) -> Source:
    """The source called `dataset`, over the files in `data`; nothing is read yet.

    Raises DataError for a name that is not known.
    """
    if Path(dataset).suffix in (".yaml", ".yml"):
        raise DataError(f"{dataset}: mapped sources are not there yet; use one of {', '.join(sorted(FACTORIES))}")
    if dataset not in FACTORIES:
        raise DataError(f"unknown data set '{dataset}'; known: {', '.join(sorted(FACTORIES))}")
    return FACTORIES[dataset](data, settings)
