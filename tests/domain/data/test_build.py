"""What an absent row means, and where everything goes: the panel built from small tables by hand."""

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import HOLIDAY, HOLIDAY_DAYS, ON_PROMOTION, OPEN, PRICE, Grain
from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import State
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.tables import calendar
from shelfops_pipeline.errors import DataError
from tests.domain.data.panel_by_hand import ITEMS, NAN, NO_CALENDAR, STORES, build, day, demand, known, row, states

DAILY = {n: 1.0 for n in range(5)}


def test_a_listed_item_without_a_row_on_a_trading_day_sold_nothing() -> None:
    panel = build({("a", "x"): DAILY, ("a", "y"): {1: 4, 3: 2}})
    np.testing.assert_array_equal(panel.demand[row(panel, "a", "y")], [NAN, 4, 0, 2, 0])
    assert states(panel, "a", "y") == ["NOT_LISTED", "OBSERVED", "OBSERVED", "OBSERVED", "OBSERVED"]


def test_where_the_feed_may_be_silent_an_absent_row_is_unknown() -> None:
    panel = build({("a", "x"): DAILY, ("a", "y"): {1: 4, 3: 2}}, absence="missing")
    np.testing.assert_array_equal(panel.demand[row(panel, "a", "y")], [NAN, 4, NAN, 2, NAN])
    assert states(panel, "a", "y") == ["NOT_LISTED", "OBSERVED", "UNKNOWN", "OBSERVED", "UNKNOWN"]


def test_a_store_in_which_nothing_at_all_sold_was_closed() -> None:
    panel = build({("a", "x"): {0: 1, 1: 1, 3: 1}, ("b", "x"): DAILY})
    assert states(panel, "a", "x")[2] == "CLOSED"
    assert states(panel, "a", "x")[4] == "CLOSED"
    assert np.isnan(panel.demand[row(panel, "a", "x"), [2, 4]]).all()
    np.testing.assert_array_equal(panel.channels[OPEN][row(panel, "a", "x")], [1, 1, 0, 1, 0])
    np.testing.assert_array_equal(panel.channels[OPEN][row(panel, "b", "x")], 1)


def test_a_retailer_that_never_closes_needs_no_opening_channel() -> None:
    assert OPEN not in build({("a", "x"): DAILY}).channels


def test_opening_hours_that_are_given_are_believed() -> None:
    schedule = known(OPEN, [(n, float(n != 2)) for n in range(7)], store_id=["a"] * 7)
    panel = build({("a", "x"): DAILY, ("b", "x"): DAILY}, covariates=[schedule])
    assert states(panel, "a", "x") == ["OBSERVED", "OBSERVED", "CLOSED", "OBSERVED", "OBSERVED", "FUTURE", "FUTURE"]
    assert np.isnan(panel.demand[row(panel, "a", "x"), 2])  # whatever was booked on that day
    assert states(panel, "b", "x")[2] == "OBSERVED"


def test_future_opening_follows_the_weekdays_of_the_last_four_weeks() -> None:
    """Five weeks without Sundays; the last Monday was closed too, which is no habit."""
    days = {n: 1.0 for n in range(35) if n % 7 != 6 and n != 28}
    ahead = calendar([day(44)], ["all"], ["fair"], ["public"])
    opening = build({("a", "x"): days}, special=ahead).channels[OPEN][0]
    last = max(days)
    np.testing.assert_array_equal(opening[: last + 1], [float(n in days) for n in range(last + 1)])
    np.testing.assert_array_equal(opening[last + 1 :], [float(n % 7 != 6) for n in range(last + 1, 45)])


def test_a_store_that_gave_up_sunday_trade_long_ago_is_expected_to_be_closed() -> None:
    days = {n: 1.0 for n in range(70) if n % 7 != 6 or n < 30}
    opening = build({("a", "x"): days}, special=calendar([day(80)], ["all"], ["fair"], ["public"])).channels[OPEN][0]
    assert opening[[76]].tolist() == [0]
    assert opening[70:76].all()


