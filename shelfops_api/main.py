"""The service: `uvicorn shelfops_api.main:app`. It connects to nothing before it starts to serve."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.middleware.cors import CORSMiddleware

from shelfops_api import errors
from shelfops_api.background import running
from shelfops_api.body import BodyLimit
from shelfops_api.build import background_work, build_services
from shelfops_api.deps import Services
from shelfops_api.documentation import Api
from shelfops_api.logs import json_logs
from shelfops_api.middleware import RequestContext
from shelfops_api.routes import (
    alerts,
    champion,
    explanations,
    flags,
    forecasts,
    health,
    history,
    metrics,
    models,
    orders,
    page,
    predict,
    reorder_plan,
    retrain,
    stream,
    tokens,
    totals,
)
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.errors import ShelfOpsError

# In the order in which FastAPI tries them: each costs about 8 us, so what is asked most comes first.
_ROOMS: Final = (
    predict,
    forecasts,
    health,
    metrics,
    tokens,
    champion,
    explanations,
    history,
    totals,
    alerts,
    stream,
    orders,
    reorder_plan,
    flags,
    models,
    retrain,
    page,
)
ROUTERS: Final = tuple(room.router for room in _ROOMS)

_CORS: Final[dict[str, Any]] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": ["Authorization", "X-API-Key", "X-Request-ID", "Idempotency-Key", "If-None-Match", "If-Match"],
    "expose_headers": ["ETag", "Location", "X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"],
}

log = structlog.get_logger(__name__)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    with json_logs(services.settings.api_log_level, services.settings.retailer):
        await asyncio.to_thread(services.champion.refresh)
        log.info("started", mode=services.settings.api_mode, open_without_credentials_to=services.auth.open_to)
        async with running(background_work(services), services.metrics):
            yield
        services.answers.close()
        services.warehouse.close()


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application; settings default to the environment's. Raises ShelfOpsError for those that it refuses."""
    settings = settings or ApiSettings()
    services = build_services(settings)
    app = Api(
        ROUTERS,
        title="ShelfOps",
        version=version("shelfops"),
        summary="Demand forecasts of one retailer, and what-ifs on the model that made them",
        responses=errors.documented(errors.Code.INTERNAL_ERROR),
        lifespan=_lifespan,
        generate_unique_id_function=lambda route: route.name,  # short names in generated clients
    )
    app.state.services = services
    errors.install(app)
    app.add_middleware(BodyLimit, max_bytes=settings.api_max_body_bytes)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=sorted(settings.cors_origins), **_CORS)
    app.add_middleware(RequestContext, metrics=services.metrics)  # added last, so outermost
    return app


def _from_environment() -> FastAPI:
    """What uvicorn serves; refused settings end the process with one line."""
    try:
        return create_app()
    except ValidationError as error:
        faults = [f"SHELFOPS_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SystemExit(f"shelfops: {'; '.join(faults)}") from None
    except ShelfOpsError as error:
        raise SystemExit(f"shelfops: {error}") from None


app = _from_environment()
