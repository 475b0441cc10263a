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
from shelfops_pipeline.explain.words import amount, because, describe, reasons, signed, theme_of, themes

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
    units = UnitExplanation(np.array([0.5]), np.array([[-0.9]]), np.array([-0.4]))
    text = describe(units, 0, [1.0], [feature("weekday")])
    assert text.startswith("Expected 0 units")
    assert "cut at 0" in text


def test_amounts_have_a_sensible_number_of_digits() -> None:
    assert [amount(v) for v in (1234.5, 12.34, 3.14, 0.123, 0.0, -0.001)] == ["1,234", "12", "3.1", "0.12", "0", "0"]
    assert [signed(v) for v in (3.0, -3.0, 0.001)] == ["+3", "−3", "0"]
