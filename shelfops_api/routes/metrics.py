"""For Prometheus."""

import math
import time

import structlog
from fastapi import APIRouter, Depends
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from shelfops_api.auth import require
from shelfops_api.deps import MetricsDep, Services, ServicesDep
from shelfops_api.documentation import GUARDED, security
from shelfops_api.errors import documented
from shelfops_api.metrics import CONTENT_TYPE_LATEST, generate_latest
from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import reason_of
from shelfops_pipeline.store.reads import latest_release
from shelfops_pipeline.store.runs import PipelineState, pipeline_state

_PATIENCE_SECONDS = 1.0

log = structlog.get_logger(__name__)


async def _guard(connection: HTTPConnection, services: ServicesDep) -> None:
    if services.settings.api_metrics_auth == "on":
        await require(Scope.READ)(connection)


router = APIRouter(tags=["health"], dependencies=[Depends(_guard)])


@router.get(
    "/metrics",
    response_class=Response,
    responses=documented(*GUARDED) | {200: {"content": {CONTENT_TYPE_LATEST: {}}}},
    openapi_extra={"security": [{}, *security(Scope.READ)]},
)
def metrics(metrics: MetricsDep, services: ServicesDep) -> Response:
    """Counts, times and states of this process, in Prometheus' text format.

    Anybody may ask, unless `SHELFOPS_API_METRICS_AUTH=on`: then it needs the scope `read`.
    """
    published, state, snapshot = _published(services), _pipeline(services), services.champion.snapshot
    metrics.published.set(math.nan if published is None else time.time() - published)
    if services.settings.redis_url is not None:
        metrics.up.labels("redis").set(_redis_answers(services.settings.redis_url.get_secret_value()))
    with metrics.telling:
        metrics.tell_champion(snapshot)
        metrics.pipeline.tell(state, snapshot)
        text = generate_latest(metrics.registry)  # type: ignore[no-untyped-call]
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _published(services: Services) -> float | None:
    """When the newest forecasts were published (UNIX time); notes on the way whether the warehouse answers."""
    try:
        release = latest_release(services.warehouse.engine(), services.settings.retailer)
    except (ShelfOpsError, SQLAlchemyError):
        services.metrics.up.labels("warehouse").set(0)
        return None
    services.metrics.up.labels("warehouse").set(1)
    return None if release is None else release.published_at.timestamp()


def _pipeline(services: Services) -> PipelineState | None:
    try:
        return pipeline_state(services.warehouse.engine(), services.settings.retailer)
    except (ShelfOpsError, SQLAlchemyError) as error:
        log.warning("pipeline_not_told", reason=reason_of(error))
        return None


def _redis_answers(url: str) -> bool:
    retry = Retry(NoBackoff(), 0)
    client = Redis.from_url(
        url, socket_timeout=_PATIENCE_SECONDS, socket_connect_timeout=_PATIENCE_SECONDS, retry=retry
    )
    try:
        with client:
            return bool(client.ping())
    except RedisError:
        return False
