"""What Prometheus may know. Labels have few values: route templates, never paths, keys or series."""

from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from shelfops_api.pipeline_metrics import PipelineMetrics
from shelfops_api.snapshot import Snapshot

__all__ = ["CONTENT_TYPE_LATEST", "Metrics", "generate_latest"]

UNMATCHED: Final = "unmatched"
"""The route of whatever is not there, so that scans do not make series."""
_METHODS: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The measures of one application; each has its own registry, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own = self.registry
        self._requests = Counter("shelfops_api_requests", "Requests", ("route", "method", "status"), registry=own)
        self._seconds = Histogram(
            "shelfops_api_request_seconds", "Time to the end of the answer", ("route",), buckets=_SECONDS, registry=own
        )
        self.refused: Final = Counter("shelfops_api_refused", "Callers turned away, by code", ("code",), registry=own)
        self.answers: Final = Counter("shelfops_api_answers", "Stored answers by origin", ("origin",), registry=own)
        self.sockets: Final = Gauge("shelfops_api_websocket_clients", "Open alert streams", registry=own)
        self.slow_sockets: Final = Counter("shelfops_api_websocket_dropped", "Streams closed as too slow", registry=own)
        self._champion = Gauge(
            "shelfops_champion_info", "1 for what serves", ("release", "version", "cold_start"), registry=own
        )
        self.published: Final = Gauge(
            "shelfops_forecasts_age_seconds", "Since the serving forecasts were published; NaN: unknown", registry=own
        )
        self.restarts: Final = Counter(
            "shelfops_api_background_restarts",
            "Work beside the requests that ended and began anew",
            ("work",),
            registry=own,
        )
        self.pipeline: Final = PipelineMetrics(own)
        self.telling: Final = Lock()
        """Held from setting states anew to writing them out: of two who ask at once neither gets half of them."""
        self.up: Final = Gauge("shelfops_up", "1 if it answers", ("service",), registry=own)

    def answered(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Count one request; `seconds` is None where the time says nothing about us."""
        self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)

    def tell_champion(self, snapshot: Snapshot | None) -> None:
        """Say what serves. One caller at a time."""
        self._champion.clear()
        if snapshot is not None:
            cold = snapshot.pointer.cold_start
            self._champion.labels(snapshot.release, snapshot.pointer.version, cold.version if cold else "").set(1)
