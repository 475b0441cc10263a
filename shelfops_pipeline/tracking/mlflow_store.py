"""The MLflow side of experiment tracking. MLflow is imported here, in a process of its own (`worker`), and only here.

A run may be found half-logged, by an attempt that was cut off: every write here can be repeated, and the last one says
that the run is complete.
"""

import http
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import dagster as dg
import mlflow
from dagster_mlflow import mlflow_tracking
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from shelfops_pipeline.tracking.aliases import model_name
from shelfops_pipeline.tracking.outbox import Aliases
from shelfops_pipeline.tracking.probe import WEB, TrackingUnavailableError, artifact_folder, first_line, is_remote
from shelfops_pipeline.tracking.run_record import BUNDLE, RunRecord

KEY_TAG: Final = "shelfops.key"
VERSION_TAG: Final = "shelfops.version"
COMPLETE_TAG: Final = "shelfops.complete"
"""Set when everything of a run is there. Its status does not say so: MLflow calls a run finished when the process that
logged it ends, however it ends."""
_PARAM_LENGTH: Final = 6000  # MLflow's limit
_TAG_LENGTH: Final = 5000
_BATCH: Final = 100
_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"
"""Another process made the same thing a moment ago: the next attempt finds it."""


class RunRefusedError(Exception):
    """MLflow answers, and will not have this run."""


