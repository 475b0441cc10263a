"""What Prometheus may know of the pipeline: told by the warehouse and the champion, whichever process is asked."""

from datetime import UTC, datetime, time
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from shelfops_api.snapshot import Snapshot
from shelfops_pipeline.store.runs import PipelineState


class PipelineMetrics:
    """Gauges, set anew each time that somebody asks; what is not known has no value. One caller at a time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, labels, registry=registry)

        self._ended: Final = gauge(
            "shelfops_run_last_end_timestamp_seconds", "When the latest run of a job ended", "job", "status"
        )
        self._seconds: Final = gauge(
            "shelfops_run_last_duration_seconds", "How long the latest run of a job took", "job", "status"
        )
        self._alerts: Final = gauge("shelfops_operational_alerts", "Causes for which runs fail now", "job")
        self._requests: Final = gauge("shelfops_retrain_requests", "Retrain requests that are not done", "status")
        self._quality: Final = gauge("shelfops_champion_metric", "Backtest of what serves", "tier", "version", "metric")
        self._cutoff: Final = gauge(
            "shelfops_champion_training_cutoff_timestamp_seconds", "Last day seen in training", "tier", "version"
        )

    def tell(self, state: PipelineState | None, snapshot: Snapshot | None) -> None:
        """Set every gauge to what is known now; None: nothing is."""
        for gauge in (self._ended, self._seconds, self._alerts, self._requests, self._quality, self._cutoff):
            gauge.clear()
        if snapshot is not None:
            self._tell_champion(snapshot)
        if state is not None:
            self._tell_runs(state)

    def _tell_champion(self, snapshot: Snapshot) -> None:
        for version, manifest in snapshot.manifests.items():
            known = {name: value for name, value in manifest.metrics.items() if value is not None}
            for name, value in known.items():
                self._quality.labels(manifest.tier, version, name).set(value)
            midnight = datetime.combine(manifest.training_cutoff, time(), UTC)
            self._cutoff.labels(manifest.tier, version).set(midnight.timestamp())

    def _tell_runs(self, state: PipelineState) -> None:
        for run in state.latest:
            self._ended.labels(run.job, run.status).set(run.ended_at.timestamp())
            self._seconds.labels(run.job, run.status).set((run.ended_at - run.started_at).total_seconds())
        for job, count in state.open_alerts.items():
            self._alerts.labels(job).set(count)
        for status, count in state.requests.items():
            self._requests.labels(status).set(count)
