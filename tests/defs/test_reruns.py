"""Runs that the daemon repeats: what they made before counts."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RESUME_RETRY_TAG
from dagster._core.test_utils import create_run_for_test

from shelfops_pipeline.defs.lifecycle import first_run

FAILED = dg.DagsterRunStatus.FAILURE


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def repeated(instance: dg.DagsterInstance, parent: dg.DagsterRun, *, from_failure: bool) -> dg.DagsterRun:
    """A run that was made to repeat another."""
    tags = {PARENT_RUN_ID_TAG: parent.run_id, RESUME_RETRY_TAG: str(from_failure).lower()}
    return create_run_for_test(instance, parent_run_id=parent.run_id, root_run_id=parent.run_id, tags=tags)


def test_a_run_repeated_from_its_failure_is_the_first_one_again(instance: dg.DagsterInstance) -> None:
    first = create_run_for_test(instance, status=FAILED)
    second = repeated(instance, first, from_failure=True)
    third = repeated(instance, second, from_failure=True)
    assert [first_run(instance, run) for run in (first, second, third)] == [first.run_id] * 3
    anew = repeated(instance, third, from_failure=False)
    assert first_run(instance, anew) == anew.run_id
    instance.delete_run(first.run_id)
    assert first_run(instance, second) == first.run_id
