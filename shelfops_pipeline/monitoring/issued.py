"""Forecasts as they were issued at an origin, by the champion or by a challenger in its shadow."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.store.tables import MODEL_VERSION

Floats = NDArray[np.float32]

ROLE: Final = "role"
_KNOWN_UNTIL: Final = "shelfops.known_until."
_GRAIN: Final = b"shelfops.grain"


class Role(StrEnum):
    """In which part a version forecast."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


@dataclass(frozen=True)
class Issued:
    """What one role issued at one origin; S series, H periods ahead."""

    origin: date
    role: Role
    grain: Grain
    known_until: Mapping[str, date]
    """version -> last period whose demand it was trained on"""
    store_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    versions: NDArray[np.str_]
    """[S] what forecast each series"""
    there: NDArray[np.bool_]
    """[S, H] was this period forecast? Two tiers may look ahead differently far."""
    mean: Floats
    quantiles: Floats
    """[S, H, 5] at contracts.columns.QUANTILES"""

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """[H] the periods after the origin."""
        ahead = np.arange(1, self.mean.shape[1] + 1) * self.grain.days
        return np.datetime64(self.origin, "D") + ahead.astype("timedelta64[D]")

    @classmethod
    def read(cls, table: pa.Table) -> Self:
        """From a table that `issue` made. Raises DataError when another program wrote it."""
        metadata = table.schema.metadata or {}
        if _GRAIN not in metadata or not table.num_rows:
            raise DataError("this is no table of issued forecasts; remove it from the artifacts' issued_forecasts")
        grain, origin = Grain(metadata[_GRAIN].decode()), table.column(c.ORIGIN)[0].as_py()
        days = (table.column(c.DATE).to_numpy() - np.datetime64(origin)).astype("timedelta64[D]").astype(np.int64)
        step = days // grain.days - 1
        ids = {name: table.column(name).cast(pa.string()) for name in (c.STORE_ID, c.ITEM_ID, MODEL_VERSION)}
        series, first = _series(ids)

        def spread(name: str) -> Floats:
            out = np.full((len(first), int(step.max()) + 1), np.nan, dtype=np.float32)
            out[series, step] = table.column(name).to_numpy()
            return out

        names = {k: v.take(pa.array(first)).to_numpy(zero_copy_only=False).astype(np.str_) for k, v in ids.items()}
        there = np.zeros((len(first), int(step.max()) + 1), dtype=bool)
        there[series, step] = True
        return cls(
            origin=origin,
            role=Role(table.column(ROLE)[0].as_py()),
            grain=grain,
            known_until=_known_until(metadata),
            store_ids=names[c.STORE_ID],
            item_ids=names[c.ITEM_ID],
            versions=names[MODEL_VERSION],
            there=there,
            mean=spread(c.MEAN),
            quantiles=np.stack([spread(name) for name in c.QUANTILE_COLUMNS], axis=2),
        )


def issue(forecasts: pa.Table, origin: date, role: Role, grain: Grain, known_until: Mapping[str, date]) -> pa.Table:
    """A table of `models.serve.forecast_table`, sorted and with versions, as it is kept: with its origin and role, ids
    as codes, and in its metadata the last period that each version was trained on."""
    table = forecasts
    for name in (c.STORE_ID, c.ITEM_ID, MODEL_VERSION):
        table = table.set_column(table.schema.get_field_index(name), name, pc.dictionary_encode(table.column(name)))
    constants = {c.ORIGIN: pa.scalar(origin, pa.date32()), ROLE: pa.scalar(role.value)}
    for name, value in constants.items():
        table = table.append_column(name, pa.repeat(value, table.num_rows))
    kept = {_GRAIN.decode(): grain.value} | {f"{_KNOWN_UNTIL}{v}": d.isoformat() for v, d in known_until.items()}
    return table.replace_schema_metadata(kept)


def _series(ids: Mapping[str, Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """([rows] series of each row, [S] its first row); rows are sorted by series."""
    stores, items = (pc.dictionary_encode(ids[name].combine_chunks()).indices for name in (c.STORE_ID, c.ITEM_ID))
    codes = np.stack([stores.to_numpy(), items.to_numpy()])
    begins = np.concatenate([[True], (np.diff(codes, axis=1) != 0).any(axis=0)])
    return np.cumsum(begins) - 1, np.flatnonzero(begins)


def _known_until(metadata: Mapping[bytes, bytes]) -> dict[str, date]:
    found = {k.decode(): v.decode() for k, v in metadata.items()}
    return {
        name.removeprefix(_KNOWN_UNTIL): date.fromisoformat(day)
        for name, day in found.items()
        if name.startswith(_KNOWN_UNTIL)
    }
