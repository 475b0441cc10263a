"""Rows of the current release, or the problem that says why there are none."""

import json
from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np

from shelfops_api.answers import Stored
from shelfops_api.deps import Services
from shelfops_api.errors import Code, Fault, Problem, pointer
from shelfops_api.explanation_schemas import SeriesExplanation
from shelfops_api.snapshot import Snapshot, edition_of
from shelfops_api.warehouse import Warehouse
from shelfops_pipeline.store.forecasts import forecast_text
from shelfops_pipeline.store.reads import SeriesKey, online_features, series_explanations, series_forecast
from shelfops_pipeline.store.records import ForecastRow, OnlineFeatures

_FEATURES = "features"


def stored_forecast(warehouse: Warehouse, release: str, key: SeriesKey) -> list[ForecastRow]:
    """The series' published forecast in order of date. Raises Problem when the release has no such series."""
    rows = series_forecast(warehouse.engine(), release, *key)
    if not rows:
        check_published(warehouse, release)
        raise Problem(Code.UNKNOWN_SERIES, _unknown(key, release))
    return rows


def forecast_answer(warehouse: Warehouse, release: str, key: SeriesKey) -> Stored:
    """The same as JSON, ready to send. Raises Problem when the release has no such series."""
    found = forecast_text(warehouse.engine(), release, *key)
    if found is None:
        check_published(warehouse, release)
        raise Problem(Code.UNKNOWN_SERIES, _unknown(key, release))
    text, published_at = found
    return Stored(edition_of(release, published_at), text.encode())


def explanation_answer(warehouse: Warehouse, release: str, key: SeriesKey) -> Stored:
    """Why the series' forecast is what it is, as JSON.

    Raises Problem when the release has no such series, or its forecasts are not explained yet.
    """
    edition = forecast_answer(warehouse, release, key).edition  # first: reasons are never older than it
    rows = series_explanations(warehouse.engine(), release, *key)
    if not rows:
        detail = f"The forecasts of release {release} for item {key[1]!r} in store {key[0]!r} are not explained yet"
        raise Problem(Code.NOT_EXPLAINED, detail)
    return Stored(edition, SeriesExplanation.of(release, key, rows).model_dump_json().encode())


def stored_features(
    services: Services, snapshot: Snapshot, batch: Sequence[SeriesKey]
) -> dict[SeriesKey, OnlineFeatures]:
    """The published model inputs of every series in `batch`. Raises Problem naming all those that there are not."""
    wanted = dict.fromkeys(batch)
    found = held_features(services, snapshot, batch)
    missing = [key for key in wanted if key not in found]
    if missing:
        loaded = online_features(services.warehouse.engine(), snapshot.release, missing)
        found |= loaded
        _hold(services, snapshot.release, loaded)
    faults = [
        Fault(
            location="body",
            pointer=pointer(("series", i)),
            detail=_unknown(key, snapshot.release),
            code=Code.UNKNOWN_SERIES,
        )
        for i, key in enumerate(batch)
        if key not in found
    ]
    if faults:
        check_published(services.warehouse, snapshot.release)
        raise Problem(Code.UNKNOWN_SERIES, f"{faults[0].pointer}: {faults[0].detail}", faults)
    return found


def held_features(
    services: Services, snapshot: Snapshot, batch: Iterable[SeriesKey]
) -> dict[SeriesKey, OnlineFeatures]:
    """Those of `stored_features` that are in memory."""
    return {key: held for key in dict.fromkeys(batch) if (held := _held(services, snapshot, key)) is not None}


def check_published(warehouse: Warehouse, release: str) -> None:
    """Raises Problem unless the warehouse holds the release's rows."""
    if warehouse.published_at(release) is None:
        raise unpublished(release)


def unpublished(release: str) -> Problem:
    return Problem(Code.RELEASE_UNPUBLISHED, f"Release {release} is not in the warehouse yet; it is being published")


def _unknown(key: SeriesKey, release: str) -> str:
    store_id, item_id = key
    return f"release {release} has no item {item_id!r} in store {store_id!r}"


def _held(services: Services, snapshot: Snapshot, key: SeriesKey) -> OnlineFeatures | None:
    body = None if snapshot.edition is None else services.answers.memory.get(snapshot.edition, (_FEATURES, *key))
    if body is None:
        return None
    head, _, payload = body.partition(b"\n")
    version, origin = json.loads(head)
    return OnlineFeatures(version, date.fromisoformat(origin), np.frombuffer(payload, "<f4"))


def _hold(services: Services, release: str, loaded: dict[SeriesKey, OnlineFeatures]) -> None:
    """Inputs are held as bytes, like answers: memory is counted by them. Redis would be no faster than the warehouse,
    which has those of a whole batch in one query. They are held under the edition that they were read from: a release
    that was published anew is noticed a moment later than its rows can be read."""
    for key, row in loaded.items():
        if row.published_at is not None:
            head = json.dumps([row.model_version, row.origin.isoformat()]).encode()
            body = head + b"\n" + row.values.tobytes()
            services.answers.memory.put(edition_of(release, row.published_at), (_FEATURES, *key), body)
