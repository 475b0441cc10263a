"""What routes ask for. Everything is read from the application once per request."""

from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated

import structlog
from fastapi import Depends
from starlette.requests import HTTPConnection

from shelfops_api.alert_hub import AlertHub
from shelfops_api.answers import Answers
from shelfops_api.auth import Authenticator
from shelfops_api.batching import Batcher
from shelfops_api.champion import Champion
from shelfops_api.errors import Code, Problem
from shelfops_api.keyring import KeyRing
from shelfops_api.limits import RateLimiter
from shelfops_api.metrics import Metrics
from shelfops_api.settings import ApiSettings
from shelfops_api.snapshot import Snapshot
from shelfops_api.warehouse import Warehouse


@dataclass(frozen=True)
class Services:
    """What lives as long as the application."""

    settings: ApiSettings
    warehouse: Warehouse
    champion: Champion
    keys: KeyRing
    auth: Authenticator
    limiter: RateLimiter
    metrics: Metrics
    alerts: AlertHub
    answers: Answers
    streams: BoundedSemaphore
    batcher: Batcher


# These are coroutines only because FastAPI would otherwise run each in a thread of its own.
async def _services(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services


async def _settings(services: Annotated[Services, Depends(_services)]) -> ApiSettings:
    return services.settings


async def _warehouse(services: Annotated[Services, Depends(_services)]) -> Warehouse:
    return services.warehouse


async def _metrics(services: Annotated[Services, Depends(_services)]) -> Metrics:
    return services.metrics


async def _auth(services: Annotated[Services, Depends(_services)]) -> Authenticator:
    return services.auth


async def _snapshot(services: Annotated[Services, Depends(_services)]) -> Snapshot:
    snapshot = services.champion.snapshot
    if snapshot is None:
        raise Problem(Code.NO_CHAMPION, "Train and promote a model: `shelfops train`")
    structlog.contextvars.bind_contextvars(release=snapshot.release)
    return snapshot


SettingsDep = Annotated[ApiSettings, Depends(_settings)]
WarehouseDep = Annotated[Warehouse, Depends(_warehouse)]
ServicesDep = Annotated[Services, Depends(_services)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
AuthDep = Annotated[Authenticator, Depends(_auth)]
SnapshotDep = Annotated[Snapshot, Depends(_snapshot)]
"""The release that this request is answered from: FastAPI evaluates it once, so an answer cannot mix two."""