def test_returns_are_netted_and_never_make_demand_negative() -> None:
    lines = pd.DataFrame(
        {
            "ts": [day(0), day(0), day(1), day(1)],
            "store_id": pd.Categorical(["a"] * 4),
            "item_id": pd.Categorical(["x"] * 4),
            "quantity": [5.0, -2.0, 1.0, -4.0],
        }
    )
    panel = build_panel(
        "shop", Grain.DAY, "zero", daily_demand(lines, Grain.DAY), Reference(STORES, ITEMS, NO_CALENDAR)
    )
    np.testing.assert_array_equal(panel.demand[0], [3, 0])


def test_a_period_that_ended_with_an_empty_shelf_is_a_stockout_and_not_demand() -> None:
    inventory = pd.DataFrame(
        {
            "date": [day(1), day(2), day(3), day(9), day(1)],
            "store_id": ["a", "a", "a", "a", "nowhere"],
            "item_id": ["x"] * 5,
            "on_hand": [0.0, 3.0, -1.0, 0.0, 0.0],
        }
    )
    panel = build({("a", "x"): DAILY, ("b", "x"): DAILY}, inventory=inventory)
    assert states(panel, "a", "x") == ["OBSERVED", "STOCKOUT", "OBSERVED", "STOCKOUT", "OBSERVED"]
    np.testing.assert_array_equal(panel.demand[row(panel, "a", "x")], [1, NAN, 1, NAN, 1])
    assert states(panel, "b", "x") == ["OBSERVED"] * 5


def test_a_stockout_is_noted_only_where_demand_was_observed() -> None:
    inventory = pd.DataFrame({"date": [day(2)], "store_id": ["a"], "item_id": ["x"], "on_hand": [0.0]})
    closed = known(OPEN, [(n, float(n != 2)) for n in range(5)])
    assert states(build({("a", "x"): DAILY}, covariates=[closed], inventory=inventory), "a", "x")[2] == "CLOSED"


def test_an_item_without_a_price_is_not_on_sale() -> None:
    price = known(PRICE, [(n, 2.5) for n in (0, 1, 3, 4)], store_id=["a"] * 4, item_id=["y"] * 4)
    panel = build({("a", "x"): DAILY, ("a", "y"): {0: 1, 3: 1}}, absence="missing", covariates=[price])
    assert states(panel, "a", "y") == ["OBSERVED", "UNKNOWN", "NOT_LISTED", "OBSERVED", "UNKNOWN"]
    np.testing.assert_array_equal(panel.channels[PRICE][row(panel, "a", "y")], [2.5, 2.5, NAN, 2.5, 2.5])


def test_the_future_is_as_long_as_what_is_known_of_it_and_holds_no_demand() -> None:
    promo = known(ON_PROMOTION, [(n, 1.0) for n in range(9)], item_id=["x"] * 9)
    panel = build({("a", "x"): DAILY}, covariates=[promo])
    assert (panel.n_observed, panel.n_periods) == (5, 9)
    assert str(panel.last_observed) == "2024-01-05"
    assert (panel.state[:, 5:] == State.FUTURE).all()
    assert np.isnan(panel.demand[:, 5:]).all()
    assert (panel.channels[ON_PROMOTION] == 1).all()


def test_a_calendar_reaches_ahead_where_no_plan_does_but_not_without_end() -> None:
    ahead = calendar([day(30), day(3000)], ["all"] * 2, ["fair", "jubilee"], ["public"] * 2)
    panel = build({("a", "x"): DAILY}, special=ahead)
    assert panel.n_periods == 5 + 400
    assert panel.channels[HOLIDAY][0, 30] == 1
    past = build({("a", "x"): DAILY}, special=calendar([day(2)], ["all"], ["fair"], ["public"]))
    assert past.n_periods == 5


def test_an_item_that_is_planned_but_was_never_sold_is_a_series_too() -> None:
    planned = known(PRICE, [(n, 3.0) for n in range(4, 9)], store_id=["a"] * 5, item_id=["y"] * 5)
    panel = build({("a", "x"): DAILY}, covariates=[planned])
    assert list(zip(panel.store_ids, panel.item_ids, strict=True)) == [("a", "x"), ("a", "y")]
    assert states(panel, "a", "y") == ["NOT_LISTED"] * 5 + ["FUTURE"] * 4


