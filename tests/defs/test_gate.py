"""The step behind the gate: good periods are stored, bad ones are not, and everything is counted."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.defs.gate import Gate, quarantine_rows
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.ingestion.blocks import RawBlock, ValidatedBlock, validate_blocks
from shelfops_pipeline.ingestion.warehouse import Loader
from shelfops_pipeline.store.ingested import period_records
from shelfops_pipeline.store.quarantine import quarantined, release
from tests.defs.conftest import files_under

MONDAY = date(2024, 1, 1)
Sold = tuple[int, str, str, float]
"""Day from Monday, store, item, quantity."""


@dataclass
class Shop:
    """A source of two stores and two items, of which rows are given by hand."""

    grain: Grain = Grain.DAY
    rules: RowRules = field(default_factory=lambda: RowRules(unique_key=(), items_complete=True))
    name: str = "shop"
    absence: Literal["zero", "missing"] = "zero"
    incremental: bool = False

    def span(self) -> tuple[date, date]:
        return MONDAY, MONDAY + timedelta(days=100)

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        raise AssertionError("the gate reads nothing from the source")

    def inventory(self, start: date, end: date) -> None:
        return None

    def reference(self) -> Reference:
        days = pd.DataFrame({c.DATE: pd.to_datetime([]), c.SCOPE: [], c.NAME: [], c.KIND: []})
        return Reference(pd.DataFrame({c.STORE_ID: ["s", "t"]}), pd.DataFrame({c.ITEM_ID: ["a", "b"]}), days)


@dataclass
class Step:
    """One `validate` step over the first periods."""

    engine: Engine
    shop: Shop
    periods: int
    limit: float = 0.05

    def __post_init__(self) -> None:
        width = timedelta(days=7 if self.shop.grain is Grain.WEEK else 1)
        days = [MONDAY + n * width for n in range(self.periods)]
        self.target = Partitions("validated_transactions", tuple(map(str, days)), self.shop.grain)
        self.gate = Gate(self.engine, self.shop, self.target, self.limit)

    def judge(self, *blocks: tuple[Sequence[date], pd.DataFrame]) -> list[ValidatedBlock]:
        raw = [RawBlock(periods, rows) for periods, rows in blocks]
        gate = self.gate
        found = list(validate_blocks(raw, self.shop, self.shop.reference(), gate.history(), gate.released()))
        for block in found:
            gate.store(block)
        return found

    def take(self, rows: pd.DataFrame) -> ValidatedBlock:
        """All as one block."""
        [block] = self.judge((self.target.periods, rows))
        return block


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where validated rows are stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELFOPS_HOME", str(tmp_path))
        patch.delenv("SHELFOPS_ARTIFACTS", raising=False)
        yield tmp_path / "artifacts" / "validated_transactions"


def raw(*sold: Sold) -> pd.DataFrame:
    frame = pd.DataFrame(sold, columns=["day", c.STORE_ID, c.ITEM_ID, c.QUANTITY])
    frame[c.TS] = pd.Timestamp(MONDAY) + pd.to_timedelta(frame.pop("day").astype(np.int64), unit="D")
    frame[c.SOURCE], frame[c.LINE] = "sales.csv", np.arange(len(frame)) + 2
    return frame.astype({c.QUANTITY: float})


def day(n: int, good: int, bad: int = 0) -> list[Sold]:
    """Rows of one day; bad ones are of a store that nobody knows."""
    return [(n, "st"[k % 2], "ab"[k // 2 % 2], 3.0) for k in range(good)] + [(n, "?", "a", 1.0)] * bad


def stored_days(folder: Path) -> dict[int, int]:
    """Rows of each stored day of January."""
    return {int(name[8:10]): len(pd.read_parquet(folder / name)) for name in files_under(folder)}


def test_a_bad_period_is_not_stored_and_the_good_ones_are(warehouse: Engine, folder: Path) -> None:
    step = Step(warehouse, Shop(), 4)
    step.take(raw(*day(0, 30, 1), *day(1, 30, 25), *day(3, 30, 40)))
    assert stored_days(folder) == {1: 30, 3: 0, 4 - 1: 0}
    assert not step.gate.check().passed
    with pytest.raises(DataError, match=r"^2024-01-04: 40 of 70 .* \(57.1%\): unknown_store 40; 2024-01-02: 25 of 55"):
        step.gate.raise_if_bad()
    kept = quarantined(warehouse, "shop", limit=100)
    assert kept.counts == {"unknown_store": 66}
    assert {row.partition_key for row in kept.rows} == {"2024-01-01", "2024-01-02", "2024-01-04"}


def test_what_was_stored_of_a_period_before_it_went_bad_is_left_alone(warehouse: Engine, folder: Path) -> None:
    Step(warehouse, Shop(), 2).take(raw(*day(0, 30), *day(1, 30)))
    before = files_under(folder)
    step = Step(warehouse, Shop(), 2)
    step.take(raw(*day(0, 29), *day(1, 10, 25)))
    after = files_under(folder)
    assert after["2024-01-02.parquet"] == before["2024-01-02.parquet"]
    assert stored_days(folder) == {1: 29, 2: 30}


def test_good_periods_pass_and_a_repaired_one_leaves_nothing_in_quarantine(warehouse: Engine, folder: Path) -> None:
    Step(warehouse, Shop(), 2).take(raw(*day(0, 30, 40), *day(1, 30, 1)))
    step = Step(warehouse, Shop(), 1)
    step.take(raw(*day(0, 70)))
    step.gate.raise_if_bad()
    assert step.gate.check().passed
    assert stored_days(folder) == {1: 70, 2: 30}
    assert [row.partition_key for row in quarantined(warehouse, "shop").rows] == ["2024-01-02"]


@pytest.mark.parametrize(
    ("limit", "tolerated", "bad", "passes"),
    [(0.05, 0.0, 19, True), (0.05, 0.0, 20, False), (0.5, 0.0, 20, True), (0.05, 0.5, 20, True), (0.5, 0.1, 31, False)],
    ids=["too few to tell", "above the limit", "a higher limit", "normal for this source", "more than both"],
)
def test_the_limit_is_the_larger_of_the_settings_and_what_is_normal_for_the_source(
    warehouse: Engine, limit: float, tolerated: float, bad: int, passes: bool
) -> None:
    rules = RowRules(unique_key=(), tolerated_share=tolerated)
    step = Step(warehouse, Shop(rules=rules), 1, limit)
    step.take(raw(*day(0, 30, bad)))
    assert step.gate.check().passed is passes
    if not passes:
        with pytest.raises(DataError, match="repair the feed, or raise SHELFOPS_MAX_QUARANTINED_SHARE"):
            step.gate.raise_if_bad()


def test_figures_of_blocks_add_up_to_those_of_the_run(warehouse: Engine) -> None:
    step = Step(warehouse, Shop(), 3)
    first, second, third = step.target.periods
    refund: Sold = (0, "s", "a", -1.0)
    unknown_item: Sold = (2, "s", "?", 1.0)
    blocks = step.judge(
        ([first, second], raw(*day(0, 10, 2), refund)),
        ([third], raw(*day(2, 5, 1), unknown_item, unknown_item, unknown_item)),
    )
    first_day, third_day = (dict(found) for _, found in step.gate.by_period())
    assert [period for period, _ in step.gate.by_period()] == ["2024-01-01", "2024-01-03"]
    names = ("rows", "accepted", "returns", "quarantined", "units")
    assert [first_day[name] for name in names] == [13, 11, 1, 2, 29.0]
    assert [third_day[name] for name in names] == [9, 5, 0, 4, 15.0]
    assert (first_day["unknown_store"], third_day["unknown_store"], third_day["unknown_item"]) == (2, 1, 3)
    facts = step.gate.facts()
    assert facts == {
        "rows": 22,
        "accepted": 16,
        "returns": 1,
        "quarantined": 6,
        "reasons": {"unknown_store": 3, "unknown_item": 3},
    }
    assert step.gate.quarantined == 6
    assert step.gate.told(blocks[1]) == (
        "accepted 5 of 9 rows of 2024-01-03 to 2024-01-03: unknown_store 1, unknown_item 3"
    )
    check = step.gate.check()
    assert (check.passed, check.metadata["worst"].value) == (True, "none")
    assert check.metadata["periods above the limit"].value == 0


def test_periods_without_any_row_are_stored_empty(warehouse: Engine, folder: Path) -> None:
    step = Step(warehouse, Shop(), 3)
    first, second, third = step.target.periods
    step.judge(([first, second], raw().iloc[:0]), ([third], raw(*day(2, 4))))
    assert stored_days(folder) == {1: 0, 2: 0, 3: 4}
    assert [period for period, _ in step.gate.by_period()] == ["2024-01-03"]
    step.gate.raise_if_bad()


def test_only_empty_periods_pass(warehouse: Engine, folder: Path) -> None:
    step = Step(warehouse, Shop(), 2)
    step.take(raw().iloc[:0])
    assert stored_days(folder) == {1: 0, 2: 0}
    assert list(step.gate.by_period()) == []
    assert step.gate.facts()["rows"] == 0
    assert step.gate.check().passed
    step.gate.raise_if_bad()


def test_a_week_is_judged_as_a_whole(warehouse: Engine, folder: Path) -> None:
    shop = Shop(Grain.WEEK)
    step = Step(warehouse, shop, 2)
    step.take(raw(*day(0, 400), *day(5, 10, 20), *day(8, 10, 20)))
    assert stored_days(folder) == {1: 410}
    with pytest.raises(DataError, match=r"^2024-01-08: 20 of 30 transactions are bad \(66.7%\)"):
        step.gate.raise_if_bad()
    assert {row.partition_key for row in quarantined(warehouse, "shop").rows} == {"2024-01-01", "2024-01-08"}


def test_a_row_is_judged_by_what_the_warehouse_accepted_before(warehouse: Engine, folder: Path) -> None:
    shop, before = Shop(), raw(*(row for n in range(31) for row in day(n, 1)))
    first = Step(warehouse, shop, 31)
    block = first.take(before)
    Loader(warehouse, shop, shop.reference(), "run").load(first.target.periods, before, block.result.valid)
    later = Step(warehouse, shop, 33)
    later.target = later.target.at(later.target.periods[31:])
    later.gate = Gate(warehouse, shop, later.target, 1.0)
    judged = later.take(raw((31, "s", "a", 4000.0), (31, "t", "a", 4000.0), (32, "s", "a", 300.0)))
    assert judged.result.counts == {"outlier": 1}
    # Nothing of the days before is history when they are judged themselves.
    again = Step(warehouse, shop, 33)
    assert again.take(pd.concat([raw((0, "s", "a", 4000.0)), before], ignore_index=True)).result.counts == {}


def test_a_released_row_is_accepted_from_then_on(warehouse: Engine, folder: Path) -> None:
    rows = raw(*day(0, 30), (0, "s", "?", 7.0))
    Step(warehouse, Shop(), 1).take(rows)
    [bad] = quarantined(warehouse, "shop").rows
    assert release(warehouse, "shop", [bad.fingerprint], "new item", "a person") == ["2024-01-01"]
    step = Step(warehouse, Shop(), 1)
    step.take(rows)
    assert stored_days(folder) == {1: 31}
    assert quarantined(warehouse, "shop").rows == ()


def test_periods_are_open_again_from_the_moment_they_are_judged(warehouse: Engine) -> None:
    shop, rows = Shop(), raw(*day(0, 5), *day(1, 5))
    step = Step(warehouse, shop, 2)
    block = step.take(rows)
    Loader(warehouse, shop, shop.reference(), "run").load(step.target.periods, rows, block.result.valid)
    assert all(record.source_checksum and record.warehouse_checksum for record in period_records(warehouse, "shop"))
    Step(warehouse, shop, 1).take(raw(*day(0, 5)))
    first, second = period_records(warehouse, "shop")
    assert (first.source_checksum, first.warehouse_checksum) == (None, None)
    assert second.source_checksum is not None


def test_quarantined_rows_keep_their_place_and_those_filed_nowhere_go_to_the_first_period() -> None:
    target = Partitions("validated_transactions", ("2024-01-01", "2024-01-08"), Grain.WEEK)
    frame: dict[str, Any] = {
        c.FILED: np.array(["2024-01-14", "NaT"], dtype="datetime64[ns]"),
        c.SOURCE: ["sales.csv", None],
        c.LINE: pd.array([7, None], dtype="Int64"),
        c.REASON: ["outlier", "missing_id"],
        "original": [json.dumps({"quantity": 4000}), json.dumps({"quantity": None, "name": "Käse"})],
        c.FINGERPRINT: ["f1", "f2"],
    }
    found = quarantine_rows(pd.DataFrame(frame), target)
    assert [(r.partition_key, r.source, r.line, r.reason, r.row, r.fingerprint) for r in found] == [
        ("2024-01-08", "sales.csv", 7, "outlier", {"quantity": 4000}, "f1"),
        ("2024-01-01", "", None, "missing_id", {"quantity": None, "name": "Käse"}, "f2"),
    ]
