"""The validation gate: every bad row is found and kept, every good one passes, nothing is lost between."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.gate.reasons import REASONS
from shelfops_pipeline.gate.validation import (
    QUARANTINE_COLUMNS,
    Reason,
    check_training_data,
    validate_transactions,
)
from tests.domain.gate.gate_by_hand import GOOD, LAST, REFERENCE, table, validate


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
        ({"store_id": "1\0"}, Reason.MISSING_ID),
        ({"item_id": True}, Reason.MISSING_ID),
        ({"ts": "5 o'clock"}, Reason.IMPOSSIBLE_DATE),
        ({"ts": 20240201}, Reason.IMPOSSIBLE_DATE),
        ({"ts": "2024-02-01T10:00Z"}, Reason.TIMEZONE_SLIP),
        ({"quantity": True}, Reason.QUANTITY_NOT_A_NUMBER),
        ({"unit_price": "free"}, Reason.PRICE_NOT_A_NUMBER),
        ({"on_promotion": "perhaps"}, Reason.PROMOTION_NOT_A_FLAG),
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
        assert original[name] == value.replace("\0", "␀")
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


def test_every_reason_has_a_code_of_its_own_and_says_what_it_means() -> None:
    assert [reason.code for reason in REASONS] == list(range(1, len(REASONS) + 1))
    assert all(reason.meaning.endswith(".") and len(reason.meaning) > 20 for reason in REASONS)
    assert Reason("outlier") is Reason.OUTLIER


def test_the_documents_explain_every_reason_as_the_ui_does() -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    assert "\n".join(f"| `{reason}` | {reason.meaning} |" for reason in REASONS) in page


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"ts": "31.02.2024"}, Reason.IMPOSSIBLE_DATE),
        ({"store_id": "\0"}, Reason.MISSING_ID),
        ({"quantity": "2 pcs"}, Reason.QUANTITY_NOT_A_NUMBER),
        ({"unit_price": "1,50 EUR"}, Reason.PRICE_NOT_A_NUMBER),
        ({"on_promotion": "so-so"}, Reason.PROMOTION_NOT_A_FLAG),
        ({"line": "2024-02-01;1;A;2;1.5;extra"}, Reason.UNREADABLE_LINE),
        ({"transaction_id": "\0"}, Reason.UNREADABLE_LINE),
        ({"unit_price": "x", "ts": "y"}, Reason.IMPOSSIBLE_DATE),
    ],
)
def test_cells_that_the_source_could_not_read_are_refused_and_shown_as_they_were(
    cells: dict[str, str], reason: Reason
) -> None:
    raw = table({}, {name: None for name in cells if name != "line"}, {})
    raw = raw.astype({"ts": "datetime64[ns]", "quantity": float, "unit_price": float, "on_promotion": float})
    result = validate(raw.assign(unreadable=[None, json.dumps(cells), None]))
    assert result.counts == {str(reason): 1}
    assert "unreadable" not in result.valid
    original = json.loads(result.quarantined["original"][0])
    assert {name: original[name] for name in cells} == {name: text.replace("\0", "␀") for name, text in cells.items()}
    assert result.quarantined["line"].tolist() == [3]


def test_unreadable_cells_must_be_json_objects() -> None:
    for text in ("not JSON", "[1]", "{}"):
        with pytest.raises(DataError, match="unreadable must hold JSON objects"):
            validate(table({}, {}).assign(unreadable=[None, text]))


def test_which_of_two_duplicates_is_kept_does_not_depend_on_the_order_of_the_table() -> None:
    raw = table({"quantity": 2.0}, {"quantity": 7.0, "transaction_id": "0"}, {"quantity": 5.0, "transaction_id": "0"})
    for order in ([0, 1, 2], [2, 0, 1], [2, 1, 0]):
        result = validate(raw.iloc[order])
        assert result.valid["quantity"].tolist() == [2.0]
        assert sorted(result.quarantined["line"]) == [3, 4]
    nowhere = raw.drop(columns=["source", "line"])
    assert {validate(nowhere.iloc[order]).valid["quantity"][0] for order in ([0, 1, 2], [2, 1, 0])} == {2.0}


def test_duplicates_are_found_whatever_the_key_is_made_of() -> None:
    rng = np.random.default_rng(6)
    n = 3000
    raw = pd.DataFrame(
        {
            "ts": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 40_000, n), unit="min"),
            "store_id": rng.choice(["1", "2"], n),
            "item_id": rng.choice(["A", "B"], n),
            "quantity": rng.choice([1.0, 2.0, 3e5], n),
            "unit_price": rng.choice([1.0, np.nan, 2.5], n),
            "transaction_id": pd.Series(rng.choice(["a", "b", "\u00e9", None], n), dtype=object),
            "note": pd.Series([[int(k)] for k in rng.integers(0, 3, n)], dtype=object),  # not hashable
            "line": np.arange(n),
        }
    )
    key = ("ts", "store_id", "item_id", "quantity", "unit_price", "transaction_id", "note")
    raw = pd.concat([raw, raw.sample(200, random_state=1).assign(line=range(n, n + 200))], ignore_index=True)
    result = validate_transactions(raw, REFERENCE, RowRules(unique_key=key), last_date=LAST, max_quarantined_share=1.0)
    plain = raw.assign(note=raw["note"].astype(str)).sort_values("line")
    assert set(result.quarantined["line"]) == set(plain["line"][plain.duplicated(list(key))])


def test_a_column_in_one_time_zone_is_refused_with_what_to_do() -> None:
    raw = table({}, {})
    raw["ts"] = pd.to_datetime(raw["ts"]).dt.tz_localize("Europe/London")
    with pytest.raises(DataError, match=r"ts is in the time zone Europe/London.*`timezone` in a mapping"):
        validate(raw)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_times_of_other_units_are_the_same_times_and_those_out_of_reach_impossible(unit: str) -> None:
    raw = table({}, {})
    raw["ts"] = np.array(["2024-02-01T10:00", "9999-01-01"], dtype=f"datetime64[{unit}]")
    result = validate(raw)
    assert result.counts == {"impossible_date": 1}
    assert result.valid["ts"].tolist() == [pd.Timestamp("2024-02-01 10:00")]
    assert result.valid["ts"].dtype == np.dtype("datetime64[ns]")


def test_two_columns_of_one_name_are_refused() -> None:
    raw = table({})
    with pytest.raises(DataError, match="store_id"):
        validate(pd.concat([raw, raw[["store_id"]]], axis=1))


def test_categories_of_anything_become_categories_of_text() -> None:
    raw = table({"store_id": 1, "item_id": " A"}, {"store_id": 2, "item_id": "A"})
    result = validate(raw.astype({"store_id": "category", "item_id": "category"}))
    assert result.valid["store_id"].tolist() == ["1", "2"]
    assert result.valid["item_id"].cat.categories.tolist() == ["A"]


def test_what_was_accepted_once_is_accepted_again() -> None:
    raw = table({}, {"item_id": "B", "ts": "2024-02-03 11:30"}, {"quantity": "7"}, {"store_id": "9"})
    once = validate(raw).valid
    twice = validate(once)
    assert twice.counts == {}
    pd.testing.assert_frame_equal(twice.valid, once)


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
