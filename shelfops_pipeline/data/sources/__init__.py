"""The data sets that ShelfOps reads, by name."""

import hashlib
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from shelfops_pipeline.data.mapping import load_mapping
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Source, SourceFactory
from shelfops_pipeline.data.sources.favorita import Favorita
from shelfops_pipeline.data.sources.m5 import M5
from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.data.sources.online_retail import OnlineRetail
from shelfops_pipeline.data.sources.rossmann import Rossmann
from shelfops_pipeline.data.sources.simulated import LIVE_DAYS, Clock, LiveSimulated, Simulated
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings


def _simulated(data: Path | None, settings: Settings) -> Source:
    s, extra = settings, LIVE_DAYS if settings.simulated_live else 0
    shift = (s.simulated_shift, s.simulated_shift_from)
    world = _simulator(s.simulated_stores, s.simulated_items, s.simulated_days + extra, s.seed, *shift)
    if not settings.simulated_live:
        return Simulated(world)
    return LiveSimulated(world, Clock(settings.root / "simulated_clock.json", world.end - timedelta(days=extra)))


@lru_cache(maxsize=1)
def _simulator(stores: int, items: int, days: int, seed: int, shift: float, shift_from: date | None) -> Simulator:
    """Simulated once per process: every partition of an ingest opens the source anew."""
    return Simulator(stores=stores, items=items, days=days, seed=seed, shift=shift, shift_from=shift_from)


_THAT_MATTER: Final = {
    "dataset",
    "data",
    "home",
    "seed",
    "simulated_live",
    "simulated_stores",
    "simulated_items",
    "simulated_days",
    "simulated_shift",
    "simulated_shift_from",
}

FACTORIES: Final[dict[str, SourceFactory]] = {
    "favorita": lambda data, settings: Favorita(data),
    "m5": lambda data, settings: M5(data),
    "online_retail": lambda data, settings: OnlineRetail(data),
    "rossmann": lambda data, settings: Rossmann(data),
    "simulated": _simulated,
}


def is_mapping(dataset: str) -> bool:
    """Is it the path of a mapping rather than a name? The tables of a mapping lie beside it, or in a database."""
    return Path(dataset).suffix in (".yaml", ".yml")


def open_source(dataset: str, data: Path | None, settings: Settings) -> Source:
    """The source called `dataset`, or that which a mapping (*.yaml) describes, over the files in `data`; those of a
    mapping lie beside it unless `data` is given. No data is read yet.

    Raises DataError for a name that is not known, and for a mapping that is wrong.
    """
    if is_mapping(dataset):
        return Mapped(load_mapping(Path(dataset)), data or Path(dataset).parent)
    if dataset not in FACTORIES:
        raise DataError(f"unknown data set '{dataset}'; known: {', '.join(sorted(FACTORIES))}")
    return FACTORIES[dataset](data, settings)


def current_source(settings: Settings) -> Source:
    """The source of `settings`, opened once per process: it keeps the files that it has read until they change."""
    return _opened(settings.model_dump_json(include=_THAT_MATTER), _files_stamp(settings))


@lru_cache(maxsize=1)
def _opened(settings_json: str, stamp: str) -> Source:
    settings = Settings.model_validate_json(settings_json)
    return open_source(settings.dataset, settings.data, settings)


def _files_stamp(settings: Settings) -> str:
    """Changes when a file below `settings.data`, or the mapping, is added, removed or written."""
    mapping = Path(settings.dataset)
    folder = settings.data or (mapping.parent if is_mapping(settings.dataset) else None)
    files = sorted(folder.rglob("*")) if folder is not None and folder.is_dir() else []
    stamps = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in (*files, mapping) if f.is_file()]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()
