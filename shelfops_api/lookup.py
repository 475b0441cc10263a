"""Rows of the current release, or the problem that says why there are none."""

from collections.abc import Sequence

from shelfops_api.errors import Code, Fault, Problem, pointer
from shelfops_api.warehouse import Warehouse
from shelfops_pipeline.store.reads import SeriesKey, online_features, series_forecast
from shelfops_pipeline.store.records import ForecastRow, OnlineFeatures


def stored_forecast(warehouse: Warehouse, release: str, key: SeriesKey) -> list[ForecastRow]:
    """The series' published forecast in order of date. Raises Problem when the release has no such series."""
    rows = series_forecast(warehouse.engine(), release, *key)
    if not rows:
        check_published(warehouse, release)
        raise Problem(Code.UNKNOWN_SERIES, _unknown(key, release))
    return rows


def stored_features(warehouse: Warehouse, release: str, batch: Sequence[SeriesKey]) -> dict[SeriesKey, OnlineFeatures]:
    """The published model inputs of every series in `batch`. Raises Problem naming all those that there are not."""
    found = online_features(warehouse.engine(), release, list(dict.fromkeys(batch)))
    faults = [
        Fault(
            location="body",
            pointer=pointer(("series", i)),
            detail=_unknown(key, release),
            code=Code.UNKNOWN_SERIES,
        )
        for i, key in enumerate(batch)
        if key not in found
    ]
    if faults:
        check_published(warehouse, release)
        raise Problem(Code.UNKNOWN_SERIES, f"{faults[0].pointer}: {faults[0].detail}", faults)
    return found


def check_published(warehouse: Warehouse, release: str) -> None:
    if not warehouse.holds(release):
        raise Problem(Code.RELEASE_UNPUBLISHED, f"Release {release} is not in the warehouse yet; it is being published")


def _unknown(key: SeriesKey, release: str) -> str:
    store_id, item_id = key
    return f"release {release} has no item {item_id!r} in store {store_id!r}"
