"""What whole stores sold, known for longer than their items: which totals become a panel, and what it holds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import HOLIDAY, OPEN, STORE_TOTAL, Grain
from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.mapping import Mapping
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.data.tables import calendar
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings
from tests.domain.data.panel_by_hand import build, day, known

Tables = dict[str, str]
Write = Callable[..., Path]

FIRST, LAST = pd.Timestamp("2017-01-01"), pd.Timestamp("2017-02-09")  # of train.csv
TWO_YEARS = FIRST - pd.Timedelta(days=730)
FAMILIES = ("BREAD/BAKERY", "DAIRY")


def total(on: pd.Timestamp, store: int) -> float:
    """What a store sold on a day; Sundays are better."""
    return 100.0 * store + (30 if on.dayofweek == 6 else on.dayofweek)


def totals_csv(first: pd.Timestamp, last: pd.Timestamp, stores: tuple[int, ...] = (1, 2)) -> str:
    rows = [f"{store},{on:%Y-%m-%d},{total(on, store)}" for store in stores for on in pd.date_range(first, last)]
    return "\n".join(["store_nbr,date,unit_sales", *rows]) + "\n"


@pytest.fixture
def favorita(official: dict[str, Tables], write: Write) -> Callable[[str | None], Panel]:
    """The panel of forty days of two families in two stores, beside a file of store totals with this text."""
    days = [(on, store, family) for on in pd.date_range(FIRST, LAST) for store in (1, 2) for family in FAMILIES]
    sold = [
        f"{n},{on:%Y-%m-%d},{store},{family},{total(on, store) / 2},0" for n, (on, store, family) in enumerate(days)
    ]
    plan = [
        f"{on:%Y-%m-%d},{s},{f},0" for on in pd.date_range("2017-02-10", "2017-02-16") for s in (1, 2) for f in FAMILIES
    ]
    files = official["favorita"] | {
        "train.csv": "\n".join(["id,date,store_nbr,family,sales,onpromotion", *sold]) + "\n",
        "test.csv": "\n".join(["id,date,store_nbr,family,onpromotion", *(f"9,{row}" for row in plan)]) + "\n",
        "transactions.csv": "date,store_nbr,transactions\n2015-03-01,1,500\n2017-01-01,1,770\n",
        "holidays_events.csv": official["favorita"]["holidays_events.csv"]
        + "2016-01-01,Holiday,National,Ecuador,Primer dia del ano,False\n",
    }

    def made(text: str | None, zipped: bool = False) -> Panel:
        tables = files if text is None else files | {"store_day_total.csv": text}
        return load_panel(open_source("favorita", write(tables, zipped=zipped), Settings()), 0.01).panel

    return made


def of(panel: Panel) -> Panel:
    assert panel.store_totals is not None
    return panel.store_totals


@pytest.mark.parametrize("zipped", [False, True])
def test_totals_that_reach_back_two_years_are_a_panel_of_stores(favorita: Callable[..., Panel], zipped: bool) -> None:
    panel = favorita(totals_csv(TWO_YEARS, LAST), zipped)
    totals = of(panel)
    assert totals.store_ids.tolist() == ["1", "2"]
    assert totals.item_ids.tolist() == ["all", "all"]
    assert totals.dates[0] == np.datetime64("2015-01-02")
    assert totals.dates[totals.n_observed - 1] == panel.dates[panel.n_observed - 1]
    assert totals.n_observed == 730 + panel.n_observed
    expected = [[total(on, store) for on in pd.date_range(TWO_YEARS, LAST)] for store in (1, 2)]
    np.testing.assert_allclose(totals.demand[:, : totals.n_observed], expected)
    assert np.isnan(totals.demand[:, totals.n_observed :]).all()
    assert totals.store_totals is None


def test_totals_know_the_calendar_and_the_stores_attributes_of_their_whole_history(
    favorita: Callable[..., Panel],
) -> None:
    totals = of(favorita(totals_csv(TWO_YEARS, LAST)))
    at = int((np.datetime64("2016-01-01") - totals.dates[0]).astype(int))
    assert (totals.channels[HOLIDAY][:, at] > 0).all()
    assert {"city", "state", "type", "cluster"} <= set(totals.static)
    spring = int((np.datetime64("2015-03-01") - totals.dates[0]).astype(int))
    assert totals.past["customers"][0, spring] == 500


def test_a_total_is_no_channel_of_the_items_and_leaves_their_panel_as_it_was(favorita: Callable[..., Panel]) -> None:
    panel, without = favorita(totals_csv(TWO_YEARS, LAST)), favorita(None)
    assert STORE_TOTAL not in panel.past
    assert STORE_TOTAL not in panel.channels
    np.testing.assert_array_equal(panel.dates, without.dates)
    np.testing.assert_array_equal(panel.demand, without.demand)
    assert set(panel.past) == set(without.past)


@pytest.mark.parametrize(
    ("first", "last", "there"),
    [
        (FIRST - pd.Timedelta(days=364), LAST, True),
        (FIRST - pd.Timedelta(days=363), LAST, False),
        (TWO_YEARS, LAST + pd.Timedelta(days=3), True),
        (TWO_YEARS, LAST - pd.Timedelta(days=1), False),
    ],
)
def test_totals_must_begin_a_year_before_the_items_and_reach_their_last_day(
    favorita: Callable[..., Panel], first: pd.Timestamp, last: pd.Timestamp, there: bool
) -> None:
    panel = favorita(totals_csv(first, last))
    assert (panel.store_totals is not None) is there
    if there:
        assert of(panel).dates[of(panel).n_observed - 1] == panel.dates[panel.n_observed - 1]


def test_without_the_file_there_are_none(favorita: Callable[..., Panel]) -> None:
    assert favorita(None).store_totals is None


def test_a_lone_day_years_ago_is_no_history(favorita: Callable[..., Panel]) -> None:
    lone = totals_csv(FIRST, LAST) + "1,2013-01-02,77\n2,2013-01-02,78\n"
    assert favorita(lone).store_totals is None


def test_totals_of_stores_that_are_not_forecast_are_left_out(favorita: Callable[..., Panel]) -> None:
    assert of(favorita(totals_csv(TWO_YEARS, LAST, stores=(1, 2, 9)))).store_ids.tolist() == ["1", "2"]


def test_returns_never_make_a_total_negative_and_a_day_without_a_row_is_unknown(
    favorita: Callable[..., Panel],
) -> None:
    text = totals_csv(TWO_YEARS, LAST)
    text = text.replace("1,2016-05-05,103.0\n", "1,2016-05-05,-20\n").replace("2,2016-05-06,204.0\n", "")
    totals = of(favorita(text))
    at = int((np.datetime64("2016-05-05") - totals.dates[0]).astype(int))
    assert totals.demand[0, at] == 0
    assert np.isnan(totals.demand[1, at + 1])
    assert totals.state[1, at + 1] == State.UNKNOWN


def test_an_earlier_day_cuts_items_and_totals_alike(favorita: Callable[..., Panel]) -> None:
    panel = favorita(totals_csv(TWO_YEARS, LAST))
    cut = panel.as_of(20, 5)
    totals = of(cut)
    assert totals.dates[totals.n_observed - 1] == cut.dates[cut.n_observed - 1] == panel.dates[20]
    assert totals.n_periods - totals.n_observed == 5
    assert np.isnan(totals.demand[:, totals.n_observed :]).all()
    assert np.isnan(totals.past["customers"][:, totals.n_observed :]).all()
    np.testing.assert_array_equal(totals.demand[:, : totals.n_observed], of(panel).demand[:, : totals.n_observed])


def test_a_saved_panel_comes_back_with_its_totals(favorita: Callable[..., Panel], tmp_path: Path) -> None:
    panel = favorita(totals_csv(TWO_YEARS, LAST))
    panel.save(tmp_path / "panel")
    again = of(Panel.load(tmp_path / "panel"))
    for name in ("store_ids", "item_ids", "dates", "demand", "state"):
        np.testing.assert_array_equal(getattr(again, name), getattr(of(panel), name))
    assert (again.n_observed, again.holiday_kinds) == (of(panel).n_observed, of(panel).holiday_kinds)
    for name, values in of(panel).channels.items():
        np.testing.assert_array_equal(again.channels[name], values)
    without = replace(panel, store_totals=None)
    without.save(tmp_path / "without")
    assert Panel.load(tmp_path / "without").store_totals is None


def test_a_panel_of_an_older_release_says_what_to_do(favorita: Callable[..., Panel], tmp_path: Path) -> None:
    favorita(totals_csv(TWO_YEARS, LAST)).save(tmp_path / "panel")
    file = tmp_path / "panel" / "panel.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "store_totals"}))
    with pytest.raises(DataError, match=r"older release \(no store_totals\); materialize `panel` again"):
        Panel.load(tmp_path / "panel")


def weekly(first: int, last: int, step: int = 1) -> Panel:
    """A weekly panel of 80 weeks of two items, beside totals of days first..last."""
    weeks = {n: 70.0 for n in range(0, 560, 7)}
    rows = [(n, 20.0) for n in range(first, last + 1, step)]
    totals = known(STORE_TOTAL, rows, future=False, store_id=["a"] * len(rows))
    special = calendar([day(-100)], ["all"], ["fair"], ["public"])
    return build({("a", "x"): weeks, ("a", "y"): weeks}, grain=Grain.WEEK, covariates=[totals], special=special)


def test_of_a_weekly_retailer_days_are_added_up_to_weeks() -> None:
    totals = of(weekly(-700, 559))
    assert totals.grain is Grain.WEEK
    assert totals.n_observed == 180
    np.testing.assert_array_equal(totals.demand[0], np.full(180, 140.0))
    assert totals.channels[HOLIDAY][0].nonzero()[0].tolist() == [85]


def test_totals_of_weeks_are_taken_as_they_are() -> None:
    totals = of(weekly(-700, 559, step=7))
    np.testing.assert_array_equal(totals.demand[0], np.full(180, 20.0))


def test_a_week_of_which_days_are_missing_is_no_week() -> None:
    totals = of(weekly(-697, 559))
    assert totals.dates[0] == np.datetime64("2024-01-01") - 693
    assert (totals.demand == 140).all()
    assert weekly(-700, 556).store_totals is None  # the last week is not over


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Panel]:
    """A mapped shop of three items with forty days of sales, and till totals of two years."""
    rows = [f"{on:%Y-%m-%d},7,{item},{n}" for n, on in enumerate(pd.date_range(FIRST, LAST), 1) for item in "abc"]
    (tmp_path / "sales.csv").write_text("\n".join(["day,shop,sku,n", *rows]))
    tills = [f"{on:%Y-%m-%d},7,{till},50" for on in pd.date_range(TWO_YEARS, LAST) for till in (1, 2)]
    (tmp_path / "tills.csv").write_text("\n".join(["day,shop,till,sold", *tills]))
    (tmp_path / "hours.csv").write_text("day,shop,open\n2016-04-01,7,0\n2017-01-05,7,1\n")
    (tmp_path / "deals.csv").write_text("day,sku,deal\n2016-04-01,a,1\n2017-01-05,a,1\n")

    def made(**past: object) -> Panel:
        columns = {"ts": "day", "store_id": "shop", "item_id": "sku", "quantity": "n"}
        content = {
            "name": "shop",
            "transactions": {"files": "sales.csv", "columns": columns},
            "known_future": [
                {"files": "hours.csv", "columns": {"date": "day", "store_id": "shop", "open": "open"}},
                {"files": "deals.csv", "columns": {"date": "day", "item_id": "sku", "on_promotion": "deal"}},
            ],
            "holidays": [{"country": "EC"}],
        }
        total = {"files": "tills.csv", "columns": {"date": "day", "store_id": "shop", STORE_TOTAL: "sold"}}
        source = Mapped(Mapping.model_validate(content | {"past": [total]} | past), tmp_path, LAST.date())
        return load_panel(source, 0.01).panel

    return made


def test_a_mapping_gives_store_totals_from_before_the_first_sale(shop: Callable[..., Panel]) -> None:
    panel = shop()
    totals = of(panel)
    assert panel.dates[0] == np.datetime64(FIRST.date())
    assert totals.dates[0] == np.datetime64(TWO_YEARS.date())
    closed = int((np.datetime64("2016-04-01") - totals.dates[0]).astype(int))
    expected = np.full(totals.n_observed, 100.0)  # both tills
    expected[closed] = np.nan
    np.testing.assert_array_equal(totals.demand[0, : totals.n_observed], expected)
    assert totals.state[0, closed] == State.CLOSED
    assert totals.channels[OPEN][0, closed] == 0


def test_holidays_of_the_years_before_the_first_sale_are_known_to_the_totals(shop: Callable[..., Panel]) -> None:
    totals = of(shop())
    on = [totals.dates[t].astype("datetime64[D]").item() for t in totals.channels[HOLIDAY][0].nonzero()[0]]
    assert {f"{d:%Y-%m-%d}" for d in on} >= {"2015-05-24", "2015-12-25", "2016-05-24", "2016-12-25"}


def test_without_a_total_a_mapping_reads_no_more_than_before(shop: Callable[..., Panel]) -> None:
    panel, without = shop(), shop(past=[])
    assert without.store_totals is None
    np.testing.assert_array_equal(panel.dates, without.dates)
    np.testing.assert_array_equal(panel.demand, without.demand)
    for name, values in without.channels.items():
        np.testing.assert_array_equal(panel.channels[name], values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"past": [{"files": "tills.csv", "columns": {"date": "day", STORE_TOTAL: "sold"}}]},
            "past.0: store_total is of whole stores: map columns.store_id, and no item_id",
        ),
        (
            {
                "past": [
                    {
                        "files": "tills.csv",
                        "columns": {"date": "day", "store_id": "shop", "item_id": "till", STORE_TOTAL: "sold"},
                    }
                ]
            },
            "past.0: store_total is of whole stores",
        ),
        (
            {
                "past": [],
                "known_future": [
                    {"files": "tills.csv", "columns": {"date": "day", "store_id": "shop", STORE_TOTAL: "sold"}}
                ],
            },
            "known_future: columns.store_total belongs in past",
        ),
    ],
)
def test_a_total_that_is_not_of_a_store_or_is_planned_is_refused(
    shop: Callable[..., Panel], change: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        shop(**change)


@pytest.mark.real_data
def test_favoritas_totals_are_the_sums_of_its_families(real_source: Callable[[str], object]) -> None:
    panel = load_panel(real_source("favorita"), 0.01).panel  # type: ignore[arg-type]
    if panel.store_totals is None:
        pytest.skip("the folder has no store_day_total.csv")
    totals = panel.store_totals
    n = panel.n_observed
    store = np.searchsorted(totals.store_ids, panel.store_ids)
    sums = np.zeros((totals.n_series, n))
    np.add.at(sums, store, np.nan_to_num(panel.demand[:, :n]))
    theirs = totals.demand[:, totals.n_observed - n : totals.n_observed]
    np.testing.assert_allclose(theirs, sums, rtol=1e-3, atol=1)
    assert totals.n_observed > n + 364
