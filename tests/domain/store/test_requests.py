"""A request for retraining is one request however often it is asked, and is worked on once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.store.requests import (
    KeyReusedError,
    add_request,
    claim_requests,
    mark_failed,
    mark_finished,
    mark_started,
    retrain_request,
    unfinished_requests,
)
from tests.domain.store.support import SHOP


def ask(engine: Engine, key: str, dataset: str = SHOP) -> str:
    return add_request(engine, dataset, key, requested_by="planner", reason="new shelves")[0].request_id


def status(engine: Engine, request_id: str) -> str:
    found = retrain_request(engine, request_id)
    assert found is not None
    return found.status


def test_the_same_key_is_the_same_request(warehouse: Engine) -> None:
    first, new = add_request(warehouse, SHOP, "k1", requested_by="planner", reason="new shelves")
    again, still_new = add_request(warehouse, SHOP, "k1", requested_by="someone else", reason="new shelves")
    assert (new, still_new) == (True, False)
    assert again == first
    assert first.status == "waiting"
    assert ask(warehouse, "k1", "another shop") != first.request_id


def test_a_key_that_was_used_for_something_else_is_refused(warehouse: Engine) -> None:
    ask(warehouse, "k1")
    with pytest.raises(KeyReusedError, match="another reason, 'new shelves': make up a new key for a new wish"):
        add_request(warehouse, SHOP, "k1", requested_by="planner", reason="sale")


def test_many_who_ask_at_once_with_one_key_get_one_request(warehouse: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: ask(warehouse, "k1"), range(16)))) == 1


def test_a_request_is_claimed_once_and_in_the_order_of_asking(warehouse: Engine) -> None:
    asked = [ask(warehouse, key) for key in ("a", "b", "c")]
    ask(warehouse, "d", "another shop")
    assert [r.request_id for r in claim_requests(warehouse, SHOP)] == asked
    assert claim_requests(warehouse, SHOP) == []
    assert [r.request_id for r in unfinished_requests(warehouse, SHOP)] == asked


def test_those_who_claim_at_once_share_the_requests(warehouse: Engine) -> None:
    asked = {ask(warehouse, str(n)) for n in range(20)}
    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(lambda _: claim_requests(warehouse, SHOP), range(4)))
    found = [request.request_id for share in shares for request in share]
    assert len(found) == len(asked)
    assert set(found) == asked


def test_a_claim_from_which_no_run_came_can_be_claimed_again(warehouse: Engine) -> None:
    lost, taken = ask(warehouse, "lost"), ask(warehouse, "taken")
    claim_requests(warehouse, SHOP)
    mark_started(warehouse, taken, "run")
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE retrain_requests SET claimed_at = claimed_at - interval '11 minutes'"))
    assert [r.request_id for r in claim_requests(warehouse, SHOP)] == [lost]


def test_a_request_ends_once(warehouse: Engine) -> None:
    good, bad = ask(warehouse, "good"), ask(warehouse, "bad")
    claim_requests(warehouse, SHOP)
    for request_id in (good, bad):
        mark_started(warehouse, request_id, "run")
    mark_finished(warehouse, good, "run")
    mark_failed(warehouse, bad, "run", "step lstm failed")
    mark_failed(warehouse, good, "run", "too late")
    mark_started(warehouse, bad, "another run")
    assert (status(warehouse, good), status(warehouse, bad)) == ("succeeded", "failed")
    ended = retrain_request(warehouse, bad)
    assert ended is not None
    assert (ended.run_id, ended.error) == ("run", "step lstm failed")
    assert ended.finished_at is not None
    assert unfinished_requests(warehouse, SHOP) == []
