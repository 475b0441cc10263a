"""The past, summed up in the database, is what numpy makes of the same rows."""

from collections import defaultdict
from datetime import date

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, QUANTITY, STORE_ID, TS
from shelfops_pipeline.store.history import (
    FIRST_SALE,
    HOUR,
    LARGEST,
    LINES,
    ROWS,
    hour_profile,
    rows_per_store,
    series_history,
)
from shelfops_pipeline.store.tables import PERIOD
from shelfops_pipeline.store.transactions import replace_periods
from tests.domain.store.support import SHOP, days, sales

DAYS = days(date(2024, 12, 20), 20)
BEFORE = DAYS[15]


def messy() -> pa.Table:
    """Sales, returns and zeros at all hours; one series only ever returned."""
    table = sales(DAYS)
    random = np.random.default_rng(3)
    quantity = random.integers(-3, 4, table.num_rows).astype(float)
    series = np.char.add(table[STORE_ID].to_numpy().astype(str), table[ITEM_ID].to_numpy().astype(str))
    quantity[series == "s1i2"] = -np.abs(quantity[series == "s1i2"])
    at = table[PERIOD].to_numpy().astype("datetime64[m]") + random.integers(0, 1440, table.num_rows)
    return table.set_column(4, QUANTITY, pa.array(quantity)).set_column(1, TS, pa.array(at.astype("datetime64[s]")))


def test_series_history_is_that_of_a_loop_over_the_rows(warehouse: Engine) -> None:
    table = messy()
    replace_periods(warehouse, SHOP, DAYS, table)
    replace_periods(warehouse, "other", DAYS, sales(DAYS, level=1e6))
    expected: dict[tuple[str, str], list[object]] = {}
    for row in table.to_pylist():
        if row[PERIOD] < BEFORE:
            entry = expected.setdefault((row[STORE_ID], row[ITEM_ID]), [0, 0.0, None])
            entry[0] += row[QUANTITY] != 0
            entry[1] = max(entry[1], abs(row[QUANTITY]))
            entry[2] = row[TS].date() if entry[2] is None and row[QUANTITY] > 0 else entry[2]
    found = series_history(warehouse, SHOP, BEFORE)
    keys = zip(found[STORE_ID], found[ITEM_ID], strict=True)
    values = zip(found[ROWS].tolist(), found[LARGEST].tolist(), found[FIRST_SALE].tolist(), strict=True)
    assert dict(zip(keys, map(list, values), strict=True)) == expected
    assert expected["s1", "i2"][2] is None
    assert found[FIRST_SALE].dtype == "datetime64[D]"


def test_hour_profile_counts_the_lines_of_every_hour(warehouse: Engine) -> None:
    table = messy()
    replace_periods(warehouse, SHOP, DAYS, table)
    expected: dict[tuple[str, int], int] = defaultdict(int)
    for row in table.to_pylist():
        if row[PERIOD] < BEFORE:
            expected[row[STORE_ID], row[TS].hour] += 1
    found = hour_profile(warehouse, SHOP, BEFORE)
    keys = zip(found[STORE_ID], found[HOUR].tolist(), strict=True)
    assert dict(zip(keys, found[LINES].tolist(), strict=True)) == expected


def test_rows_per_store_are_counted_from_a_day_on(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, DAYS, sales(DAYS).slice(0, 115))  # the last day lacks most of its second store
    found = rows_per_store(warehouse, SHOP, DAYS[17])
    keys = zip(found[DATE].tolist(), found[STORE_ID], strict=True)
    whole = {(day, store): 3 for day in DAYS[17:19] for store in ("s0", "s1")}
    assert dict(zip(keys, found[ROWS].tolist(), strict=True)) == {**whole, (DAYS[19], "s0"): 1}


def test_there_is_no_history_before_the_first_row(warehouse: Engine) -> None:
    replace_periods(warehouse, SHOP, DAYS, messy())
    for found in (series_history(warehouse, SHOP, DAYS[0]), hour_profile(warehouse, "other", DAYS[-1])):
        assert {len(values) for values in found.values()} == {0}
    assert list(series_history(warehouse, "other", BEFORE)) == [STORE_ID, ITEM_ID, ROWS, LARGEST, FIRST_SALE]
