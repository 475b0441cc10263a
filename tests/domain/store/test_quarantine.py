"""Quarantined rows follow their partition, are shown with their reasons, and are released by name."""

import hashlib
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.quarantine import (
    FROM_BEFORE,
    quarantined,
    reasons_by_partition,
    release,
    released,
    replace_quarantine,
)
from shelfops_pipeline.store.records import QuarantinedRow
from shelfops_pipeline.store.tables import quarantine_releases

SHOP = "shop"
DAYS = ["2025-01-01", "2025-01-02", "2025-01-03"]


def rejected(day: str, line: int, reason: str = "unknown_item") -> QuarantinedRow:
    row = {"qty": math.inf, "item": "a\x00b", "on": date(2025, 1, 2)}
    return QuarantinedRow(day, "sales.csv", line, reason, row, sha(day, line))


def sha(day: str, line: int) -> str:
    return hashlib.sha256(f"{day} {line}".encode()).hexdigest()


def releases(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(quarantine_releases).order_by("fingerprint"))]


def test_running_a_partition_again_replaces_its_quarantine(warehouse: Engine) -> None:
    assert replace_quarantine(warehouse, SHOP, DAYS[:2], [rejected(d, n) for d in DAYS[:2] for n in (1, 2)]) == 4
    assert replace_quarantine(warehouse, SHOP, DAYS[:1], [rejected(DAYS[0], 7, "negative_price")]) == 1
    assert replace_quarantine(warehouse, "other", DAYS[:2], []) == 0
    found = quarantined(warehouse, SHOP).rows
    assert [(r.partition_key, r.line) for r in found] == [(DAYS[0], 7), (DAYS[1], 1), (DAYS[1], 2)]
    assert found[0].row == {"qty": None, "item": "a\ufffdb", "on": "2025-01-02"}
    assert found[0].fingerprint == sha(DAYS[0], 7)


def test_rows_are_shown_by_reason_and_date_with_counts_of_all_that_match(warehouse: Engine) -> None:
    rows = [rejected(day, n, "bad" if n == 3 else "worse") for day in DAYS for n in range(1, 4)]
    replace_quarantine(warehouse, SHOP, DAYS, rows)
    everything = quarantined(warehouse, SHOP, limit=4)
    assert [(r.partition_key, r.line) for r in everything.rows] == [(DAYS[0], n) for n in (1, 2, 3)] + [(DAYS[1], 1)]
    assert list(everything.counts.items()) == [("worse", 6), ("bad", 3)]
    some = quarantined(warehouse, SHOP, reason="bad", start=date(2025, 1, 2), end=date(2025, 1, 3))
    assert [(r.partition_key, r.line, r.reason) for r in some.rows] == [(DAYS[1], 3, "bad"), (DAYS[2], 3, "bad")]
    assert some.counts == {"bad": 2}
    nothing = quarantined(warehouse, "other")
    assert (nothing.rows, nothing.counts) == ((), {})


def test_reasons_are_counted_by_partition(warehouse: Engine) -> None:
    rows = [rejected(DAYS[0], n, "bad" if n == 3 else "worse") for n in range(1, 4)] + [rejected(DAYS[2], 1, "bad")]
    replace_quarantine(warehouse, SHOP, DAYS, rows)
    replace_quarantine(warehouse, "other", DAYS, [rejected(DAYS[0], 1)])
    assert reasons_by_partition(warehouse, SHOP, DAYS[:2]) == {DAYS[0]: {"worse": 2, "bad": 1}}
    assert reasons_by_partition(warehouse, SHOP, DAYS)[DAYS[2]] == {"bad": 1}
    assert reasons_by_partition(warehouse, SHOP, []) == {}


def test_a_row_of_another_partition_rolls_everything_back(warehouse: Engine) -> None:
    replace_quarantine(warehouse, SHOP, DAYS[:1], [rejected(DAYS[0], 1)])

    def rows() -> Iterator[QuarantinedRow]:
        yield rejected(DAYS[0], 2)
        yield rejected("2025-01-09", 3)

    with pytest.raises(ValueError, match="2025-01-09"):
        replace_quarantine(warehouse, SHOP, DAYS[:1], rows())
    assert [r.line for r in quarantined(warehouse, SHOP).rows] == [1]


def test_a_release_is_signed_and_says_what_to_run_again(warehouse: Engine) -> None:
    replace_quarantine(warehouse, SHOP, DAYS, [rejected(day, n) for day in DAYS for n in (1, 2)])
    assert released(warehouse, SHOP) == frozenset()
    wanted = [sha(DAYS[2], 1), sha(DAYS[0], 2), sha(DAYS[0], 1)]
    assert release(warehouse, SHOP, wanted, "seen by the shop", "ada") == [DAYS[0], DAYS[2]]
    assert released(warehouse, SHOP) == frozenset(wanted)
    assert released(warehouse, "other") == frozenset()
    for dataset, _, reason, at, by, note in releases(warehouse):
        assert (dataset, reason, by, note) == (SHOP, "unknown_item", "ada", "seen by the shop")
        assert isinstance(at, datetime)
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)


def test_a_row_can_be_released_again_also_when_it_is_in_the_quarantine_no_more(warehouse: Engine) -> None:
    replace_quarantine(warehouse, SHOP, DAYS[:1], [rejected(DAYS[0], 1)])
    assert release(warehouse, SHOP, [sha(DAYS[0], 1)], "first", "ada") == DAYS[:1]
    first = releases(warehouse)
    assert release(warehouse, SHOP, [sha(DAYS[0], 1)], "second", "bob") == DAYS[:1]
    replace_quarantine(warehouse, SHOP, DAYS[:1], [])
    assert release(warehouse, SHOP, [sha(DAYS[0], 1)], "third", "eve") == []
    assert releases(warehouse) == first
    assert release(warehouse, SHOP, [], "nothing", "ada") == []


def test_unknown_fingerprints_are_named_and_nothing_is_released(warehouse: Engine) -> None:
    replace_quarantine(warehouse, SHOP, DAYS[:1], [rejected(DAYS[0], 1)])
    replace_quarantine(warehouse, "other", DAYS[:1], [rejected(DAYS[0], 2)])
    with pytest.raises(ShelfOpsError, match=f"quarantine of shop: {sha(DAYS[0], 2)}, typo;"):
        release(warehouse, SHOP, [sha(DAYS[0], 1), "typo", sha(DAYS[0], 2)], "", "ada")
    with pytest.raises(ShelfOpsError, match=r"f0, f1, f2, f3, f4, \.\.\.;"):
        release(warehouse, SHOP, [f"f{n}" for n in range(9)], "", "ada")
    assert releases(warehouse) == []


def test_rows_from_before_fingerprints_are_to_be_ingested_again_first(warehouse: Engine) -> None:
    old = QuarantinedRow(DAYS[1], "sales.csv", 1, "unknown_item", {}, f"{FROM_BEFORE}{sha(DAYS[1], 1)}")
    replace_quarantine(warehouse, SHOP, DAYS[:2], [old])
    with pytest.raises(ShelfOpsError, match=f"ingest {DAYS[1]} again"):
        release(warehouse, SHOP, [old.fingerprint], "", "ada")
    assert releases(warehouse) == []
