"""The MLflow side of experiment tracking. MLflow is imported here, when a run is logged, and nowhere else."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.run_record import BUNDLE, RunRecord

PROBE_SECONDS: Final = 3
UPLOAD_SECONDS: Final = 60
"""For artifacts only: a server that answered every call before may take longer to store a model."""
KEY_TAG: Final = "shelfops.key"
VERSION_TAG: Final = "shelfops.version"
_PARAM_LENGTH: Final = 6000  # MLflow's limit
_BATCH: Final = 100
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class TrackingUnavailableError(Exception):
    """MLflow cannot be reached, or failed while it logged a run."""


def tracking_uri(settings: Settings) -> str:
    """The settings' MLflow, or a database store in the home (MLflow 3.17 refuses a bare folder)."""
    if settings.mlflow_tracking_uri:
        return settings.mlflow_tracking_uri
    folder = settings.root / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def probe(uri: str) -> None:
    """Raise TrackingUnavailableError within seconds if nothing answers at `uri`.

    MLflow's own client would retry for minutes (a dead PostgreSQL took 101 s, a dead server 247 s).
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError

    scheme = urlsplit(uri).scheme
    try:
        if scheme in _DEFAULT_PORTS:
            parts = urlsplit(uri)
            port = parts.port or _DEFAULT_PORTS[scheme]
            socket.create_connection((parts.hostname or "", port), timeout=PROBE_SECONDS).close()
        elif scheme.startswith("postgresql"):
            engine = create_engine(make_url(uri), connect_args={"connect_timeout": PROBE_SECONDS})
            with engine.connect():
                pass
            engine.dispose()
    except (OSError, SQLAlchemyError) as error:
        raise TrackingUnavailableError(_first_line(error)) from error


def log_run(settings: Settings, run: RunRecord, uri: str, commit: str | None) -> tuple[str, str | None]:
    """Log a run and register its bundle; returns the MLflow run id and model version.

    A run with the same key that is already there, finished, is returned as it is. Raises
    TrackingUnavailableError.
    """
    probe(uri)
    with _patience(PROBE_SECONDS), _failures():
        client = _client(uri)
        experiment = _experiment(client, settings, run.dataset, uri)
        found = client.search_runs(
            [experiment],
            filter_string=f"tags.`{KEY_TAG}` = '{run.key}' and attributes.status = 'FINISHED'",
            max_results=1,
        )
        if found:
            return found[0].info.run_id, _registered(client, model_name(run.dataset, run.tier), run.version)
        started = client.create_run(
            experiment, start_time=_millis(run.started_at), tags=_tags(run, commit), run_name=run.version
        )
        run_id = str(started.info.run_id)
        _log_values(client, run_id, run)
        with _patience(UPLOAD_SECONDS):
            for name, folder in run.artifacts.items():
                client.log_artifacts(run_id, str(folder), name)
        model_version = _register(client, run, started)
        client.set_terminated(run_id, end_time=_millis(run.ended_at or datetime.now(UTC)))
        return run_id, model_version


def move_alias(uri: str, dataset: str, tier: str, version: str, alias: str) -> bool:
    """Point `alias` at the model version that holds `version`; False if MLflow does not know it."""
    probe(uri)
    with _patience(PROBE_SECONDS), _failures():
        client = _client(uri)
        number = _registered(client, model_name(dataset, tier), version)
        if number is not None:
            client.set_registered_model_alias(model_name(dataset, tier), alias, number)
        return number is not None


def model_name(dataset: str, tier: str) -> str:
    """The registered model of a dataset's tier; MLflow allows no slash or colon in it."""
    return re.sub(r"[^\w.-]+", "-", f"shelfops-{dataset}-{tier}")


def _client(uri: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read once, when MLflow is imported
    from mlflow.tracking import MlflowClient

    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a hundred lines when a store is new
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _experiment(client: Any, settings: Settings, dataset: str, uri: str) -> str:
    name = f"shelfops/{dataset}"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server decides itself where artifacts lie; without one they would land in the working directory.
    local = None if urlsplit(uri).scheme in _DEFAULT_PORTS else (settings.root / "mlflow" / "artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=local))


def _tags(run: RunRecord, commit: str | None) -> dict[str, str]:
    optional = {
        "mlflow.source.git.commit": commit,
        "dagster_run_id": run.dagster_run_id,
        "undefined_metrics": ", ".join(run.undefined) or None,
    }
    return {
        **run.tags,
        "dataset": run.dataset,
        "trigger": run.trigger,
        "version": run.version,
        "tier": run.tier,
        KEY_TAG: run.key,
        **{k: v for k, v in optional.items() if v is not None},
    }


def _log_values(client: Any, run_id: str, run: RunRecord) -> None:
    from mlflow.entities import Metric, Param

    now = _millis(run.ended_at or datetime.now(UTC))
    params = [Param(_name(k), str(v)[:_PARAM_LENGTH]) for k, v in {**run.params, "tier": run.tier}.items()]
    metrics = [Metric(_name(k), v, now, 0) for k, v in run.metrics.items() if v is not None and k not in run.undefined]
    for i in range(0, max(len(params), len(metrics)), _BATCH):
        client.log_batch(run_id, params=params[i : i + _BATCH], metrics=metrics[i : i + _BATCH])


def _register(client: Any, run: RunRecord, started: Any) -> str | None:
    """Register the bundle as it lies: a folder without pickle, which MLflow's own model flavours would need."""
    from mlflow.exceptions import MlflowException

    if BUNDLE not in run.artifacts:
        return None
    name = model_name(run.dataset, run.tier)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{started.info.artifact_uri}/{BUNDLE}"
    made = client.create_model_version(
        name, source, started.info.run_id, tags={VERSION_TAG: run.version}, await_creation_for=None
    )
    if run.alias:
        client.set_registered_model_alias(name, run.alias, made.version)
    return str(made.version)


def _registered(client: Any, name: str, version: str) -> str | None:
    """The newest MLflow version number of a registered bundle; None if there is none."""
    found = client.search_model_versions(f"name = '{name}'")
    numbers = [int(v.version) for v in found if v.tags.get(VERSION_TAG) == version]
    return str(max(numbers)) if numbers else None


@contextmanager
def _patience(seconds: int) -> Iterator[None]:
    """MLflow reads its timeouts from the environment at every request: one try, and not for long."""
    ours = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _failures() -> Iterator[None]:
    """Whatever MLflow, its database or its network raises becomes TrackingUnavailableError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingUnavailableError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    """Type and first line, without a password that a database URL in the message may hold."""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {re.sub(r'://[^@/ ]*@', '://…@', text)}"


def _name(text: str) -> str:
    """MLflow allows letters, digits and a little punctuation in names."""
    return re.sub(r"[^\w.\-/ ]", "_", text)


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
