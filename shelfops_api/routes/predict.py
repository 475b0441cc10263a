"""What-if predictions, computed while the caller waits."""

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from shelfops_api.auth import Scope, require
from shelfops_api.batching import Job
from shelfops_api.deps import ServicesDep, SnapshotDep
from shelfops_api.errors import Code, Fault, Problem, documented
from shelfops_api.lookup import held_features, stored_features
from shelfops_api.schemas import PredictAnswer, PredictRequest

router = APIRouter(prefix="/v1/predict", tags=["predict"], dependencies=[Depends(require(Scope.PREDICT))])

_PROBLEMS = documented(
    Code.BAD_REQUEST,
    Code.UNKNOWN_SERIES,
    Code.BODY_TOO_LARGE,
    Code.INVALID_REQUEST,
    Code.BATCH_TOO_LARGE,
    Code.DATE_OUTSIDE_HORIZON,
    Code.UNKNOWN_CHANNEL,
    Code.NO_CHAMPION,
    Code.RELEASE_UNPUBLISHED,
    Code.WAREHOUSE_UNAVAILABLE,
)


@router.post("", response_model=PredictAnswer, responses=_PROBLEMS)
async def predict(request: PredictRequest, snapshot: SnapshotDep, services: ServicesDep) -> Response:
    """Demand of each series if its known future were as in `overrides`; without any, the forecast as planned.

    Overriding a date may change other dates too: models look at promotions, prices and closures around each date.
    """
    settings = services.settings
    if len(request.series) > settings.api_max_batch:
        raise _too_large(settings.api_max_batch, len(request.series))
    metric = request.metric or settings.metric
    keys = {series.key for series in request.series}
    features = held_features(services, snapshot, keys)
    if len(features) < len(keys):
        features = await run_in_threadpool(
            stored_features, services, snapshot, [series.key for series in request.series]
        )
    series = await services.batcher.predict(Job(snapshot, features, request.series, metric))
    answer = PredictAnswer(release=snapshot.release, metric=metric, series=series)
    return Response(answer.model_dump_json(), media_type="application/json")


def _too_large(limit: int, given: int) -> Problem:
    detail = f"{given} series; at most {limit} per request"
    fault = Fault(location="body", pointer="/series", detail=detail, code=Code.BATCH_TOO_LARGE)
    return Problem(Code.BATCH_TOO_LARGE, f"series: {detail}", [fault])
