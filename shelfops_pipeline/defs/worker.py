"""The Celery app of a worker:

    celery --app shelfops_pipeline.defs.worker worker --queues ml --hostname ml@%h

with SHELFOPS_* and DAGSTER_HOME as the code server has them. One step at a time; more workers divide the steps.
"""

import gc
import signal
from typing import Any, Final

from celery import Task
from celery.exceptions import Ignore
from celery.signals import worker_init, worker_process_init
from dagster import DagsterInstance
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import unpack_value
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task

from shelfops_pipeline.defs.executor import app_args, broker_url
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.keeper import die_with_parent

DEFINITIONS: Final = "shelfops_pipeline.definitions"


class StepOfLiveRun(Task):  # type: ignore[misc]  # Celery has no types
    """A step is only done for a run that is at work: one that failed meanwhile was started again, as another run."""

    resultrepr_maxsize = 80  # of the worker's log, in which the step's events would be repeated

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        step = unpack_value(kwargs["execute_step_args_packed"], as_type=ExecuteStepArgs)
        if step.instance_ref is None:
            raise ValueError("a step of no instance")
        with DagsterInstance.from_ref(step.instance_ref) as instance:
            run = instance.get_run_by_id(step.run_id)
        if run is None or run.is_finished:
            raise Ignore(f"run {step.run_id} is over")
        return super().__call__(*args, **kwargs)


app = make_app(app_args(broker_url(Settings())))
app.conf.imports = [DEFINITIONS]  # where they cannot be imported, no worker starts
create_task(app, base=StepOfLiveRun)


def die_with_worker(**_: Any) -> None:
    """A worker that is killed takes its step with it: else the step would go on beside its repetition."""
    die_with_parent(signal.SIGKILL)


def load_definitions(**_: Any) -> None:
    """Once, when a worker starts: each step's process is forked from it, and need not do it again. They import no
    TensorFlow, which does not bear a fork."""
    ReconstructableRepository.for_module(DEFINITIONS, "defs").get_definition()
    gc.freeze()  # Celery collects garbage before each fork, and need not look through all of this for it


worker_init.connect(load_definitions)
worker_process_init.connect(die_with_worker)
