"""Every model version of the retailer, from the registry beside the bundles."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Depends
from pydantic import Field

from shelfops_api.auth import Scope, require
from shelfops_api.deps import SettingsDep
from shelfops_api.errors import Code, documented
from shelfops_api.operations import Told
from shelfops_api.registry import read_registry
from shelfops_api.schemas import example_of
from shelfops_pipeline.contracts.columns import Status, Tier

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[Depends(require(Scope.READ))])

_MODEL: Final[dict[str, Any]] = {
    "version": "v2",
    "feature_tier": "production",
    "status": "champion",
    "mae": 3.21,
    "created_at": "2026-01-05T03:05:02Z",
    "reason": "MAE 3.21 against 3.45 on the same folds",
    "history": [
        {
            "status": "champion",
            "at": "2026-01-05T03:12:44Z",
            "by": "gate",
            "reason": "MAE 3.21 against 3.45 on the same folds",
        }
    ],
}


class ModelChange(Told):
    """What was once decided about a version."""

    model_config = example_of(_MODEL["history"][0])

    status: Status
    at: datetime
    by: str
    reason: str


class Model(Told):
    """One version of a model."""

    model_config = example_of(_MODEL)

    version: str
    feature_tier: Tier
    status: Status
    mae: float | None = Field(description="Backtest MAE of the median, units per period")
    created_at: datetime
    reason: str
    history: list[ModelChange] = Field(description="Every change of its status, oldest first")


class Models(Told):
    """Every version ever registered, oldest first."""

    model_config = example_of({"models": [_MODEL]})

    models: list[Model]


@router.get("", responses=documented(Code.INVALID_REQUEST, Code.REGISTRY_DAMAGED))
def list_models(settings: SettingsDep, tier: Tier | None = None, status: Status | None = None) -> Models:
    """The versions that match; those that serve are of status `champion`, one per tier."""
    return Models(
        models=[
            Model.model_validate(entry)
            for entry in read_registry(settings.models)
            if tier in (None, entry.feature_tier) and status in (None, entry.status)
        ]
    )
