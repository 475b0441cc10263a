"""Runs that the daemon repeats: what they made before counts, and what waits for them goes on waiting."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, PARENT_RUN_ID_TAG, RESUME_RETRY_TAG, WILL_RETRY_TAG
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import Engine

from shelfops_pipeline.defs.lifecycle import first_run
from shelfops_pipeline.defs.retraining import REQUEST, settle
from shelfops_pipeline.store.requests import add_request, claim_requests, retrain_request

FAILED, SUCCEEDED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


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


def test_a_request_waits_for_the_run_that_repeats_its_failed_one(
    instance: dg.DagsterInstance, warehouse: Engine
) -> None:
    asked, _ = add_request(warehouse, "shop", "key", requested_by="ann")
    claim_requests(warehouse, "shop")

    def status() -> str:
        settle(instance, warehouse, "shop")
        found = retrain_request(warehouse, asked.request_id)
        assert found is not None
        return found.status

    tag = {REQUEST: asked.request_id}
    failed = create_run_for_test(instance, status=FAILED, tags=tag | {WILL_RETRY_TAG: "true"})
    assert status() == "claimed"
    instance.add_run_tags(failed.run_id, {AUTO_RETRY_RUN_ID_TAG: "x"})
    create_run_for_test(instance, status=SUCCEEDED, tags=tag)
    assert status() == "succeeded"


def test_a_request_fails_with_a_run_that_is_not_repeated(instance: dg.DagsterInstance, warehouse: Engine) -> None:
    asked, _ = add_request(warehouse, "shop", "key", requested_by="ann")
    claim_requests(warehouse, "shop")
    create_run_for_test(instance, status=FAILED, tags={REQUEST: asked.request_id, WILL_RETRY_TAG: "false"})
    settle(instance, warehouse, "shop")
    found = retrain_request(warehouse, asked.request_id)
    assert found is not None
    assert found.status == "failed"