def test_a_price_of_the_past_alone_makes_no_series() -> None:
    last = len(DAILY) - 1
    quoted = known(PRICE, [(n, 3.0) for n in range(last + 1)], store_id=["a"] * (last + 1), item_id=["y"] * (last + 1))
    assert build({("a", "x"): DAILY}, covariates=[quoted]).item_ids.tolist() == ["x"]


def test_a_store_that_is_planned_but_has_never_traded_is_expected_to_open() -> None:
    planned = known(PRICE, [(n, 3.0) for n in range(4, 9)], store_id=["b"] * 5, item_id=["x"] * 5)
    opening = build({("a", "x"): DAILY}, covariates=[planned]).channels[OPEN]
    np.testing.assert_array_equal(opening, [[1] * 9, [0] * 5 + [1] * 4])


def test_covariates_are_spread_over_the_ids_that_they_do_not_name() -> None:
    rows = {(s, i): DAILY for s in "ab" for i in "xy"}
    panel = build(
        rows,
        covariates=[
            known("oil", [(0, 7.0)]),
            known("snap", [(1, 1.0)], store_id=["b"]),
            known("season", [(2, 4.0)], item_id=["y"]),
            known(PRICE, [(4, 9.0)], store_id=["a"], item_id=["y"]),
        ],
    )
    assert list(panel.channels) == [PRICE, "oil", "season", "snap"]  # reserved names first
    assert (panel.channels["oil"][:, 0] == 7).all()
    for name, period, value, where in (
        ("snap", 1, 1, {("b", "x"), ("b", "y")}),
        ("season", 2, 4, {("a", "y"), ("b", "y")}),
        (PRICE, 4, 9, {("a", "y")}),
    ):
        column = panel.channels[name][:, period]
        found = zip(panel.store_ids[column == value], panel.item_ids[column == value], strict=True)
        assert set(found) == where
        assert np.isfinite(panel.channels[name]).sum() == len(where)


def test_a_missing_id_means_all_and_a_named_one_goes_before_it() -> None:
    promo = known(ON_PROMOTION, [(0, 1.0), (0, 0.0), (1, 1.0)], store_id=[None, "b", None], item_id=["x", "x", None])
    panel = build({(s, i): DAILY for s in "ab" for i in "xy"}, covariates=[promo])
    got = {k: panel.channels[ON_PROMOTION][row(panel, *k), :2].tolist() for k in (("a", "x"), ("b", "x"), ("a", "y"))}
    assert got[("a", "x")] == [1, 1]
    assert got[("b", "x")] == [0, 1]
    assert got[("a", "y")] == pytest.approx([NAN, 1], nan_ok=True)


def test_ids_and_dates_that_the_panel_does_not_have_are_left_out() -> None:
    stray = known("oil", [(-3, 1.0), (2, 5.0), (4, 8.0)], store_id=["a", "elsewhere", "a"])
    panel = build({("a", "x"): DAILY}, covariates=[stray])
    np.testing.assert_array_equal(panel.channels["oil"][0], [NAN, NAN, NAN, NAN, 8])


def test_what_is_known_only_afterwards_is_hidden_from_the_future() -> None:
    customers = known("customers", [(n, 50.0 + n) for n in range(8)], future=False, store_id=["a"] * 8)
    plan = known("plan", [(7, 1.0)])
    panel = build({("a", "x"): DAILY}, covariates=[customers, plan])
    assert "customers" not in panel.channels
    np.testing.assert_array_equal(panel.past["customers"][0], [50, 51, 52, 53, 54, NAN, NAN, NAN])


def test_an_empty_covariate_is_no_channel() -> None:
    empty = known("oil", [(0, 1.0)]).iloc[:0]
    located = known("promo", [(0, 1.0)], store_id=["a"], item_id=["x"]).iloc[:0]
    assert build({("a", "x"): DAILY}, covariates=[empty, located]).channels == {}


