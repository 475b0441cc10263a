"""The ways of selling nothing, told apart: stockouts, gaps in a feed, closures, holidays, returns."""

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import OPEN, Grain
from shelfops_pipeline.data.stockouts import SUSPECTED_STOCKOUT
from shelfops_pipeline.data.tables import calendar
from tests.domain.data.panel_by_hand import build, counted, day, known, row, states


def test_a_week_that_was_counted_once_and_empty_is_censored() -> None:
    panel = build({("a", "x"): {0: 5, 7: 6}}, grain=Grain.WEEK, inventory=counted((9, 0.0)))
    assert states(panel, "a", "x") == ["OBSERVED", "STOCKOUT"]


def test_one_empty_evening_does_not_censor_a_week_in_which_sales_went_on() -> None:
    one_evening = counted(*((n, float(n != 3)) for n in range(7)))
    sold = build({("a", "x"): {0: 5, 7: 6}}, grain=Grain.WEEK, inventory=one_evening)
    assert states(sold, "a", "x") == ["OBSERVED", "OBSERVED"]
    assert sold.demand[0, 0] == 5
    nothing_sold = build({("a", "x"): {0: 0, 7: 6}}, grain=Grain.WEEK, inventory=one_evening)
    assert states(nothing_sold, "a", "x") == ["STOCKOUT", "OBSERVED"]
    most_evenings = counted(*((n, float(n < 3)) for n in range(7)))
    censored = build({("a", "x"): {0: 5, 7: 6}}, grain=Grain.WEEK, inventory=most_evenings)
    assert states(censored, "a", "x") == ["STOCKOUT", "OBSERVED"]


WEEKS = 8
GAP = range(44, 48)  # Wednesday to Saturday of the seventh week


def chain(silent: dict[str, range]) -> dict[tuple[str, str], dict[int, float]]:
    """Three stores closed on Sundays, some of them silent."""
    open_days = [n for n in range(7 * WEEKS) if n % 7 != 6]
    return {(s, i): {n: 2.0 for n in open_days if n not in silent.get(s, ())} for s in "abc" for i in "xy"}


THREE = pd.DataFrame({"store_id": list("abc")})


def test_a_gap_in_a_store_s_feed_is_unknown_and_neither_closed_nor_without_demand() -> None:
    panel = build(chain({"b": GAP}), stores=THREE)
    for item in "xy":
        found = states(panel, "b", item)
        assert [n for n, state in enumerate(found) if state == "UNKNOWN"] == list(GAP)
        assert [n for n, state in enumerate(found) if state == "CLOSED"] == list(range(6, 7 * WEEKS - 1, 7))
        assert np.isnan(panel.demand[row(panel, "b", item), GAP]).all()
    opening = panel.channels[OPEN]
    np.testing.assert_array_equal(opening[row(panel, "b", "x")], opening[row(panel, "a", "x")])  # the shop was open
    assert "UNKNOWN" not in states(panel, "a", "x")


def test_a_feed_that_broke_off_lately_does_not_close_the_shop_in_the_future() -> None:
    panel = build(
        chain({"b": range(50, 7 * WEEKS)}),
        stores=THREE,
        special=calendar([day(70)], ["all"], ["fair"], ["public"]),
    )
    assert states(panel, "b", "x")[50:55] == ["UNKNOWN"] * 5
    np.testing.assert_array_equal(
        panel.channels[OPEN][row(panel, "b", "x")], panel.channels[OPEN][row(panel, "a", "x")]
    )


@pytest.mark.parametrize("who", ["abc", "ab"])
def test_a_closure_that_most_stores_share_stays_a_closure(who: str) -> None:
    panel = build(chain(dict.fromkeys(who, GAP)), stores=THREE)
    assert [states(panel, s, "x")[n] for s in who for n in GAP] == ["CLOSED"] * len(GAP) * len(who)


def test_a_holiday_on_which_one_store_is_silent_is_no_gap() -> None:
    holidays = calendar([day(n) for n in GAP], ["all"] * 4, ["fair"] * 4, ["public"] * 4)
    panel = build(chain({"b": GAP}), stores=THREE, special=holidays)
    assert [states(panel, "b", "x")[n] for n in GAP] == ["CLOSED"] * 4


def test_a_schedule_that_says_closed_is_believed_in_a_silence() -> None:
    schedule = known(OPEN, [(n, float(n not in GAP)) for n in range(7 * WEEKS)], store_id=["b"] * 7 * WEEKS)
    panel = build(chain({"b": GAP}), stores=THREE, covariates=[schedule])
    assert [states(panel, "b", "x")[n] for n in GAP] == ["CLOSED"] * 4


def test_every_way_of_selling_nothing_is_told_apart() -> None:
    """Item x: returns on day 30. Item y: on sale from day 20, no sales at all from day 40 on, though others sell."""
    days = [n for n in range(56) if n % 7 != 6]
    rows: dict[tuple[str, str], dict[int, float]] = {(s, "x"): {n: 4.0 for n in days} for s in "abc"}
    rows["a", "y"] = {n: 3.0 for n in days if 20 <= n < 40}
    rows["a", "x"][30] = -2.0
    for n in (44, 45, 46, 47):
        del rows["b", "x"][n]
    panel = build(rows, stores=THREE)
    x, y = row(panel, "a", "x"), row(panel, "a", "y")
    assert panel.demand[x, 30] == 0  # more came back than was sold: no demand, but observed
    assert states(panel, "a", "x")[30] == "OBSERVED"
    weekdays = [n for n in range(20) if n % 7 != 6]
    assert {states(panel, "a", "y")[n] for n in weekdays} == {"NOT_LISTED"}
    assert states(panel, "a", "y")[41] == "CLOSED"
    assert states(panel, "b", "x")[44:48] == ["UNKNOWN"] * 4
    zeros = [n for n in days if n >= 40]
    assert (panel.demand[y, zeros] == 0).all()  # still scored
    suspected = panel.past[SUSPECTED_STOCKOUT]
    assert np.flatnonzero(suspected[y]).tolist() == zeros[2:]
    assert suspected.sum() == len(zeros[2:])
    assert np.isnan(suspected[:, panel.n_observed :]).all()
    known_empty = build(rows, stores=THREE, inventory=counted((50, 0.0)).assign(item_id="y"))
    assert states(known_empty, "a", "y")[50] == "STOCKOUT"
    assert SUSPECTED_STOCKOUT not in known_empty.past  # the stock is counted: nothing is left to suspicion


def test_where_nothing_is_suspected_the_channel_says_so() -> None:
    panel = build(chain({}), stores=THREE)
    assert (panel.past[SUSPECTED_STOCKOUT][:, : panel.n_observed] == 0).all()