@dataclass(frozen=True)
class Store:
    """One MLflow; `root` is the home, in which the embedded one keeps its artifacts."""

    uri: str
    root: Path
    client: Any

    @classmethod
    def open(cls, uri: str, root: Path) -> "Store":
        for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
            logging.getLogger(name).setLevel(logging.WARNING)  # a hundred lines when a store is new
        if not is_remote(uri):
            artifact_folder(root).mkdir(parents=True, exist_ok=True)
        with failures():
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            return cls(uri, root, MlflowClient(tracking_uri=uri, registry_uri=uri))

    def log_run(self, run: RunRecord, commit: str | None) -> tuple[str, str | None]:
        """Log a run and register its bundle; returns the MLflow run id and model version.

        A run with the same key that is complete is returned as it is; one that is not is completed. Raises
        TrackingUnavailableError, RunRefusedError.
        """
        with failures():
            experiment = self._experiment(run.dataset)
            found = self._runs(experiment, run.key)
            if complete := [r for r in found if COMPLETE_TAG in r.data.tags]:
                return complete[0].info.run_id, self._registered(run)
            run_id = str(found[0].info.run_id if found else self._create(experiment, run))
            self._set_values(run_id, run)
            with _opened(self.uri, run, run_id, _tags(run, commit)) as api:
                for name, folder in run.artifacts.items():
                    api.log_artifacts(str(folder), name)
            number = self._register(run, run_id)
            self.client.set_terminated(run_id, end_time=_millis(run))
            self._remove_twins(experiment, run, run_id, number)
            self.client.set_tag(run_id, COMPLETE_TAG, "true")
            return run_id, number

    def set_aliases(self, wanted: Aliases) -> dict[str, dict[str, str | None]]:
        """Point every alias at the version it is meant for; returns the key that each one has now.

        An alias for a run that MLflow does not have stays where it is: behind, until the run is logged.
        """
        with failures():
            return {name: self._set_model_aliases(name, aliases) for name, aliases in wanted.items()}

    def _set_model_aliases(self, name: str, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
        versions = self.client.search_model_versions(f"name = '{name}'")
        numbers = {v.tags.get(KEY_TAG): str(v.version) for v in sorted(versions, key=lambda v: int(v.version))}
        keys = {number: key for key, number in numbers.items()}
        present = {str(k): str(v) for k, v in self._aliases(name).items()}
        for alias, key in wanted.items():
            if key is None and alias in present:
                self.client.delete_registered_model_alias(name, alias)
                del present[alias]
            elif key in numbers and present.get(alias) != numbers[key]:
                self.client.set_registered_model_alias(name, alias, numbers[key])
                present[alias] = numbers[key]
        return {alias: keys.get(present[alias]) if alias in present else None for alias in wanted}

    def _aliases(self, name: str) -> dict[str, str]:
        found = self.client.search_registered_models(f"name = '{name}'")
        return dict(found[0].aliases) if found else {}

    def _experiment(self, dataset: str) -> str:
        name = experiment_name(dataset)
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # A server decides itself where artifacts lie; without one they would land in the working directory.
        local = None if urlsplit(self.uri).scheme in WEB else artifact_folder(self.root).as_uri()
        return str(self.client.create_experiment(name, artifact_location=local))

    def _runs(self, experiment: str, key: str) -> list[Any]:
        """Every run with this key, the one that was begun first in front."""
        found = self.client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", order_by=["attributes.start_time"])
        return list(found)

    def _create(self, experiment: str, run: RunRecord) -> str:
        start = _millis(run, timedelta(seconds=run.seconds or 0))
        made = self.client.create_run(experiment, start, {KEY_TAG: run.key}, run.version)
        return str(made.info.run_id)

    def _set_values(self, run_id: str, run: RunRecord) -> None:
        params = [Param(_name(k), str(v)[:_PARAM_LENGTH]) for k, v in {**run.params, "tier": run.tier}.items()]
        now = _millis(run)  # the same in every attempt: a value that is there already is not logged twice
        metrics = [Metric(_name(k), v, now, step) for k, step, v in run.values() if v is not None]
        for i in range(0, max(len(params), len(metrics)), _BATCH):
            self.client.log_batch(run_id, params=params[i : i + _BATCH], metrics=metrics[i : i + _BATCH])

    def _register(self, run: RunRecord, run_id: str) -> str | None:
        """Register the bundle as it lies: a folder without pickle, which MLflow's own model flavours would need."""
        if BUNDLE not in run.artifacts:
            return None
        if there := self._registered(run):
            return there
        name = model_name(run.dataset, run.tier)
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{BUNDLE}"
        tags = {VERSION_TAG: run.version, KEY_TAG: run.key}
        made = self.client.create_model_version(name, source, run_id, tags=tags, await_creation_for=None)
        return str(made.version)

    def _registered(self, run: RunRecord) -> str | None:
        numbers = [int(v.version) for v in self._model_versions(run)]
        return str(max(numbers)) if numbers else None

    def _model_versions(self, run: RunRecord) -> list[Any]:
        found = self.client.search_model_versions(f"name = '{model_name(run.dataset, run.tier)}'")
        return [v for v in found if v.tags.get(KEY_TAG) == run.key]

    def _remove_twins(self, experiment: str, run: RunRecord, run_id: str, number: str | None) -> None:
        """A slow server may have carried out, late, what an attempt that was given up had asked it for."""
        for twin in self._runs(experiment, run.key):
            if twin.info.run_id != run_id:
                self.client.delete_run(twin.info.run_id)
        for version in self._model_versions(run):
            if str(version.version) != number:
                self.client.delete_model_version(version.name, version.version)


def experiment_name(dataset: str) -> str:
    """The MLflow experiment that holds a data set's runs."""
    return f"shelfops/{dataset}"


@contextmanager
def _opened(uri: str, run: RunRecord, run_id: str, tags: dict[str, str]) -> Iterator[Any]:
    """The run as dagster-mlflow's resource, which ties it to the Dagster run; without a Dagster run, MLflow itself.

    Ended in any case: the next run that is opened would log into this one.
    """
    status = "FAILED"
    try:
        if run.dagster_run_id is None:
            mlflow.set_experiment(experiment_name(run.dataset))
            mlflow.start_run(run_id)
            mlflow.set_tags(tags)
            yield mlflow
        else:
            with dg.build_resources(
                {"mlflow": mlflow_tracking},
                resource_config={"mlflow": {"config": _resource_config(uri, run, run_id, tags)}},
                dagster_run=dg.DagsterRun(job_name=run.version, run_id=run.dagster_run_id),
            ) as resources:
                yield resources.mlflow
        status = "FINISHED"
    finally:
        if mlflow.active_run() is not None:
            mlflow.end_run(status)


def _resource_config(uri: str, run: RunRecord, run_id: str, tags: dict[str, str]) -> dict[str, Any]:
    return {
        "experiment_name": experiment_name(run.dataset),
        "mlflow_tracking_uri": uri,
        "mlflow_run_id": run_id,
        "env": {},
        "extra_tags": tags,
    }


def _tags(run: RunRecord, commit: str | None) -> dict[str, str]:
    optional = {
        "mlflow.source.git.commit": commit,
        "git_commit": commit,
        "dagster_run_id": run.dagster_run_id,
        "undefined_metrics": ", ".join(run.undefined)[:_TAG_LENGTH] or None,
    }
    return {
        **{k: v[:_TAG_LENGTH] for k, v in run.tags.items()},
        "dataset": run.dataset,
        "trigger": run.trigger,
        "version": run.version,
        "tier": run.tier,
        **{k: v for k, v in optional.items() if v is not None},
        "mlflow.runName": run.version,
        KEY_TAG: run.key,
    }


@contextmanager
def failures() -> Iterator[None]:
    """Whatever MLflow, its database or its network raises becomes TrackingUnavailableError, or RunRefusedError where
    MLflow answered that what it was asked is wrong (not: that we may not ask, or too often)."""
    try:
        yield
    except dg.DagsterResourceFunctionError as error:  # around what MLflow raised in dagster-mlflow
        raise _ours(error.user_exception) from error
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _ours(error) from error


def _ours(error: Exception) -> Exception:
    if isinstance(error, MlflowException):
        wrong = error.get_http_status_code() == http.HTTPStatus.BAD_REQUEST and error.error_code != _EXISTS
        return (RunRefusedError if wrong else TrackingUnavailableError)(first_line(error))
    if isinstance(error, SQLAlchemyError | OSError):
        return TrackingUnavailableError(first_line(error))
    return error


def _name(text: str) -> str:
    """MLflow allows letters, digits and a little punctuation in names."""
    return re.sub(r"[^\w.\-/ ]", "_", text)


def _millis(run: RunRecord, before: timedelta = timedelta()) -> int:
    return int((run.made_at - before).timestamp() * 1000)
