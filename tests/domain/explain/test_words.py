"""Explanations in plain words."""

import math
import re
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.contracts.features import Feature, feature_list
from shelfops_pipeline.contracts.spec import tier_spec
from shelfops_pipeline.explain.shap_values import UnitExplanation, explain, to_units
from shelfops_pipeline.explain.themes import Themes, describe, theme_of, themes
from shelfops_pipeline.explain.words import amount, because, reasons, signed

CATEGORIES = {"store_id": ("north", "south", "west"), "item_id": ("milk",)}


def feature(name: str, definition: str = "something", unit: str = "units per period", **bounds: float) -> Feature:
    return Feature(name=name, source="target", definition=definition, unit=unit, **bounds)


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        (feature("promo"), 1.0, "of the promotion"),
        (feature("promo"), 0.0, "there is no promotion"),
        (feature("weekday"), 0.0, "it is Monday"),
        (feature("month"), 12.0, "it is December"),
        (feature("day_of_year"), 1.0, "the time of year is early January"),
        (feature("day_of_year"), 366.0, "the time of year is late December"),
        (feature("price_to_mean"), 0.8, "the price is 20 % below its usual level"),
        (feature("price_to_last"), 1.0, "the price is the current price"),
        (feature("static_store_id"), 1.0, "store_id is south"),
        (feature("static_store_id"), 9.0, "store_id is number 9"),
        (
            feature("level_7", "mean demand", "log1p(units per period)", low=0),
            math.log1p(24),
            "the mean demand is 24 units",
        ),
        (feature("trend_short", "trend", "log1p(units per period)"), math.log(1.5), "the trend is +50 %"),
        (feature("level_7", "mean demand", low=0), 24.0, "the mean demand is 24 units"),
        (feature("zero_share_7", "share of idle days", "share"), 0.5, "the share of idle days is 50 %"),
        (feature("level_7", "mean demand"), math.nan, "it is not known: mean demand"),
    ],
)
def test_a_value_ends_the_sentence(what: Feature, value: float, said: str) -> None:
    assert because(what, value, CATEGORIES) == said


def test_a_sentence_names_the_promotion_and_the_weekday(case: Any) -> None:
    promo, weekday = case.column("promo"), case.column("weekday")
    rows = case.X[(promo == 1) & (weekday == 0)][:1]
    units = to_units(explain(case.booster, rows, case.names), case.transform)
    text = describe(units, 0, list(rows[0]), case.features, CATEGORIES)
    assert re.search(r"\+[\d.]+ because of the promotion", text)
    assert re.search(r"−[\d.]+ because it is Monday", text)
    assert text.startswith(f"Expected {amount(float(units.prediction[0]))} units: it starts from ")


def test_themes_keep_the_sum_of_their_features(case: Any) -> None:
    rows = case.X[:5]
    units = to_units(explain(case.booster, rows, case.names), case.transform)
    for i in range(5):
        by_theme = themes(list(units.parts[i]), list(rows[i]), case.features, CATEGORIES)
        by_feature = reasons(list(units.parts[i]), list(rows[i]), case.features, CATEGORIES)
        assert sum(r.units for r in by_theme) == pytest.approx(sum(r.units for r in by_feature))
        assert len(by_theme) < len(by_feature) == len(case.features)
        assert [abs(r.units) for r in by_theme] == sorted((abs(r.units) for r in by_theme), reverse=True)


@pytest.mark.parametrize("grain", Grain)
@pytest.mark.parametrize("log", [True, False])
def test_every_feature_of_both_tiers_can_be_said(log: bool, grain: Grain) -> None:
    for tier in Tier:
        channels = ("open", "on_promotion", "price", "holiday", "temperature")
        spec = tier_spec(tier, grain, 28, 800, channels, ("oil",), ("store_id", "category"))
        for one in feature_list(spec, log=log):
            for value in (0.0, 1.0, 3.0, math.nan):
                said = because(one, value, CATEGORIES)
                assert said
                assert "nan" not in said
                assert grain is Grain.DAY or "weekday" not in said
            assert theme_of(one.name)


def test_a_negative_prediction_is_cut_and_said() -> None:
    units = UnitExplanation(np.array([0.5]), np.array([[-0.9]]), np.array([-0.4]), "its own usual level")
    text = describe(units, 0, [1.0], [feature("weekday")])
    assert text == (
        "Expected 0 units: it starts from 0.5, its own usual level, then −0.9 because it is Tuesday, "
        "+0.4 because demand is never below 0."
    )


def test_amounts_have_a_sensible_number_of_digits() -> None:
    assert [amount(v) for v in (1234.5, 12.34, 3.14, 0.123, 0.0, -0.001)] == ["1,234", "12", "3.1", "0.12", "0", "0"]
    assert [signed(v) for v in (3.0, -3.0, 0.001)] == ["+3", "−3", "0"]


def test_the_day_before_a_holiday_speaks_of_it_and_a_plain_day_does_not() -> None:
    features = [feature("holiday"), feature("until_holiday"), feature("weekday")]
    parts, data = (
        np.array([[0.1, 5.0, 1.0], [4.0, 0.5, 1.0], [-2.0, 0.1, 1.0]]),
        np.array([[0, 1, 0], [1, 0, 0], [0, 9, 0]]),
    )
    found = Themes.among(features)
    assert found.words(0, found.by_cell(parts), data).tolist() == [
        "of holidays nearby",
        "of the holiday",
        "there is no holiday",
    ]


def test_themes_of_many_rows_are_those_of_each_row(case: Any) -> None:
    rows = case.X[:30]
    units = to_units(explain(case.booster, rows, case.names), case.transform)
    found = Themes.among(case.features, CATEGORIES)
    cells = found.by_cell(units.parts)
    sums = found.sums(cells)
    said = [found.words(t, cells, rows) for t in range(len(found.names))]
    for i in range(len(rows)):
        alone = {r.feature: r for r in themes(list(units.parts[i]), list(rows[i]), case.features, CATEGORIES)}
        for t, name in enumerate(found.names):
            assert alone[name].units == pytest.approx(sums[i, t])
            assert alone[name].because == said[t][i]


@pytest.mark.parametrize("grain", Grain)
def test_a_sum_over_periods_speaks_of_no_single_day(grain: Grain) -> None:
    channels = ("open", "on_promotion", "price", "holiday", "temperature")
    spec = tier_spec(Tier.PRODUCTION, grain, 28, 800, channels, ("oil",), ("store_id", "category"))
    found = Themes.among(feature_list(spec, log=True))
    said = {name: found.words_over_periods(t) for t, name in enumerate(found.names)}
    assert said["promo"] == "of when it is on promotion"
    assert said["sales history"] == "of its own sales history"
    assert said["cov_temperature"] == "of the temperature at the target"
    assert all(text.startswith("of ") for text in said.values())
