"""What-ifs that are computed together are what they are alone."""

import asyncio

import numpy as np
import pytest

from shelfops_api import batching
from shelfops_api.batching import Batcher, Job
from shelfops_api.champion import Champion
from shelfops_api.errors import Problem
from shelfops_api.schemas import SeriesForecast, SeriesRequest
from shelfops_api.snapshot import Snapshot
from shelfops_api.whatif import predict_batch
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.store.records import OnlineFeatures
from tests.api.support import DATASET, PUBLISHED, SHORT_HISTORY, Retailer


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


def test_who_waits_is_told_that_nothing_was_computed(
    retailer: Retailer, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(jobs: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(batching, "predict_together", fail)

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
        alone = predict_batch(one.snapshot, one.features, one.series, one.metric)
        assert [series.item_id for series in answer] == [series.item_id for series in alone]
        np.testing.assert_allclose(means(answer), means(alone), rtol=1e-5, atol=1e-5)
