"""Builds what lives as long as the application, and says what runs beside its requests."""

from collections.abc import Iterator
from threading import BoundedSemaphore

from shelfops_api.alert_hub import AlertHub
from shelfops_api.announcements import listen_for_releases
from shelfops_api.answers import Answers
from shelfops_api.auth import Authenticator
from shelfops_api.background import Work
from shelfops_api.batching import Batcher
from shelfops_api.champion import Champion, release_memory
from shelfops_api.deps import Services
from shelfops_api.keyring import KeyRing
from shelfops_api.limits import RateLimiter
from shelfops_api.memory_cache import MemoryCache
from shelfops_api.metrics import Metrics
from shelfops_api.settings import ApiSettings
from shelfops_api.shared_cache import SharedCache
from shelfops_api.warehouse import Warehouse
from shelfops_pipeline.store.bus import check_redis_url


def build_services(settings: ApiSettings) -> Services:
    """Connects to nothing. Raises ShelfOpsError for settings that are refused."""
    if settings.redis_url is not None:
        check_redis_url(settings.redis_url.get_secret_value())
    warehouse, limiter, measures = Warehouse(settings), RateLimiter(settings), Metrics()
    keys = KeyRing(warehouse, settings)
    return Services(
        settings=settings,
        warehouse=warehouse,
        champion=Champion(settings.models, settings.retailer, warehouse.last_seen_published),
        keys=keys,
        auth=Authenticator(settings, keys, limiter, measures),
        limiter=limiter,
        metrics=measures,
        alerts=AlertHub(settings, warehouse, measures),
        answers=Answers(MemoryCache(round(settings.api_cache_mb * 1e6)), _shared_cache(settings), measures.answers),
        batcher=Batcher(),
        streams=BoundedSemaphore(settings.api_max_streams),
    )


def background_work(services: Services) -> Iterator[Work]:
    """What is done until the service ends."""
    settings, serving = services.settings, services.champion

    def swapped() -> None:
        services.answers.memory.keep_only(None if serving.snapshot is None else serving.snapshot.edition)
        release_memory()

    yield Work("champion", lambda: serving.watch(settings.api_poll_seconds, swapped))
    yield Work("keys", services.keys.watch)
    yield Work("limits", services.limiter.watch)
    yield Work("alerts", services.alerts.watch)
    if (url := settings.redis_url) is not None:
        redis = url.get_secret_value()
        yield Work("releases", lambda: listen_for_releases(redis, settings.retailer, serving.wake))


def _shared_cache(settings: ApiSettings) -> SharedCache | None:
    url = settings.redis_url
    return None if url is None else SharedCache(url.get_secret_value(), settings.retailer, settings.api_cache_seconds)