def test_holidays_hold_where_their_scope_says() -> None:
    special = calendar(
        [day(0), day(1), day(2)], ["all", "region:south", "region:west"], ["new year", "saint", "fair"], ["p", "r", "r"]
    )
    panel = build({(s, "x"): DAILY for s in "ab"}, special=special)
    assert panel.holiday_kinds == ("p", "r")
    np.testing.assert_array_equal(panel.channels[HOLIDAY][row(panel, "a", "x")], [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(panel.channels[HOLIDAY][row(panel, "b", "x")], [1, 2, 0, 0, 0])


def test_a_scope_is_found_among_numbers_beside_a_store_that_is_not_in_the_table() -> None:
    special = calendar([day(1)], ["district:1"], ["saint"], ["r"])
    rows = {(store, "x"): {0: 1, 1: 1} for store in ("a", "b", "unknown")}
    panel = build(rows, special=special, stores=pd.DataFrame({"store_id": ["a", "b"], "district": [1, 2]}))
    assert panel.channels[HOLIDAY][:, 1].tolist() == [1, 0, 0]


def test_of_several_holidays_on_one_day_the_alphabetically_last_kind_counts_whatever_their_scopes() -> None:
    special = calendar(
        [day(0), day(1), day(1), day(2), day(2)],
        ["region:north", "region:north", "all", "all", "region:north"],
        ["a", "b", "c", "d", "e"],
        ["early", "zenith", "middle", "zenith", "middle"],
    )
    panel = build({("a", "x"): DAILY}, special=special)
    assert panel.holiday_kinds == ("early", "middle", "zenith")
    np.testing.assert_array_equal(panel.channels[HOLIDAY][0, :3], [1, 3, 3])


def test_a_scope_that_names_no_attribute_of_stores_is_refused() -> None:
    with pytest.raises(DataError, match="scope 'planet:mars' names no store attribute; known: region, area"):
        build({("a", "x"): DAILY}, special=calendar([day(0)], ["planet:mars"], ["landing"], ["p"]))


def test_a_holiday_covariate_goes_before_the_calendar() -> None:
    codes = known(HOLIDAY, [(0, 3.0)], store_id=["a"])
    panel = build({("a", "x"): DAILY}, covariates=[codes], special=calendar([day(1)], ["all"], ["x"], ["p"]))
    assert panel.holiday_kinds == ("1", "2", "3")
    np.testing.assert_array_equal(panel.channels[HOLIDAY][0, :2], [3, NAN])
    other = panel.aligned({}, ("3", "public"))  # to a model that learned from the calendar
    np.testing.assert_array_equal(other.channels[HOLIDAY][0, :2], [1, NAN])


def test_textual_attributes_become_codes_and_numbers_and_foreign_keys_do_not() -> None:
    panel = build({(s, i): DAILY for s in "ab" for i in "xy"})
    assert set(panel.static) == {"store_id", "item_id", "region"}  # one category is no information
    assert panel.static["region"].categories == ("north", "south")
    assert panel.static["region"].codes[row(panel, "b", "x")] == 1
    items = ITEMS.assign(category=["food", "drink"], shelf=["top", None])
    richer = build({(s, i): DAILY for s in "ab" for i in "xy"}, items=items)
    assert richer.static["category"].categories == ("drink", "food")
    assert "shelf" not in richer.static
    three = pd.concat([items, pd.DataFrame({"item_id": ["z"], "category": [None]})], ignore_index=True)
    unknown = build({("a", i): DAILY for i in "xyz"}, items=three)
    assert unknown.static["category"].codes[row(unknown, "a", "z")] == -1


def test_a_retailer_of_one_item_has_no_item_attribute_and_one_of_one_store_no_store_attribute() -> None:
    assert "item_id" not in build({("a", "x"): DAILY, ("b", "x"): DAILY}).static
    assert "store_id" not in build({("a", "x"): DAILY, ("a", "y"): DAILY}).static


def test_weeks_are_dated_by_their_monday_and_summed() -> None:
    lines = pd.DataFrame(
        {
            "ts": [day(0), day(6), day(7), day(27)],
            "store_id": pd.Categorical(["a"] * 4),
            "item_id": pd.Categorical(["x"] * 4),
            "quantity": [5.0, 2.0, 1.0, 4.0],
        }
    )
    weekly = daily_demand(lines, Grain.WEEK)
    panel = build_panel("shop", Grain.WEEK, "missing", weekly, Reference(STORES, ITEMS, NO_CALENDAR))
    assert [str(d) for d in panel.dates] == ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"]
    np.testing.assert_array_equal(panel.demand[0], [7, 1, NAN, 4])


def test_daily_covariates_of_a_weekly_retailer_are_summed_up_by_week() -> None:
    """Open if open on any day, on promotion if on any day, a price is the mean: as transactions are summed up."""
    days = range(14)
    sunday_closed = known(OPEN, [(n, float(n % 7 != 6)) for n in days], store_id=["a"] * 14)
    promo = known(ON_PROMOTION, [(n, float(n == 9)) for n in days], item_id=["x"] * 14)
    price = known(PRICE, [(n, 2.0 if n < 4 else 3.0) for n in days], store_id=["a"] * 14, item_id=["x"] * 14)
    oil = known("oil", [(n, float(n)) for n in days])
    fair = calendar([day(2), day(8)], ["all"] * 2, ["fair", "feast"], ["local", "public"])
    panel = build(
        {("a", "x"): {0: 5, 7: 6}},
        absence="missing",
        grain=Grain.WEEK,
        covariates=[sunday_closed, promo, price, oil],
        special=fair,
    )
    assert panel.n_observed == 2
    np.testing.assert_array_equal(panel.demand[0], [5, 6])
    np.testing.assert_array_equal(panel.channels[OPEN][0], [1, 1])
    np.testing.assert_array_equal(panel.channels[ON_PROMOTION][0], [0, 1])
    np.testing.assert_allclose(panel.channels[PRICE][0], [(4 * 2 + 3 * 3) / 7, 3])
    np.testing.assert_allclose(panel.channels["oil"][0], [3, 10])
    np.testing.assert_array_equal(panel.channels[HOLIDAY][0], [1, 2])


def test_weeks_count_their_days_with_a_holiday_whatever_kinds_they_are() -> None:
    special = calendar(
        [day(2), day(3), day(3), day(8)],
        ["all", "all", "region:north", "region:south"],
        ["eve", "feast", "saint", "fair"],
        ["public", "public", "local", "local"],
    )
    panel = build({(s, "x"): {0: 5, 7: 6} for s in "ab"}, grain=Grain.WEEK, special=special)
    np.testing.assert_array_equal(panel.channels[HOLIDAY_DAYS][row(panel, "a", "x"), :2], [2, 0])
    np.testing.assert_array_equal(panel.channels[HOLIDAY_DAYS][row(panel, "b", "x"), :2], [2, 1])
    codes = known(HOLIDAY, [(n, float(n in (4, 5)) * 3) for n in range(7)], store_id=["a"] * 7)
    other = build({("a", "x"): {0: 5, 7: 6}}, grain=Grain.WEEK, covariates=[codes], special=special)
    np.testing.assert_array_equal(other.channels[HOLIDAY_DAYS][0, :2], [2, NAN])
    assert HOLIDAY_DAYS not in build({("a", "x"): DAILY}, special=special).channels


def test_without_demand_there_is_no_panel() -> None:
    with pytest.raises(DataError, match="no valid transactions to build a panel from"):
        build({})


def test_a_price_holds_until_another_is_known_also_where_nothing_was_sold() -> None:
    """Left unknown, a price of sales alone would tell the models on which days nothing was sold, and nothing ahead."""
    keys = {"store_id": ["a"] * 4, "item_id": ["y"] * 4}
    price = known(PRICE, [(1, 3.0), (3, 2.0), (7, 2.5), (8, 2.5)], **keys)
    promotion = known(ON_PROMOTION, [(n, float(n in (3, 4, 9))) for n in range(11)], store_id=["a"] * 11)
    panel = build({("a", "x"): dict.fromkeys(range(7), 1.0), ("a", "y"): {1: 1, 3: 5}}, covariates=[price, promotion])
    found = panel.channels[PRICE][row(panel, "a", "y")]
    np.testing.assert_array_equal(found, [NAN, 3, 3, 2, 2, 3, 3, 2.5, 2.5, 2, 2.5])
    assert np.isnan(panel.channels[PRICE][row(panel, "a", "x")]).all()


def test_where_no_price_means_not_on_sale_only_a_future_without_any_price_is_filled() -> None:
    price = known(PRICE, [(0, 2.5), (3, 2.0)], store_id=["a"] * 2, item_id=["x"] * 2)
    special = calendar([day(6)], ["all"], ["fair"], ["public"])
    panel = build({("a", "x"): DAILY}, absence="missing", covariates=[price], special=special)
    np.testing.assert_array_equal(panel.channels[PRICE][0], [2.5, NAN, NAN, 2, NAN, 2, 2])


def test_a_day_off_is_expected_ahead_where_no_calendar_reaches() -> None:
    days = {n: 1.0 for n in range(35) if n % 7 != 6}
    assert build({("a", "x"): days}).n_periods == max(days) + 1
    reference = Reference(STORES, ITEMS, NO_CALENDAR)
    panel = build_panel("shop", Grain.DAY, "zero", demand({("a", "x"): days}), reference, ahead=14)
    np.testing.assert_array_equal(panel.channels[OPEN][0, 34:], [float(n % 7 != 6) for n in range(34, 48)])
    assert panel.expected_closed == []
    silent = demand({("a", "x"): days, ("b", "x"): {n: 1.0 for n in days if n < 5}})
    assert build_panel("shop", Grain.DAY, "zero", silent, reference, ahead=14).expected_closed == ["b"]
    plan = known(OPEN, [(n, 1.0) for n in range(34, 48)], store_id=["b"] * 14)
    told = build_panel("shop", Grain.DAY, "zero", silent, Reference(STORES, ITEMS, NO_CALENDAR, [plan]))
    assert told.expected_closed == []
    assert told.channels[OPEN][row(told, "b", "x"), 34:].all()
    np.testing.assert_array_equal(told.channels[OPEN][row(told, "a", "x")], [float(n % 7 != 6) for n in range(48)])
    never_closed = demand({("a", "x"): DAILY})
    assert build_panel("shop", Grain.DAY, "zero", never_closed, reference, ahead=14).n_periods == len(DAILY)


def test_a_schedule_that_ends_with_the_sales_goes_on_as_it_was() -> None:
    schedule = known(OPEN, [(n, float(n % 7 != 6)) for n in range(34)])
    days = demand({("a", "x"): {n: 1.0 for n in range(34) if n % 7 != 6}})
    panel = build_panel("shop", Grain.DAY, "missing", days, Reference(STORES, ITEMS, NO_CALENDAR, [schedule]), ahead=14)
    np.testing.assert_array_equal(panel.channels[OPEN][0], [float(n % 7 != 6) for n in range(48)])


def test_models_do_without_what_is_known_of_the_past_alone() -> None:
    """A holiday flag that only stands in the sales: whoever learned from it would meet nothing but unknowns."""
    promotion, flag, rain = (known(name, [(n, 1.0) for n in range(5)]) for name in (ON_PROMOTION, HOLIDAY, "fair"))
    ahead = known("planned", [(n, 1.0) for n in range(8)])
    panel = build({("a", "x"): DAILY}, covariates=[promotion, flag, rain, ahead])
    assert panel.known_ahead == (ON_PROMOTION, "planned")
    assert panel.periods_ahead == {ON_PROMOTION: 0, HOLIDAY: 0, "fair": 0, "planned": 3}
    special = calendar([day(6)], ["all"], ["fair"], ["public"])
    with_calendar = build({("a", "x"): DAILY}, covariates=[flag], special=special)
    assert (with_calendar.known_ahead, with_calendar.holiday_kinds) == ((HOLIDAY,), ("public",))
