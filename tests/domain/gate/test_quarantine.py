"""How a bad row is filed and identified, and what its release does."""

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.gate.validation import ValidationResult, validate_transactions
from tests.domain.gate.gate_by_hand import LAST, REFERENCE, RULES, table, validate


def test_a_bad_row_is_filed_under_its_own_day_or_that_of_the_nearest_row_before_it() -> None:
    days = ["NaT", "2024-02-02 10:00", "NaT", "1900-01-01", "2024-02-03 10:00", "2031-01-01", "2024-02-04 10:00"]
    raw = table(*[{"ts": pd.Timestamp(day), "quantity": np.nan} for day in days])
    filed = validate(raw).quarantined["filed"].dt.strftime("%Y-%m-%d").tolist()
    assert filed == [f"2024-02-0{day}" for day in (2, 2, 2, 2, 3, 3, 4)]


def test_the_source_s_own_filing_goes_before_that() -> None:
    raw = table({"ts": pd.NaT}, {"ts": pd.Timestamp("2024-02-02 10:00")})
    raw["filed"] = pd.to_datetime(["2024-01-09", "2024-02-02"])
    result = validate(raw)
    assert result.quarantined["filed"].tolist() == [pd.Timestamp("2024-01-09")]
    assert "filed" not in result.valid


def test_where_no_row_has_a_date_none_is_made_up() -> None:
    assert validate(table({"ts": pd.NaT}, {"ts": pd.NaT})).quarantined["filed"].isna().all()


def test_a_fingerprint_is_of_source_line_and_content_and_survives_a_change_of_types() -> None:
    bad = table({"store_id": "9"}, {"store_id": "9"}, {"store_id": "8"})
    prints = validate(bad).quarantined["fingerprint"]
    assert prints.is_unique
    as_read_alone = bad.iloc[1:2].astype({"quantity": int, "store_id": "category", "source": "category"})
    assert validate(as_read_alone).quarantined["fingerprint"].tolist() == [prints[1]]
    assert validate(bad.assign(line=bad["line"] + 1)).quarantined["fingerprint"].isin(prints).sum() == 0
    assert validate(bad.assign(unit_price=2.0)).quarantined["fingerprint"].isin(prints).sum() == 0
    assert validate(bad.assign(source="b.csv")).quarantined["fingerprint"].isin(prints).sum() == 0


def released(raw: pd.DataFrame) -> ValidationResult:
    """What the gate makes of a frame of which every bad row is released."""
    prints = frozenset(validate(raw).quarantined["fingerprint"])
    return validate_transactions(
        raw, REFERENCE, RULES, last_date=LAST, max_quarantined_share=0.5, released=prints | {"0" * 64}
    )


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({"store_id": "77"}, "store_id", "77"),
        ({"item_id": "POST"}, "item_id", "POST"),
        ({"quantity": -2e6}, "quantity", -2e6),
        ({"unit_price": 0.0}, "unit_price", 0.0),
        ({"unit_price": -1.0}, "unit_price", np.nan),  # the sale happened; its price cannot have been that
        ({"unit_price": np.inf}, "unit_price", np.nan),
        ({"on_promotion": 7.0}, "on_promotion", np.nan),
        ({"transaction_id": "0"}, "transaction_id", "0"),
    ],
)
def test_a_released_row_is_accepted(change: dict[str, object], column: str, value: object) -> None:
    result = released(table({}, change))
    assert (result.counts, result.released, len(result.valid)) == ({}, 1, 2)
    if isinstance(value, float) and np.isnan(value):
        assert np.isnan(result.valid[column][1])
    else:
        assert result.valid[column][1] == value
    assert result.valid[["unit_price", "on_promotion"]].loc[0].tolist() == [1.5, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"store_id": None},
        {"item_id": ""},
        {"ts": pd.NaT},
        {"ts": pd.Timestamp("2031-01-01")},
        {"quantity": np.nan},
        {"quantity": np.inf},
    ],
)
def test_a_released_row_that_cannot_be_demand_stays(change: dict[str, object]) -> None:
    result = released(table({}, change))
    assert (len(result.valid), len(result.quarantined), result.released) == (1, 1, 0)


def test_a_released_row_does_not_displace_its_good_twin() -> None:
    result = released(table({"quantity": 9e9}, {"transaction_id": "0"}))
    assert (len(result.valid), result.counts, result.released) == (2, {}, 1)
