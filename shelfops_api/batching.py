"""What-ifs that arrive together are computed together.

A prediction is many small array operations, whose cost hardly depends on the number of series: while one batch is
computed the next one gathers, and nobody waits for others to come.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from anyio import CapacityLimiter, to_thread

from shelfops_api.schemas import SeriesForecast, SeriesRequest
from shelfops_api.snapshot import Snapshot
from shelfops_api.whatif import Question, SeriesKey, checked, forecasts
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.store.records import OnlineFeatures

MOST_SERIES: Final = 64
"""Of several requests together; one request may have more."""
FEW_SERIES: Final = 16
"""Computed on the event loop itself. They take about 3 ms, and a thread would not spare the loop these: it keeps the
interpreter to itself for up to 5 ms at a time (`sys.getswitchinterval`), and the two would wait for each other."""

Outcome = list[SeriesForecast] | Exception


@dataclass(frozen=True, eq=False)
class Job:
    """One request: what would be different of which series, and what was published for them."""

    snapshot: Snapshot
    features: Mapping[SeriesKey, OnlineFeatures]
    series: Sequence[SeriesRequest]
    metric: Metric

    def joins(self, other: "Job") -> bool:
        return self.snapshot is other.snapshot and self.metric is other.metric


class Batcher:
    """One batch at a time. Used from one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Job, asyncio.Future[list[SeriesForecast]]]] = []
        self._work: asyncio.Task[None] | None = None
        self._thread = CapacityLimiter(1)  # of its own: those of the routes may all wait for the warehouse

    async def predict(self, job: Job) -> list[SeriesForecast]:
        """The forecasts in the order of the job. Raises what `whatif.checked` finds wrong with it, and ArithmeticError
        for a forecast that is not finite."""
        answer: asyncio.Future[list[SeriesForecast]] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, answer))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # what has arrived by now is read first, and joins
            taken = self._take()
            try:
                outcomes = await self._compute([job for job, _ in taken])
            except Exception as error:  # noqa: BLE001 - such as no thread: who waits must not wait for ever
                outcomes = [error] * len(taken)
            for (_, answer), outcome in zip(taken, outcomes, strict=True):
                if answer.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)

    async def _compute(self, jobs: Sequence[Job]) -> list[Outcome]:
        if sum(len(job.series) for job in jobs) <= FEW_SERIES:
            return predict_together(jobs)
        return await to_thread.run_sync(predict_together, jobs, limiter=self._thread)

    def _take(self) -> list[tuple[Job, asyncio.Future[list[SeriesForecast]]]]:
        """The first in line, and those right behind it that can be computed with it."""
        first, series, count = self._waiting[0][0], 0, 0
        for job, _ in self._waiting:
            series += len(job.series)
            if count and (series > MOST_SERIES or not job.joins(first)):
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


def predict_together(jobs: Sequence[Job]) -> list[Outcome]:
    """The outcome of every job, in order. What is wrong with one neither fails the others nor costs them anything."""
    asked = [_checked(job) for job in jobs]
    questions = [one for part in asked if not isinstance(part, Exception) for one in part]
    answers = iter(forecasts(jobs[0].snapshot.release, questions, jobs[0].metric))
    return [part if isinstance(part, Exception) else _given([next(answers) for _ in part]) for part in asked]


def _checked(job: Job) -> list[Question] | Exception:
    try:
        return checked(job.snapshot, job.features, job.series)
    except Exception as error:  # noqa: BLE001 - raised again where the request waits
        return error


def _given(answers: Sequence[SeriesForecast | ArithmeticError]) -> Outcome:
    wrong = next((one for one in answers if isinstance(one, ArithmeticError)), None)
    return wrong or [one for one in answers if not isinstance(one, ArithmeticError)]
