"""The record of the periods: watermark, quality figures, checksums."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from shelfops_pipeline.store.ingested import period_records, record_periods, reopen_periods, watermark
from shelfops_pipeline.store.records import PeriodRecord
from tests.domain.store.support import SHOP, days

WEEK = days(date(2024, 12, 30), 7)


def record(day: date, rows: int = 10) -> PeriodRecord:
    reasons = {"unknown_store": 2, "price_negative": 1}
    figures = {"returns": 1, "quarantined": 3, "late": 4, "corrected": 5, "withdrawn": 6}
    return PeriodRecord(day, rows, rows - 3, **figures, reasons=reasons, source_checksum="a" * 16, run_id="run-1")


def test_records_read_back_in_order_of_period(warehouse: Engine) -> None:
    assert record_periods(warehouse, SHOP, [record(day) for day in reversed(WEEK)]) == 7
    record_periods(warehouse, "other", [record(date(2030, 1, 1))])
    found = period_records(warehouse, SHOP)
    assert [replace(r, ingested_at=None) for r in found] == [record(day) for day in WEEK]
    at = found[0].ingested_at
    assert at is not None
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert [r.period for r in period_records(warehouse, SHOP, WEEK[2], WEEK[4])] == WEEK[2:5]


def test_a_period_is_recorded_anew_when_it_is_ingested_again(warehouse: Engine) -> None:
    record_periods(warehouse, SHOP, [record(day) for day in WEEK])
    first = period_records(warehouse, SHOP)
    record_periods(warehouse, SHOP, [record(WEEK[3], rows=99)])
    second = period_records(warehouse, SHOP)
    assert [r.rows for r in second] == [10, 10, 10, 99, 10, 10, 10]
    assert first[:3] == second[:3]
    before, after = first[3].ingested_at, second[3].ingested_at
    assert before is not None
    assert after is not None
    assert after > before


def test_the_watermark_is_the_latest_period_of_the_data_set(warehouse: Engine) -> None:
    assert watermark(warehouse, SHOP) is None
    record_periods(warehouse, SHOP, [record(day) for day in WEEK[:3]])
    record_periods(warehouse, "other", [record(WEEK[6])])
    assert watermark(warehouse, SHOP) == WEEK[2]
    record_periods(warehouse, SHOP, [record(WEEK[0])])  # a late correction does not move it back
    assert watermark(warehouse, SHOP) == WEEK[2]


def test_many_periods_are_recorded_in_one_call(warehouse: Engine) -> None:
    years = days(date(2014, 1, 1), 1500)
    assert record_periods(warehouse, SHOP, map(record, years)) == 1500
    assert [r.period for r in period_records(warehouse, SHOP)] == years


def test_a_period_that_is_begun_again_is_known_to_be_unfinished(warehouse: Engine) -> None:
    for dataset in (SHOP, "other"):
        record_periods(warehouse, dataset, [record(day) for day in WEEK])
    reopen_periods(warehouse, SHOP, [*WEEK[:2], date(2031, 1, 1)])
    assert [r.source_checksum is None for r in period_records(warehouse, SHOP)] == [True] * 2 + [False] * 5
    assert all(r.source_checksum for r in period_records(warehouse, "other"))
    assert [r.rows for r in period_records(warehouse, SHOP)] == [10] * 7


def test_two_records_of_one_period_are_a_mistake(warehouse: Engine) -> None:
    with pytest.raises(ValueError, match="two records"):
        record_periods(warehouse, SHOP, [record(WEEK[0]), record(WEEK[0])])
    assert period_records(warehouse, SHOP) == []
