"""A batch may hold series of different versions and origins: each is answered from its own."""

from datetime import date, timedelta

import numpy as np
import pytest

from shelfops_api.champion import Champion
from shelfops_api.errors import Problem, pointer
from shelfops_api.schemas import Override, SeriesRequest
from shelfops_api.snapshot import Snapshot
from shelfops_api.whatif import checked, covered, forecasts
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.store.records import OnlineFeatures
from tests.api.support import CHAMPION, COLD, DATASET, HORIZON, PUBLISHED, Retailer

A, B, C = (SeriesRequest(store_id="s", item_id=name) for name in "abc")


@pytest.fixture(scope="module")
def snapshot(retailer: Retailer) -> Snapshot:
    champion = Champion(retailer.models, DATASET, published_at=lambda release: PUBLISHED)
    champion.refresh()
    assert champion.snapshot is not None
    return champion.snapshot


def features(retailer: Retailer, row: int, version: str, origin: date) -> OnlineFeatures:
    return OnlineFeatures(version, origin, np.frombuffer(retailer.states[version].pack()[row], "<f4"))


def test_each_series_is_forecast_by_its_version_from_its_origin(snapshot: Snapshot, retailer: Retailer) -> None:
    last = retailer.panel.last_observed
    before = last - timedelta(days=1)
    rows = {
        A.key: features(retailer, 0, CHAMPION, last),
        B.key: features(retailer, 11, COLD, last),
        C.key: features(retailer, 1, CHAMPION, before),
    }
    batch = [A, C, B, A]
    found = forecasts(snapshot.release, checked(snapshot, rows, batch), Metric.MAE)
    answers = [a for a in found if not isinstance(a, ArithmeticError)]
    assert [a.item_id for a in answers] == ["a", "c", "b", "a"]
    assert [a.model_version for a in answers] == [CHAMPION, CHAMPION, COLD, CHAMPION]
    for answer, origin in zip(answers, (last, before, last, last), strict=True):
        assert [p.date for p in answer.forecast] == [origin + timedelta(days=h) for h in range(1, HORIZON + 1)]
    assert answers[0].forecast == answers[3].forecast


def test_a_date_is_judged_by_the_series_own_horizon(snapshot: Snapshot, retailer: Retailer) -> None:
    last = retailer.panel.last_observed
    rows = {
        A.key: features(retailer, 0, CHAMPION, last),
        C.key: features(retailer, 1, CHAMPION, last - timedelta(days=1)),
    }
    cheap = [Override(date=last + timedelta(days=HORIZON), price=1.0)]
    batch = [series.model_copy(update={"overrides": cheap}) for series in (A, C)]
    with pytest.raises(Problem) as caught:
        checked(snapshot, rows, batch)
    assert [fault.pointer for fault in caught.value.errors] == ["/series/1/overrides/0/date"]


def test_rows_of_a_version_outside_the_release_are_not_guessed_at(snapshot: Snapshot, retailer: Retailer) -> None:
    row = features(retailer, 0, CHAMPION, retailer.panel.last_observed)._replace(model_version="v8")
    with pytest.raises(BundleError, match="v8"):
        checked(snapshot, {A.key: row}, [A])


def test_the_dates_of_weekly_forecasts_are_said_with_their_step() -> None:
    assert covered([date(2025, 1, 6), date(2025, 1, 13)]) == "2025-01-06 to 2025-01-13, every 7 days"
    assert covered([date(2025, 1, 6)]) == "2025-01-06 to 2025-01-06"


def test_pointers_are_escaped() -> None:
    assert pointer(("a/b", 0, "~")) == "/a~1b/0/~0"
