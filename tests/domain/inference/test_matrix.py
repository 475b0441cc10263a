"""The base level's fallbacks, one after the other, and the calendar's columns."""

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import ON_PROMOTION, OPEN, Grain, Tier
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.contracts.spec import tier_spec
from shelfops_pipeline.inference.matrix import base_level, model_matrix, season_position
from shelfops_pipeline.inference.state import SeriesState
from tests.domain.support import blank_state

H = 7
SUNDAY = "2025-03-02"
PRODUCTION = tier_spec(Tier.PRODUCTION, Grain.DAY, H, 200, (OPEN, ON_PROMOTION), (), ("store_id",))


def state(**scalars: float) -> SeriesState:
    made = blank_state(PRODUCTION, 1, SUNDAY, **scalars)
    made.channel(ON_PROMOTION)[:] = 0
    return made


def set_table(made: SeriesState, name: str, values: list[float], promo: int | None = None) -> None:
    if promo is None:
        made.seasonal[0, made.layout.seasonal.index(name)] = values
    else:
        made.seasonal_promo[0, made.layout.seasonal_promo.index(name), :, promo] = values


def test_the_spec_of_this_module_has_a_conditional_base() -> None:
    assert PRODUCTION.base_on_promo
    assert PRODUCTION.base_window == 84
    assert max(PRODUCTION.seasonal_windows) == 182


def test_without_any_level_the_base_is_the_fallback_moved_by_the_weekday_of_the_likes() -> None:
    made = state(fallback_level=2.0)
    set_table(made, "category_seasonal", [0.5, np.nan, -0.5, 0, 0, 0, -3])
    np.testing.assert_allclose(base_level(PRODUCTION, made)[0], [2.5, 2, 1.5, 2, 2, 2, 0])


def test_the_series_own_weekday_mean_goes_before_its_likes() -> None:
    made = state(fallback_level=2.0)
    set_table(made, "category_seasonal", [9] * 7)
    set_table(made, "seasonal_mean_182", [1, 2, 3, np.nan, 5, 6, 7])
    np.testing.assert_allclose(base_level(PRODUCTION, made)[0], [1, 2, 3, 11, 5, 6, 7])


def test_the_mean_with_the_targets_promotion_flag_goes_first() -> None:
    made = state(fallback_level=2.0)
    set_table(made, "seasonal_mean_182", [1] * 7)
    set_table(made, "seasonal_promo_mean_84", [3] * 7, promo=0)
    set_table(made, "seasonal_promo_mean_84", [8, np.nan, 8, 8, 8, 8, 8], promo=1)
    made.channel(ON_PROMOTION)[0, -H : -H + 2] = 1
    np.testing.assert_allclose(base_level(PRODUCTION, made)[0], [8, 1, 3, 3, 3, 3, 3])


def test_a_base_is_never_unknown_or_negative() -> None:
    made = state(fallback_level=-1.0)
    base = base_level(PRODUCTION, made)
    assert (base == 0).all()


def test_the_matrix_shows_the_base_that_the_models_add_to() -> None:
    made = state(fallback_level=1.5)
    column = feature_names(PRODUCTION).index("base")
    np.testing.assert_array_equal(model_matrix(PRODUCTION, made)[..., column], base_level(PRODUCTION, made))


def test_monday_is_the_first_position_of_a_week_and_weeks_have_one_position() -> None:
    days = np.arange(np.datetime64("1969-12-29"), np.datetime64("1970-01-12"))  # two weeks from a Monday
    np.testing.assert_array_equal(season_position(PRODUCTION, days), list(range(7)) * 2)
    weekly = tier_spec(Tier.COLD_START, Grain.WEEK, 4, 60, (), (), ())
    assert not season_position(weekly, days).any()


def test_the_columns_of_the_matrix_are_in_the_order_of_the_registry() -> None:
    made = state(level_7=7.0, history=99.0)
    row = dict(zip(feature_names(PRODUCTION), model_matrix(PRODUCTION, made)[0, 2], strict=True))
    assert row["level_7"] == 7
    assert row["history"] == 99
    assert row["horizon"] == 3
    assert row["weekday"] == 2
    assert row["day_of_month"] == 5
    assert row["payday_distance"] == pytest.approx(4)
