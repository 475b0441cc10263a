"""Alerts keep their identity; quarantined rows follow their partition."""

import math
from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import Engine, update

from shelfops_pipeline.store import reads, writes
from shelfops_pipeline.store.records import Alert, QuarantinedRow
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


def rejected(day: str, line: int, reason: str = "unknown_item") -> QuarantinedRow:
    return QuarantinedRow(day, "sales.csv", line, reason, {"qty": math.inf, "item": "a\x00b", "on": date(2025, 1, 2)})


def test_running_a_partition_again_replaces_its_quarantine(warehouse: Engine) -> None:
    days = ["2025-01-01", "2025-01-02"]
    assert writes.replace_quarantine(warehouse, "shop", days, [rejected(d, n) for d in days for n in (1, 2)]) == 4
    assert writes.replace_quarantine(warehouse, "shop", days[:1], [rejected(days[0], 7, "negative_price")]) == 1
    assert writes.replace_quarantine(warehouse, "other", days, []) == 0
    rows = reads.quarantined_rows(warehouse, "shop")
    assert [(r.partition_key, r.line) for r in rows] == [(days[0], 7), (days[1], 1), (days[1], 2)]
    assert rows[0].row == {"qty": None, "item": "a\ufffdb", "on": "2025-01-02"}
    assert [r.line for r in reads.quarantined_rows(warehouse, "shop", reason="negative_price")] == [7]


def test_the_summary_counts_rows_by_reason(warehouse: Engine) -> None:
    rows = [rejected("2025-01-01", 1), rejected("2025-01-03", 2), rejected("2025-01-02", 3, "negative_price")]
    writes.replace_quarantine(warehouse, "shop", ["2025-01-01", "2025-01-02", "2025-01-03"], rows)
    first, second = reads.quarantine_summary(warehouse, "shop")
    assert (first["reason"], first["rows"]) == ("unknown_item", 2)
    assert (first["first_partition"], first["last_partition"]) == ("2025-01-01", "2025-01-03")
    assert (second["reason"], second["rows"]) == ("negative_price", 1)


def test_a_row_of_another_partition_rolls_everything_back(warehouse: Engine) -> None:
    writes.replace_quarantine(warehouse, "shop", ["2025-01-01"], [rejected("2025-01-01", 1)])

    def rows() -> Iterator[QuarantinedRow]:
        yield rejected("2025-01-01", 2)
        yield rejected("2025-01-09", 3)

    with pytest.raises(ValueError, match="2025-01-09"):
        writes.replace_quarantine(warehouse, "shop", ["2025-01-01"], rows())
    assert [r.line for r in reads.quarantined_rows(warehouse, "shop")] == [1]
