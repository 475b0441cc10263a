"""What-ifs that are computed together are what they are alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_api import batching
from shelfops_api.batching import Batcher, Job, predict_together
from shelfops_api.champion import Champion
from shelfops_api.errors import Problem
from shelfops_api.schemas import SeriesForecast, SeriesRequest
from shelfops_api.snapshot import Snapshot
from shelfops_api.whatif import Question, forecasts
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.store.records import OnlineFeatures
from tests.api.support import DATASET, PUBLISHED, SHORT_HISTORY, Retailer

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def snapshot(retailer: Retailer) -> Snapshot:
    champion = Champion(retailer.models, DATASET, published_at=lambda release: PUBLISHED)
    champion.refresh()
    assert champion.snapshot is not None
    return champion.snapshot


def job(retailer: Retailer, snapshot: Snapshot, row: int, metric: Metric = Metric.MAE, **more: object) -> Job:
    version = retailer.version_of(row)
    payload = np.frombuffer(retailer.states[version].pack()[row], "<f4")
    series = SeriesRequest.model_validate({"store_id": "s", "item_id": str(row), **more})
    return Job(snapshot, {series.key: OnlineFeatures(version, retailer.panel.last_observed, payload)}, [series], metric)


def told(one: Job, values: Floats) -> Job:
    """The job with other model inputs."""
    return replace(one, features={key: row._replace(values=values) for key, row in one.features.items()})


def test_who_waits_is_told_that_nothing_was_computed(
    retailer: Retailer, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*asked: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(batching, "forecasts", fail)

    async def ask() -> list[list[SeriesForecast] | BaseException]:
        batcher = Batcher()
        asked = (batcher.predict(job(retailer, snapshot, row)) for row in (0, 3))
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)

    assert [type(answer) for answer in asyncio.run(ask())] == [RuntimeError, RuntimeError]


def means(series: list[SeriesForecast]) -> list[float]:
    return [period.mean for one in series for period in one.forecast]


def test_jobs_together_have_the_answers_that_they_have_alone(retailer: Retailer, snapshot: Snapshot) -> None:
    rows = [0, 3, SHORT_HISTORY, 5, 0]
    jobs = [job(retailer, snapshot, row, metric) for row in rows for metric in (Metric.MAE, Metric.RMSE)]
    wrong = job(retailer, snapshot, 4, dates=["2031-01-01"])

    async def ask() -> list[list[SeriesForecast] | BaseException]:
        batcher = Batcher()
        return await asyncio.gather(*(batcher.predict(one) for one in [*jobs, wrong]), return_exceptions=True)

    *answers, refused = asyncio.run(ask())
    assert isinstance(refused, Problem)
    assert [fault.pointer for fault in refused.errors] == ["/series/0/dates/0"]
    for one, answer in zip(jobs, answers, strict=True):
        assert isinstance(answer, list)
        (alone,) = predict_together([one])
        assert isinstance(alone, list)
        assert [series.item_id for series in answer] == [series.item_id for series in alone]
        np.testing.assert_allclose(means(answer), means(alone), rtol=1e-5, atol=1e-5)


def test_what_is_wrong_with_one_job_is_found_before_the_others_are_computed(
    retailer: Retailer, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[list[str]] = []

    def noted(release: str, questions: Sequence[Question], metric: Metric) -> list[SeriesForecast | ArithmeticError]:
        computed.append([one.series.item_id for one in questions])
        return forecasts(release, questions, metric)

    monkeypatch.setattr(batching, "forecasts", noted)
    short = told(job(retailer, snapshot, 5), np.zeros(3, np.float32))
    wrong = job(retailer, snapshot, 4, overrides=[{"date": "2031-01-01", "price": 1.0}])
    first, refused, broken, last = predict_together(
        [job(retailer, snapshot, 0), wrong, short, job(retailer, snapshot, 3)]
    )
    assert computed == [["0", "3"]]
    assert isinstance(refused, Problem)
    assert isinstance(broken, ValueError)
    assert [one.item_id for part in (first, last) if isinstance(part, list) for one in part] == ["0", "3"]


def test_a_forecast_that_is_not_finite_fails_its_own_job_alone(retailer: Retailer, snapshot: Snapshot) -> None:
    unknown = job(retailer, snapshot, 4)
    (row,) = unknown.features.values()
    unknown = told(unknown, np.full_like(row.values, np.nan))
    failed, answered = predict_together([unknown, job(retailer, snapshot, 0)])
    assert isinstance(failed, ArithmeticError)
    assert "not finite" in str(failed)
    assert isinstance(answered, list)
    assert np.isfinite(means(answered)).all()


def test_many_series_are_computed_beside_the_event_loop(retailer: Retailer, snapshot: Snapshot) -> None:
    few, many = job(retailer, snapshot, 0), job(retailer, snapshot, 3)
    many = replace(many, series=list(many.series) * (batching.FEW_SERIES + 1))

    async def ask() -> list[list[SeriesForecast]]:
        batcher = Batcher()
        return await asyncio.gather(batcher.predict(few), batcher.predict(many))

    one, several = asyncio.run(ask())
    assert [series.item_id for series in one] == ["0"]
    assert [series.item_id for series in several] == ["3"] * (batching.FEW_SERIES + 1)
    np.testing.assert_allclose(means(several), means(several[:1]) * (batching.FEW_SERIES + 1), rtol=1e-5, atol=1e-5)
