"""Alerts keep their identity."""

import math

from sqlalchemy import Engine, update

from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.records import Alert
from shelfops_pipeline.store.tables import AlertStatus, stock_alerts


def alert(item: str, severity: str = "high", store: str = "s1") -> Alert:
    return Alert(store, item, "stockout_risk", severity, f"{item} may run out", {"days": 2.5, "ratio": math.nan})


def test_alerts_are_replaced_as_a_set(warehouse: Engine) -> None:
    assert writes.replace_alerts(warehouse, "r1", [alert("a"), alert("b"), alert("b")]) == 2
    assert writes.replace_alerts(warehouse, "r1", [alert("b"), alert("c")]) == 2
    found = reads.open_alerts(warehouse, "r1")
    assert {a.item_id for a in found} == {"b", "c"}
    assert found[0].details == {"days": 2.5, "ratio": None}
    assert found[0].raised_at.tzinfo is not None
    assert writes.replace_alerts(warehouse, "r1", []) == 0
    assert reads.open_alerts(warehouse, "r1") == []


def test_an_alert_raised_again_keeps_status_and_time(warehouse: Engine) -> None:
    writes.replace_alerts(warehouse, "r1", [alert("a"), alert("b")])
    before = {a.item_id: a for a in reads.open_alerts(warehouse, "r1")}
    with warehouse.begin() as connection:
        seen = stock_alerts.c.alert_id == before["a"].alert_id
        connection.execute(update(stock_alerts).where(seen).values(status=AlertStatus.ACKNOWLEDGED.value))
    writes.replace_alerts(warehouse, "r1", [alert("a", "low"), alert("b", "low")])
    (after,) = reads.open_alerts(warehouse, "r1")
    assert (after.item_id, after.severity) == ("b", "low")
    assert (after.alert_id, after.raised_at) == (before["b"].alert_id, before["b"].raised_at)


def test_open_alerts_can_be_asked_by_store_and_belong_to_one_release(warehouse: Engine) -> None:
    writes.replace_alerts(warehouse, "r1", [alert("a", store="s1"), alert("a", store="s2")])
    writes.replace_alerts(warehouse, "r2", [alert("a", store="s1")])
    assert len(reads.open_alerts(warehouse, "r1")) == 2
    assert [a.store_id for a in reads.open_alerts(warehouse, "r1", store_id="s2")] == ["s2"]
    assert len(reads.open_alerts(warehouse, "r1", limit=1)) == 1
