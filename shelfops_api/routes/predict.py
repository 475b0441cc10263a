"""What-if predictions, computed while the caller waits."""

from fastapi import APIRouter, Depends

from shelfops_api.auth import Scope, require
from shelfops_api.deps import ServicesDep, SnapshotDep
from shelfops_api.errors import Code, Fault, Problem, documented
from shelfops_api.lookup import stored_features
from shelfops_api.schemas import PredictAnswer, PredictRequest
from shelfops_api.whatif import predict_batch

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


@router.post("", responses=_PROBLEMS)
def predict(request: PredictRequest, snapshot: SnapshotDep, services: ServicesDep) -> PredictAnswer:
    """Demand of each series if its known future were as in `overrides`; without any, the forecast as planned.

    Overriding a date may change other dates too: models look at promotions, prices and closures around each date.
    """
    settings = services.settings
    if len(request.series) > settings.api_max_batch:
        raise _too_large(settings.api_max_batch, len(request.series))
    metric = request.metric or settings.metric
    features = stored_features(services, snapshot, [series.key for series in request.series])
    series = predict_batch(snapshot, features, request.series, metric)
    return PredictAnswer(release=snapshot.release, metric=metric, series=series)


def _too_large(limit: int, given: int) -> Problem:
    detail = f"{given} series; at most {limit} per request"
    fault = Fault(location="body", pointer="/series", detail=detail, code=Code.BATCH_TOO_LARGE)
    return Problem(Code.BATCH_TOO_LARGE, f"series: {detail}", [fault])
