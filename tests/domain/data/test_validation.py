"""The validation gate: every bad row is found and kept, every good one passes, nothing is lost between."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.data.validation import (
    QUARANTINE_COLUMNS,
    Reason,
    ValidationResult,
    check_training_data,
    validate_transactions,
)
from shelfops_pipeline.errors import DataError

LAST = date(2024, 3, 1)
REFERENCE = Reference(
    stores=pd.DataFrame({"store_id": ["1", "2"]}),
    items=pd.DataFrame({"item_id": ["A", "B"]}),
    calendar=pd.DataFrame(columns=["date", "scope", "name", "kind"]),
)
RULES = RowRules(
    unique_key=("transaction_id", "ts", "store_id", "item_id"),
    item_pattern="[A-Z]",
    items_complete=True,
    free_items=False,
)
GOOD = {
    "ts": pd.Timestamp("2024-02-01 10:00"),
    "store_id": "1",
    "item_id": "A",
    "quantity": 2.0,
    "unit_price": 1.5,
    "on_promotion": 0.0,
}


def table(*changes: dict[str, object]) -> pd.DataFrame:
    rows = [GOOD | {"transaction_id": str(k)} | change for k, change in enumerate(changes)]
    frame = pd.DataFrame(rows)
    frame["ts"] = pd.to_datetime(frame["ts"])
    frame["source"], frame["line"] = "till.csv", np.arange(2, len(frame) + 2)
    return frame


def validate(raw: pd.DataFrame, rules: RowRules | None = RULES, share: float = 1.0) -> ValidationResult:
    return validate_transactions(raw, REFERENCE, rules, last_date=LAST, max_quarantined_share=share)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"store_id": None}, Reason.MISSING_ID),
        ({"item_id": "  "}, Reason.MISSING_ID),
        ({"store_id": "3"}, Reason.UNKNOWN_STORE),
        ({"item_id": "POST"}, Reason.BAD_STOCK_CODE),
        ({"item_id": "C"}, Reason.UNKNOWN_ITEM),
        ({"ts": pd.NaT}, Reason.IMPOSSIBLE_DATE),
        ({"ts": pd.Timestamp("1900-01-01")}, Reason.IMPOSSIBLE_DATE),
        ({"ts": pd.Timestamp("2024-03-02")}, Reason.FUTURE_DATE),
        ({"quantity": np.nan}, Reason.QUANTITY_NOT_A_NUMBER),
        ({"quantity": -np.inf}, Reason.QUANTITY_NOT_A_NUMBER),
        ({"quantity": "two"}, Reason.QUANTITY_NOT_A_NUMBER),
        ({"quantity": -2e6}, Reason.ABSURD_QUANTITY),
        ({"unit_price": np.inf}, Reason.PRICE_NOT_A_NUMBER),
        ({"unit_price": -0.01}, Reason.PRICE_NEGATIVE),
        ({"unit_price": 0.0}, Reason.PRICE_ZERO),
        ({"on_promotion": 3.0}, Reason.PROMOTION_NOT_A_FLAG),
        ({"transaction_id": "0"}, Reason.DUPLICATE_TRANSACTION),
    ],
)
def test_every_reason_is_found_and_the_row_is_kept(change: dict[str, object], reason: Reason) -> None:
    result = validate(table({}, {"item_id": "B"}, change))
    assert result.counts == {str(reason): 1}
    assert result.quarantined.columns.tolist() == list(QUARANTINE_COLUMNS)
    kept = result.quarantined.iloc[0]
    assert (kept["reason"], kept["source"], kept["line"]) == (str(reason), "till.csv", 4)
    original = json.loads(kept["original"])
    assert set(original) == {*GOOD, "transaction_id"}
    (name, value), *_ = change.items()
    if isinstance(value, str):
        assert original[name] == value
    elif isinstance(value, float) and np.isinf(value):
        assert original[name] == str(value)
    elif isinstance(value, float) and not np.isnan(value):
        assert original[name] == value
    assert result.valid["line"].tolist() == [2, 3]


def test_good_rows_pass_unchanged_and_typed() -> None:
    raw = table({}, {"item_id": "B", "quantity": -1.0}, {"unit_price": np.nan, "ts": pd.Timestamp("2024-03-01 23:59")})
    result = validate(raw)
    assert result.counts == {}
    assert result.share == 0
    assert result.quarantined.empty
    assert result.valid["quantity"].tolist() == [2, -1, 2]
    assert result.valid["unit_price"].isna().tolist() == [False, False, True]  # unknown stays unknown
    assert isinstance(result.valid["store_id"].dtype, pd.CategoricalDtype)


def test_numbers_as_ids_become_strings() -> None:
    result = validate(table({"store_id": 1}, {"store_id": 2}))
    assert result.valid["store_id"].tolist() == ["1", "2"]


def test_only_the_first_of_several_reasons_counts() -> None:
    assert validate(table({"store_id": None, "quantity": np.nan})).counts == {"missing_id": 1}


def test_a_bad_row_does_not_displace_its_good_twin() -> None:
    bad_first = table({"quantity": 9e9}, {"transaction_id": "0"})
    assert validate(bad_first).counts == {"absurd_quantity": 1}


def test_lines_may_repeat_where_no_key_is_declared() -> None:
    twice = table({}, {"transaction_id": "0"})
    assert validate(twice, RowRules(unique_key=())).counts == {}
    assert validate(twice, None).counts == {"duplicate_transaction": 1}


def test_unlisted_items_pass_where_the_list_is_not_complete() -> None:
    assert validate(table({"item_id": "NEW"}), RowRules()).counts == {}


def test_a_feed_with_too_many_bad_rows_is_refused_with_share_and_reasons() -> None:
    raw = table(*[{}] * 6, {"store_id": "9"}, {"store_id": "9"}, {"unit_price": -1.0}, {"quantity": np.nan})
    with pytest.raises(DataError) as caught:
        validate(raw, share=0.3)
    text = str(caught.value)
    assert "4 of 10 transactions are bad (40.0%, allowed 30.0%): unknown_store 2, " in text
    assert "\n" not in text
    assert len(validate(raw, share=0.4).quarantined) == 4
    tolerant = RowRules(unique_key=(), tolerated_share=0.5)
    assert len(validate(raw, tolerant, share=0.3).quarantined) == 4


def test_a_day_without_rows_is_valid() -> None:
    result = validate(table({}).iloc[:0], share=0)
    assert len(result.valid) == len(result.quarantined) == 0
    assert np.isnan(result.share)


def test_a_missing_column_is_an_error_not_a_quarantine() -> None:
    with pytest.raises(DataError, match="quantity"):
        validate(table({}).drop(columns="quantity"))


def test_the_simulated_dirt_is_found_exactly() -> None:
    clean = Simulator(stores=3, items=12, days=100, seed=4, dirt=0)
    dirty = Simulator(stores=3, items=12, days=100, seed=4, dirt=0.01)
    reference = Reference(dirty.stores_table, dirty.items_table, dirty.calendar)
    result = validate_transactions(
        dirty.transactions,
        reference,
        RowRules(items_complete=True),
        last_date=dirty.end,
        max_quarantined_share=0.05,
    )
    assert set(result.counts) == {
        "unknown_store",
        "absurd_quantity",
        "price_negative",
        "duplicate_transaction",
    }
    columns = ["ts", "store_id", "item_id", "quantity", "unit_price", "on_promotion"]

    def plain(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame[columns].astype({"store_id": str, "item_id": str})
        return rows.sort_values(columns[:3], ignore_index=True)

    pd.testing.assert_frame_equal(plain(result.valid), plain(clean.transactions))


ANY_ROW = st.fixed_dictionaries(
    {
        "ts": st.sampled_from([pd.Timestamp("2024-01-05"), pd.Timestamp("2031-01-01"), pd.NaT]),
        "store_id": st.sampled_from(["1", "2", "7", "", None]),
        "item_id": st.sampled_from(["A", "B", "Z", "POST", None, "é\u2028"]),
        "quantity": st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 5).map(float)),
        "unit_price": st.floats(allow_nan=True, allow_infinity=True),
        "transaction_id": st.sampled_from(["0", "1"]),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_ROW, min_size=1, max_size=12), st.booleans())
def test_accepted_and_quarantined_rows_are_the_raw_rows(rows: list[dict[str, object]], categorical: bool) -> None:
    raw = table(*rows)
    if categorical:
        raw = raw.astype({"store_id": "category", "item_id": "category"})
    before = raw.copy()
    result = validate(raw)
    lines = [*result.valid["line"], *result.quarantined["line"]]
    assert sorted(lines) == raw["line"].tolist()
    assert sum(result.counts.values()) == len(result.quarantined)
    assert all(json.loads(text) for text in result.quarantined["original"])
    assert np.isfinite(result.valid["quantity"]).all()
    assert result.valid["store_id"].isin(["1", "2"]).all()
    again = validate(result.valid)
    assert again.counts == {}  # what was accepted once is accepted again
    pd.testing.assert_frame_equal(raw, before)  # the raw table is not touched


def demand(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "date": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "store_id": pd.Categorical(["1", "1"]),
            "item_id": pd.Categorical(["A", "A"]),
            "quantity": [1.0, -2.0],
            "on_promotion": [0.0, np.nan],
        }
    )
    return frame.assign(**changes)


def test_sound_training_data_passes_the_gate() -> None:
    frame = demand()
    assert check_training_data(frame) is frame


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"quantity": [1.0, np.nan]}, "quantity"),
        ({"quantity": [1.0, np.inf]}, "finite"),
        ({"quantity": ["1", "2"]}, "quantity"),
        ({"date": pd.to_datetime(["2024-01-01", "2024-01-01"])}, "unique"),
        ({"date": [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02 10:00")]}, "whole days"),
        ({"date": [pd.Timestamp("2024-01-01"), pd.NaT]}, "date"),
        ({"store_id": pd.Categorical(["1", None])}, "store_id"),
        ({"on_promotion": [0.0, 2.0]}, "on_promotion"),
        ({"unit_price": [1.0, -1.0]}, "unit_price"),
    ],
)
def test_unsound_training_data_stops_the_run(changes: dict[str, object], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        check_training_data(demand(**changes))
    assert "\n" not in str(caught.value)


def test_training_data_without_a_column_stops_the_run() -> None:
    with pytest.raises(DataError, match="item_id"):
        check_training_data(demand().drop(columns="item_id"))
