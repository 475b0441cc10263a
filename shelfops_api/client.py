"""A typed client of the API: `with Client("http://localhost:8000", api_key="so_...") as shelfops: ...`.

Needs `httpx` beside the API's own packages: `pip install shelfops[client]`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from httpx_retries import Retry, RetryTransport
from pydantic import ValidationError

from shelfops_api.errors import ProblemBody
from shelfops_api.explanation_schemas import SeriesExplanation
from shelfops_api.schemas import (
    ChampionAnswer,
    ForecastPage,
    PredictAnswer,
    PredictRequest,
    SeriesForecast,
    SeriesRequest,
)
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.errors import ShelfOpsError

_TIMEOUT_SECONDS: Final = 10.0
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})


class ProblemError(ShelfOpsError):
    """The service answered with a problem; switch on `code`, which never changes its meaning."""

    def __init__(self, status: int, problem: ProblemBody | None, text: str) -> None:
        self.status, self.problem = status, problem
        self.code = None if problem is None else problem.code
        super().__init__(f"{status} {self.code or ''}: {text if problem is None else problem.detail}")


class IncompleteStreamError(ShelfOpsError):
    """A stream ended without its last line: ask again."""


class Client:
    """Synchronous; close it, or use it as a context manager.

    Requests that change nothing are repeated `retries` times, after ever longer waits or those that `Retry-After` asks
    for, when the service is away or says that it cannot answer now. Raises ProblemError for any other refusal, and
    httpx.TransportError where there is no answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        policy = Retry(total=retries, allowed_methods=["GET"], status_forcelist=_RETRIED_STATUSES, backoff_factor=0.2)
        self._http = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=timeout,
            transport=RetryTransport(transport=transport, retry=policy),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def champion(self) -> ChampionAnswer:
        """What serves."""
        return ChampionAnswer.model_validate_json(self._get("/v1/champion"))

    def forecast(
        self, store_id: str, item_id: str, *, start: date | None = None, end: date | None = None
    ) -> SeriesForecast:
        """The stored forecast of one series."""
        path = f"/v1/forecasts/{quote(store_id, safe='')}/{quote(item_id, safe='')}"
        return SeriesForecast.model_validate_json(self._get(path, start=start, end=end))

    def explanation(self, store_id: str, item_id: str) -> SeriesExplanation:
        """Why the stored forecast of one series is what it is."""
        path = f"/v1/explanations/{quote(store_id, safe='')}/{quote(item_id, safe='')}"
        return SeriesExplanation.model_validate_json(self._get(path))

    def forecasts(self, *, page_size: int = 100, **filters: Any) -> Iterator[SeriesForecast]:
        """Stored forecasts of many series, page by page; `filters` are those of the route: store_id, item_id,
        category (one or several), start, end.

        Raises ProblemError with the code `cursor_expired` when other forecasts are served before the last page.
        """
        after: str | None = None
        while True:
            content = self._get("/v1/forecasts", limit=page_size, after=after, **filters)
            page = ForecastPage.model_validate_json(content)
            yield from page.series
            after = page.next
            if after is None:
                return

    def stream_forecasts(self, **filters: Any) -> Iterator[SeriesForecast]:
        """The same in one answer, as it arrives. Raises IncompleteStreamError where it breaks off."""
        headers = {"Accept": "application/x-ndjson"}
        with self._http.stream("GET", "/v1/forecasts", params=_given(filters), headers=headers) as answer:
            if answer.is_error:
                answer.read()
                raise _problem(answer)
            try:
                for line in _lines(answer):
                    if line.startswith(b'{"complete"'):
                        return
                    yield SeriesForecast.model_validate_json(line)
            except httpx.RemoteProtocolError as error:
                raise IncompleteStreamError("the service broke the stream off; ask again") from error
        raise IncompleteStreamError("the stream ended without its last line; ask again")

    def predict(self, series: Sequence[SeriesRequest], metric: Metric | None = None) -> PredictAnswer:
        """What-ifs. Not repeated by itself."""
        body = PredictRequest(series=list(series), metric=metric).model_dump(mode="json", exclude_none=True)
        answer = self._http.post("/v1/predict", json=body)
        if answer.is_error:
            raise _problem(answer)
        return PredictAnswer.model_validate_json(answer.content)

    def _get(self, path: str, **params: Any) -> bytes:
        answer = self._http.get(path, params=_given(params))
        if answer.is_error:
            raise _problem(answer)
        return answer.content


def _lines(answer: httpx.Response) -> Iterator[bytes]:
    """What ends with a line feed. (`iter_lines` ends lines also at U+2028 and the like, which an id may have.)"""
    rest = b""
    for part in answer.iter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        yield from lines


def _given(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters that are not None; dates as text."""
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in params.items() if v is not None}


def _problem(answer: httpx.Response) -> ProblemError:
    problem = None
    with suppress(ValidationError, json.JSONDecodeError):
        problem = ProblemBody.model_validate_json(answer.content)
    return ProblemError(answer.status_code, problem, answer.text[:200])
