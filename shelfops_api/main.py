"""The service: `uvicorn shelfops_api.main:app`. It connects to nothing before it starts to serve."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from shelfops_api import errors
from shelfops_api.champion import Champion
from shelfops_api.deps import Services
from shelfops_api.logs import json_logs
from shelfops_api.middleware import BodyLimit, RequestContext
from shelfops_api.routes import champion, forecasts, health, predict
from shelfops_api.settings import ApiSettings
from shelfops_api.warehouse import Warehouse, WarehouseState


class Api(FastAPI):
    """FastAPI whose documentation knows our one error schema."""

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        schema["components"]["schemas"].update(errors.problem_schemas())
        return schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    with json_logs(services.settings.api_log_level):
        await asyncio.to_thread(services.champion.refresh)
        watch = asyncio.create_task(services.champion.watch(services.settings.api_poll_seconds))
        yield
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        services.warehouse.close()


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The application; settings default to the environment's."""
    settings = settings or ApiSettings()
    warehouse = Warehouse(settings)
    watched = Champion(
        settings.models, is_published=lambda release: warehouse.state(release) is WarehouseState.PUBLISHED
    )
    app = Api(
        title="ShelfOps",
        version=version("shelfops"),
        summary="Demand forecasts of one retailer, and what-ifs on the model that made them",
        responses=errors.documented(errors.Code.INTERNAL_ERROR),
        lifespan=_lifespan,
    )
    app.state.services = Services(settings, warehouse, watched)
    for room in (health, champion, forecasts, predict):
        app.include_router(room.router)
    errors.install(app)
    app.add_middleware(BodyLimit, max_bytes=settings.api_max_body_bytes)
    app.add_middleware(RequestContext)  # added last, so outermost
    return app


app = create_app()
