"""Why the stored forecasts are what they are."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from shelfops_api.auth import Scope, require
from shelfops_api.conditional import UNCHANGED, json_answer, not_modified
from shelfops_api.deps import ServicesDep, SnapshotDep
from shelfops_api.errors import Code, documented
from shelfops_api.explanation_schemas import SeriesExplanation
from shelfops_api.lookup import explanation_answer
from shelfops_api.schemas import SeriesId
from shelfops_api.series_route import SERIES, SeriesRoute

router = APIRouter(
    prefix="/v1/explanations",
    tags=["explanations"],
    route_class=SeriesRoute,
    dependencies=[Depends(require(Scope.READ))],
)

_PROBLEMS = documented(
    Code.UNKNOWN_SERIES,
    Code.NOT_EXPLAINED,
    Code.INVALID_REQUEST,
    Code.NO_CHAMPION,
    Code.RELEASE_UNPUBLISHED,
    Code.WAREHOUSE_UNAVAILABLE,
)


@router.get(
    f"/{SERIES}",
    operation_id="get_explanation",
    response_model=SeriesExplanation,
    responses=UNCHANGED | _PROBLEMS,
)
async def series_explanation(
    request: Request,
    snapshot: SnapshotDep,
    services: ServicesDep,
    store_id: Annotated[SeriesId, Path(examples=["S01"])],
    item_id: Annotated[SeriesId, Path(examples=["I003"])],
) -> Response:
    """What moves the forecast of one item in one store, in units and in words, period by period and together.

    These are SHAP values that were computed when the forecast was made. Periods on which the store is closed have no
    reasons.
    """
    if unchanged := not_modified(request, snapshot.edition):
        return unchanged
    key = (store_id, item_id)
    stored = await services.answers.find(
        snapshot.edition,
        ("explanation", *key),
        lambda: explanation_answer(services.warehouse, snapshot.release, key),
    )
    return json_answer(stored.body, stored.edition)
