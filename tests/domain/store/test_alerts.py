"""Alerts live on from release to release: raised once, changed, resolved by themselves or by somebody."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.contracts.messages import AlertEvent, AlertMessage
from shelfops_pipeline.contracts.replenishment import AlertStatus
from shelfops_pipeline.store.alert_sync import prune_alerts, sync_alerts
from shelfops_pipeline.store.alerts import (
    AlertStateError,
    UnknownAlertError,
    acknowledge,
    alert_message,
    count_alerts,
    list_alerts,
    read_alert,
    resolve,
)
from shelfops_pipeline.store.replenishment_records import Alert, StockAlert

SHOP = "shop"
MONDAY = datetime(2025, 3, 3, 6, tzinfo=UTC)
RAISED, UPDATED, RESOLVED = AlertEvent.RAISED, AlertEvent.UPDATED, AlertEvent.RESOLVED


def alert(item: str, severity: str = "high", store: str = "s1", kind: str = "stockout_risk") -> Alert:
    return Alert(store, item, kind, severity, f"{item} may run out", {"days": 2.5, "ratio": math.nan})


def sync(engine: Engine, *alerts: Alert, day: int = 0, dataset: str = SHOP) -> list[tuple[AlertEvent, str]]:
    """What happened to which item."""
    at = MONDAY + timedelta(days=day)
    return [(event, a.item_id) for event, a in sync_alerts(engine, dataset, f"r{day}", alerts, at=at)]


def the(engine: Engine, item: str) -> StockAlert:
    (found,) = list_alerts(engine, SHOP, item_id=item)
    return found


def test_an_alert_is_raised_once_and_lives_on_in_later_releases(warehouse: Engine) -> None:
    assert sync(warehouse, alert("a"), alert("b"), alert("b")) == [(RAISED, "a"), (RAISED, "b")]
    before = the(warehouse, "a")
    assert (before.status, before.raised_release, before.release) == ("open", "r0", "r0")
    assert before.details == {"days": 2.5, "ratio": None}
    assert sync(warehouse, alert("a"), alert("b"), day=1) == []
    after = the(warehouse, "a")
    assert (after.alert_id, after.raised_at, after.updated_at) == (before.alert_id, MONDAY, MONDAY)
    assert (after.raised_release, after.release) == ("r0", "r1")


def test_one_whose_figures_change_is_told_and_keeps_its_state(warehouse: Engine) -> None:
    sync(warehouse, alert("a"))
    seen = acknowledge(warehouse, SHOP, the(warehouse, "a").alert_id, who="ann")
    assert (seen.status, seen.acknowledged_by) == ("acknowledged", "ann")
    assert sync(warehouse, alert("a", "low"), day=1) == [(UPDATED, "a")]
    after = the(warehouse, "a")
    assert (after.alert_id, after.status, after.severity) == (seen.alert_id, "acknowledged", "low")
    assert after.updated_at == MONDAY + timedelta(days=1)


def test_one_whose_cause_is_gone_resolves_itself_and_comes_again_as_another(warehouse: Engine) -> None:
    sync(warehouse, alert("a"), alert("b"))
    first = the(warehouse, "a")
    assert sync(warehouse, alert("b"), day=1) == [(RESOLVED, "a")]
    gone = read_alert(warehouse, SHOP, first.alert_id)
    assert (gone.status, gone.resolved_by, gone.note) == ("resolved", "shelfops", "the cause is gone")
    assert sync(warehouse, alert("a"), alert("b"), day=2) == [(RAISED, "a")]
    assert the(warehouse, "a").alert_id != first.alert_id
    assert [a.alert_id for a in list_alerts(warehouse, SHOP, status=AlertStatus.RESOLVED)] == [first.alert_id]


def test_what_a_person_resolved_stays_quiet_until_it_comes_again_or_gets_worse(warehouse: Engine) -> None:
    both = (alert("a", "medium"), alert("b", "medium"))
    sync(warehouse, *both)
    for item in "ab":
        resolve(warehouse, SHOP, the(warehouse, item).alert_id, who="ann", note="counted")
    assert sync(warehouse, *both, day=1) == []
    assert sync(warehouse, alert("a", "high"), alert("b", "low"), day=2) == [(RAISED, "a")]
    assert sync(warehouse, alert("a", "high"), day=3) == []
    assert sync(warehouse, alert("a", "high"), alert("b", "low"), day=4) == [(RAISED, "b")]


def test_an_alert_of_a_series_that_was_not_assessed_stays_and_says_so_until_patience_ends(warehouse: Engine) -> None:
    sync(warehouse, alert("a"), alert("b"), alert("c"))
    resolve(warehouse, SHOP, the(warehouse, "c").alert_id, who="ann")

    def without_count(day: int) -> list[tuple[AlertEvent, str]]:
        """Only b was assessed, and there is nothing wrong with it."""
        known = {"store_id": ["s1"], "item_id": ["b"]}
        at, week = MONDAY + timedelta(days=day), timedelta(days=7)
        happened = sync_alerts(warehouse, SHOP, f"r{day}", [], at=at, assessed=known, patience=week)
        return [(event, a.item_id) for event, a in happened]

    assert without_count(1) == [(RESOLVED, "b"), (UPDATED, "a")]
    before = the(warehouse, "a")
    assert (before.status, before.message) == ("open", "a may run out")
    assert before.unknown_since == MONDAY + timedelta(days=1)
    assert without_count(8) == []
    assert sync(warehouse, alert("a"), alert("c"), day=8) == [(UPDATED, "a")], "c's cause never ended: ann knows"
    assert the(warehouse, "a").unknown_since is None
    assert without_count(9) == [(UPDATED, "a")]
    assert without_count(17) == [(RESOLVED, "a")]
    gone = read_alert(warehouse, SHOP, before.alert_id)
    assert (gone.resolved_by, gone.note) == ("shelfops", "the stock has not been known since 2025-03-12")
    assert sync(warehouse, alert("c"), day=18) == [(RAISED, "c")]


def test_a_shortage_that_eases_keeps_its_acknowledgement_and_one_that_worsens_is_open_again(warehouse: Engine) -> None:
    due = alert("a", "medium", kind="reorder_now")
    sync(warehouse, alert("a"))
    first = acknowledge(warehouse, SHOP, the(warehouse, "a").alert_id, who="ann")
    assert sync(warehouse, due, day=1) == [(UPDATED, "a")]
    eased = the(warehouse, "a")
    assert (eased.alert_id, eased.kind, eased.severity) == (first.alert_id, "reorder_now", "medium")
    assert (eased.status, eased.acknowledged_by) == ("acknowledged", "ann")
    assert sync(warehouse, alert("a"), day=2) == [(UPDATED, "a")]
    worse = the(warehouse, "a")
    assert (worse.alert_id, worse.kind, worse.status) == (first.alert_id, "stockout_risk", "open")
    assert (worse.acknowledged_by, worse.note) == (None, "worse than when ann acknowledged it")
    resolve(warehouse, SHOP, first.alert_id, who="bob")
    assert sync(warehouse, due, day=3) == []
    assert sync(warehouse, alert("a"), day=4) == []


def test_retailers_do_not_touch_each_other(warehouse: Engine) -> None:
    sync(warehouse, alert("a"))
    assert sync(warehouse, alert("a"), dataset="other") == [(RAISED, "a")]
    assert sync(warehouse, dataset="other", day=1) == [(RESOLVED, "a")]
    assert the(warehouse, "a").status == "open"
    with pytest.raises(UnknownAlertError, match="other has no alert"):
        acknowledge(warehouse, "other", the(warehouse, "a").alert_id, who="eve")


def test_only_one_of_many_who_decide_at_once_does(warehouse: Engine) -> None:
    sync(warehouse, alert("a"))
    alert_id = the(warehouse, "a").alert_id

    def decide(who: str) -> str:
        try:
            return resolve(warehouse, SHOP, alert_id, who=who, note="").resolved_by or ""
        except AlertStateError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(decide, "wxyz"))
    (winner,) = [who for who in told if len(who) == 1]
    assert set(told) == {winner, f"alert {alert_id} is resolved already, by {winner}"}


def test_two_evaluations_at_once_raise_an_alert_once(warehouse: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: sync(warehouse, alert("a"), alert("b")), range(4)))
    assert sorted(map(len, told)) == [0, 0, 0, 2]


def test_states_that_do_not_allow_it_and_ids_that_do_not_exist_are_refused(warehouse: Engine) -> None:
    sync(warehouse, alert("a"))
    alert_id = the(warehouse, "a").alert_id
    acknowledge(warehouse, SHOP, alert_id, who="ann")
    with pytest.raises(AlertStateError, match="acknowledged already, by ann"):
        acknowledge(warehouse, SHOP, alert_id, who="bob")
    resolve(warehouse, SHOP, alert_id, who="ann", note="done")
    with pytest.raises(AlertStateError, match="resolved already, by ann"):
        acknowledge(warehouse, SHOP, alert_id, who="bob")
    for change in (acknowledge, resolve):
        with pytest.raises(UnknownAlertError, match="no alert 'x'"):
            change(warehouse, SHOP, "x", who="bob")
    with pytest.raises(UnknownAlertError):
        list_alerts(warehouse, SHOP, after="x")


def test_pages_go_from_the_most_urgent_to_the_oldest_and_meet_every_alert_once(warehouse: Engine) -> None:
    older = [alert(f"i{k}", ("low", "high", "medium")[k % 3]) for k in range(9)]
    sync(warehouse, *older)
    sync(warehouse, *older, *(alert(f"j{k}", "medium") for k in range(4)), day=1)
    seen: list[StockAlert] = []
    while page := list_alerts(warehouse, SHOP, limit=2, after=seen[-1].alert_id if seen else None):
        seen += page
    assert [a.severity for a in seen] == ["high"] * 3 + ["medium"] * 7 + ["low"] * 3
    assert [a.item_id[0] for a in seen if a.severity == "medium"] == ["j"] * 4 + ["i"] * 3
    assert len({a.alert_id for a in seen}) == 13


def test_lists_are_narrowed_by_what_is_asked(warehouse: Engine) -> None:
    sync(warehouse, alert("a"), alert("a", "low", "s2", "overstock"), alert("b", "low", kind="overstock"))
    assert [a.item_id for a in list_alerts(warehouse, SHOP, store_id="s1", severity="high")] == ["a"]
    assert {a.store_id for a in list_alerts(warehouse, SHOP, kind="overstock")} == {"s1", "s2"}
    assert list_alerts(warehouse, SHOP, status=AlertStatus.ACKNOWLEDGED) == []
    assert count_alerts(warehouse, SHOP) == {"overstock": 2, "stockout_risk": 1}


def test_history_is_pruned_by_age_and_what_stands_stays(warehouse: Engine) -> None:
    sync(warehouse, alert("a"), alert("b"), alert("c"))
    resolve(warehouse, SHOP, the(warehouse, "c").alert_id, who="ann")
    sync(warehouse, alert("b"), alert("c"), day=1)
    assert prune_alerts(warehouse, SHOP, MONDAY + timedelta(days=1)) == 0
    assert prune_alerts(warehouse, SHOP, datetime.now(UTC) + timedelta(days=1)) == 1, "c's cause lasts"
    assert len(list_alerts(warehouse, SHOP, status=AlertStatus.RESOLVED)) == 1
    assert the(warehouse, "b").status == "open"


def test_an_announcement_says_what_happened_and_how_it_stands(warehouse: Engine) -> None:
    ((event, stored),) = sync_alerts(warehouse, SHOP, "r1", [alert("a")], at=MONDAY)
    message = alert_message(event, stored)
    assert AlertMessage.model_validate_json(message.model_dump_json()) == message
    assert (message.event, message.item_id, message.status, message.raised_at) == ("raised", "a", "open", MONDAY)
    seen = acknowledge(warehouse, SHOP, stored.alert_id, who="ann")
    assert alert_message(AlertEvent.ACKNOWLEDGED, seen).acknowledged_by == "ann"


def test_as_many_series_as_a_large_retailer_has_are_evaluated_together(warehouse: Engine) -> None:
    many = [alert(f"i{k}", store=f"s{k % 10}") for k in range(30_490)]
    assert len(sync(warehouse, *many)) == len(many)
    assert sync(warehouse, *many, day=1) == []
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM stock_alerts WHERE release = 'r1'")) == len(many)
