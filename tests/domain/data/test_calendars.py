"""Public holidays of a country and region as a calendar table."""

from datetime import date

import pandas as pd
import pytest

from shelfops_pipeline.data.calendars import public_holidays
from shelfops_pipeline.errors import DataError

YEAR = (date(2024, 1, 2), date(2024, 12, 31))


def test_holidays_reach_from_the_first_day_to_400_days_past_the_last() -> None:
    table = public_holidays("AT", None, *YEAR)
    assert list(table.columns) == ["date", "scope", "name", "kind"]
    assert table["date"].min() == pd.Timestamp("2024-01-06")
    assert pd.Timestamp("2025-12-26") in set(table["date"])
    assert table["date"].max() <= pd.Timestamp("2026-02-04")
    assert set(table["scope"]) == {"all"}
    assert set(table["kind"]) == {"public"}


def test_a_region_has_days_of_its_own() -> None:
    country, bavaria = (public_holidays("DE", region, *YEAR, scope="state:BY") for region in (None, "BY"))
    assert set(bavaria["date"]) > set(country["date"])
    assert set(bavaria["scope"]) == {"state:BY"}


def test_categories_are_kinds() -> None:
    table = public_holidays("AT", None, *YEAR, categories=("public", "bank"))
    assert set(table["kind"]) == {"public", "bank"}


@pytest.mark.parametrize(
    ("country", "region", "category", "words"),
    [("XX", None, "public", "XX"), ("AT", "77", "public", "77"), ("AT", None, "imaginary", "imaginary")],
)
def test_what_the_package_does_not_know_is_named(country: str, region: str | None, category: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        public_holidays(country, region, *YEAR, categories=(category,))
