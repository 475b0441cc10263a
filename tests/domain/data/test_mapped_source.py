"""A retailer in a layout that no adapter knows, described by a mapping and read into the canonical tables."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.mapping import Mapping
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings

TODAY = date(2024, 12, 31)
FORM = {"separator": ";", "decimal": ",", "thousands": ".", "encoding": "cp1252", "date": "%d.%m.%Y"}
COLUMNS = {"ts": "Datum", "store_id": "Filiale", "item_id": "Artikel", "quantity": "Menge"}
Put = Callable[[str, str], None]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("cp1252"))

    return write


@pytest.fixture
def shop(tmp_path: Path, put: Put) -> Callable[..., Mapped]:
    """A shop with one transactions table; keywords change the mapping, or the table if they belong to it."""

    def make(
        text: str | None = None, *, columns: dict[str, Any] | None = None, rows: str = "day", **more: Any
    ) -> Mapped:
        if text is not None:
            put("sales.csv", text)
        table = {"files": "sales.csv", "format": FORM, "rows": rows, "columns": COLUMNS | (columns or {})}
        table |= more.pop("transactions", {})
        return Mapped(Mapping.model_validate({"name": "laden", "transactions": table} | more), tmp_path, TODAY)

    return make


def csv_of(days: pd.DatetimeIndex, stores: tuple[str, ...] = ("007",), quantity: str = "1,0") -> str:
    rows = [f"{day:%d.%m.%Y};{store};K1;{quantity}" for day in days for store in stores]
    return "\n".join(["Datum;Filiale;Artikel;Menge", *rows]) + "\n"


def whole(source: Mapped) -> pd.DataFrame:
    return source.transactions(*source.span())


def panel_of(source: Mapped) -> Panel:
    return load_panel(source, 0.05).panel


def channel(reference: Reference, name: str) -> pd.DataFrame:
    (frame,) = [f for f in reference.covariates if f["name"].iloc[0] == name]
    return frame


def test_canonical_transactions_come_out_of_an_odd_layout(shop: Callable[..., Mapped]) -> None:
    source = shop("Datum;Filiale;Artikel;Menge\n05.02.2024;007;Käse;1.234,5\n01.02.2024;012;Brot;-2\n")
    assert source.span() == (date(2024, 2, 1), date(2024, 2, 5))
    rows = whole(source)
    assert list(rows.columns) == ["ts", "store_id", "item_id", "quantity", "source", "line"]
    assert rows["store_id"].tolist() == ["007", "012"]
    assert rows["item_id"].tolist() == ["Käse", "Brot"]
    assert rows["quantity"].tolist() == [1234.5, -2]
    assert rows["source"].tolist() == ["sales.csv"] * 2
    reference = source.reference()
    assert reference.stores.to_dict("list") == {"store_id": ["007", "012"]}
    assert reference.items.to_dict("list") == {"item_id": ["Brot", "Käse"]}
    assert not source.rules.items_complete
    assert source.inventory(*source.span()) is None


def test_several_files_are_read_in_the_order_of_their_names(shop: Callable[..., Mapped], put: Put) -> None:
    put("2024/feb.csv", "Datum;Filiale;Artikel;Menge\n01.02.2024;1;A;2\n")
    put("2024/jan.csv", "Menge;Artikel;Filiale;Datum\n1;B;2;01.01.2024\n")
    put("2024/mar.csv", "Datum;Filiale;Artikel;Menge\n")
    rows = whole(shop(transactions={"files": "2024/*.csv"}))
    assert rows[["source", "line", "item_id", "quantity"]].to_numpy().tolist() == [
        ["feb.csv", 2, "A", 2.0],
        ["jan.csv", 2, "B", 1.0],
    ]


def test_rows_that_cannot_be_read_or_dated_are_kept_with_what_they_said(shop: Callable[..., Mapped]) -> None:
    text = (
        "Datum;Filiale;Artikel;Menge\n01.02.2024;1;A;viele\n02.02.2024;1;A;2\n01.01.2099;1;A;3\nbald;1;A;4\nSumme;9\n"
        "03.02.2024;1;A;5\n"
    )
    source = shop(text)
    assert source.span() == (date(2024, 2, 1), date(2024, 2, 3))
    rows = whole(source)
    assert rows["line"].tolist() == [2, 3, 4, 5, 6, 7]
    said = [None if x is None else json.loads(x) for x in rows["unreadable"]]
    assert said == [{"quantity": "viele"}, None, None, {"ts": "bald"}, {"line": "Summe;9"}, None]
    assert rows["filed"].dt.day.tolist() == [1, 2, 2, 2, 2, 3]
    days = [source.transactions(d, d) for d in (date(2024, 2, 1), date(2024, 2, 2), date(2024, 2, 3))]
    assert [len(day) for day in days] == [1, 4, 1]


def test_a_table_without_a_single_date_says_what_to_look_at(shop: Callable[..., Mapped]) -> None:
    source = shop("Datum;Filiale;Artikel;Menge\n2024-02-01;1;A;1\n")
    with pytest.raises(DataError, match=r"sales\.csv: no row has a date.*2024-02-01.*date format"):
        source.span()
    with pytest.raises(DataError, match="there are no transactions"):
        shop("Datum;Filiale;Artikel;Menge\n").span()


def test_timestamps_are_turned_to_the_shops_own_day(shop: Callable[..., Mapped]) -> None:
    form = {"timezone": "Europe/Vienna"}
    text = "Datum,Filiale,Artikel,Menge\n2024-01-31T23:30:00Z,1,A,1\n2024-02-01T12:00:00+01:00,1,A,2\n"
    lines = shop(text, rows="transaction", transactions={"format": form})
    assert lines.span() == (date(2024, 2, 1), date(2024, 2, 1))
    assert whole(lines)["ts"].dt.hour.tolist() == [0, 12]
    assert lines.rules.unique_key == ()
    daily = shop(rows="day", transactions={"format": form})
    assert whole(daily)["ts"].dt.hour.tolist() == [0, 0]
    assert daily.rules.unique_key == ("ts", "store_id", "item_id")


def test_a_constant_stands_for_a_column_that_is_not_there(shop: Callable[..., Mapped]) -> None:
    rows = whole(shop(csv_of(pd.date_range("2024-02-01", periods=3)), columns={"store_id": {"value": 7}}))
    assert rows["store_id"].tolist() == ["7"] * 3
    with pytest.raises(DataError, match=r"transactions\.columns\.quantity: 'x' cannot be read as a number"):
        shop(columns={"quantity": {"value": "x"}})


def test_a_revenue_can_be_the_target(shop: Callable[..., Mapped]) -> None:
    source = shop(
        csv_of(pd.date_range("2024-02-01", periods=2), quantity="9,99"), target="revenue", columns={"revenue": "Menge"}
    )
    assert whole(source)["quantity"].tolist() == [9.99, 9.99]


def test_parquet_keeps_ids_and_reads_columns_from_its_path(tmp_path: Path) -> None:
    for day in ("2024-02-01", "2024-02-02"):
        folder = tmp_path / f"day={day}"
        folder.mkdir()
        frame = pd.DataFrame({"store": [12.0, None], "item": ["007", "8"], "n": ["5", "zwei"]})
        frame.to_parquet(folder / "part.parquet")
    columns = {"ts": "day", "store_id": "store", "item_id": "item", "quantity": "n"}
    mapping = {"name": "p", "transactions": {"files": "**/*.parquet", "columns": columns}}
    source = Mapped(Mapping.model_validate(mapping), tmp_path, TODAY)
    rows = whole(source)
    assert rows["source"].tolist() == ["day=2024-02-01/part.parquet"] * 2 + ["day=2024-02-02/part.parquet"] * 2
    assert rows["line"].tolist() == [1, 2, 1, 2]
    assert rows["store_id"].iloc[0] == "12"
    assert rows["item_id"].tolist() == ["007", "8"] * 2
    assert rows["ts"].dt.day.tolist() == [1, 1, 2, 2]
    assert json.loads(rows["unreadable"].iloc[1]) == {"quantity": "zwei"}
    twice = pa.table([["12"], ["007"], ["5"], ["6"]], names=["store", "item", "n", "n"])
    pq.write_table(twice, tmp_path / "day=2024-02-01" / "part.parquet")
    with pytest.raises(DataError, match=r"day=2024-02-01/part\.parquet: column n appears more than once"):
        Mapped(Mapping.model_validate(mapping), tmp_path, TODAY).span()
    (tmp_path / "day=2024-02-01" / "part.parquet").unlink()
    (tmp_path / "day=2024-02-02" / "part.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"day=2024-02-02/part\.parquet: not a readable Parquet file"):
        Mapped(Mapping.model_validate(mapping), tmp_path, TODAY).span()


def test_attributes_are_text_and_what_replenishment_counts_is_numbers(shop: Callable[..., Mapped], put: Put) -> None:
    put("artikel.csv", "Nr;Gruppe;EK;VPE;Lieferant;MHD\nK1;5;1,50;6;007;\nK2;Käse;2;;008;30\n")
    put("lief.csv", "Nr;Tage;Uhr\n007;Mo;\n".replace("Mo", "Mon, Thu"))
    items = {"item_id": "Nr", "category": "Gruppe", "cost": "EK", "case_pack": "VPE"}
    items |= {"supplier_id": "Lieferant", "shelf_life_days": "MHD"}
    source = shop(
        csv_of(pd.date_range("2024-02-01", periods=3)),
        items={"files": "artikel.csv", "format": FORM, "columns": items},
        suppliers={
            "files": "lief.csv",
            "format": FORM,
            "columns": {"supplier_id": "Nr", "order_weekdays": "Tage", "cutoff_hour": "Uhr"},
        },
    )
    reference = source.reference()
    found = reference.items.set_index("item_id")
    assert found["category"].tolist() == ["5", "Käse"]
    assert found["cost"].tolist() == [1.5, 2]
    assert found["supplier_id"].tolist() == ["007", "008"]
    assert found.loc["K1", "case_pack"] == 6
    assert found["case_pack"].isna().tolist() == [False, True]
    assert reference.suppliers is not None
    assert reference.suppliers["order_weekdays"].tolist() == ["0,3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Nr;EK\nK1;teuer\n", "artikel.csv, column EK, line 2: a number is expected, found 'teuer'"),
        ("Nr;EK\nK1;1\nK1;2\n", "items: item_id 'K1' appears more than once"),
        ("Nr;EK\n;1\n", "items: row 1 has no item_id"),
        ("Nr;EK\n", "items: the table has no rows"),
        ("Nummer;EK\nK1;1\n", "artikel.csv: column Nr is missing; columns found: Nummer, EK"),
    ],
)
def test_a_broken_reference_table_stops_with_its_place(
    text: str, words: str, shop: Callable[..., Mapped], put: Put
) -> None:
    put("artikel.csv", text)
    columns = {"item_id": "Nr", "cost": "EK"}
    source = shop(
        csv_of(pd.date_range("2024-02-01", periods=3)),
        items={"files": "artikel.csv", "format": FORM, "columns": columns},
    )
    with pytest.raises(DataError) as caught:
        source.reference()
    assert str(caught.value) == words


def test_inventory_keeps_its_rows_and_undates_those_that_cannot_be_right(shop: Callable[..., Mapped], put: Put) -> None:
    put("bestand.csv", "Tag;Nr;Menge\n01.02.2024;K1;5\n02.02.2024;K1;-\n01.01.2099;K1;7\n")
    stock = {"date": "Tag", "store_id": {"value": "007"}, "item_id": "Nr", "on_hand": "Menge", "on_order": {"value": 0}}
    source = shop(
        csv_of(pd.date_range("2024-02-01", periods=3)),
        inventory={"files": "bestand.csv", "format": FORM, "columns": stock},
    )
    rows = source.inventory(date(2024, 2, 1), date(2024, 2, 3))
    assert rows is not None
    assert rows["on_order"].tolist() == [0, 0, 0]
    assert rows["date"].isna().tolist() == [False, False, True]
    said = [None if x is None else json.loads(x) for x in rows["unreadable"]]
    assert said == [None, {"on_hand": "-"}, {"date": "2099-01-01"}]
    assert "lead_time_days" not in rows  # whoever plans orders takes a week for an unknown lead time
    panel = build_panel("laden", source.grain, "zero", demand_of(source), source.reference(), rows)
    assert panel.demand.shape[1] == 3


def demand_of(source: Mapped) -> pd.DataFrame:
    from shelfops_pipeline.data.aggregate import daily_demand

    return daily_demand(whole(source), source.grain)


PLAN = "Artikel;von;bis;Aktion;Preis\nK1;02.02.2024;03.02.2024;ja;1,5\nK1;05.02.2024;31.12.9999;ja;2\n"


def test_a_plan_of_promotions_and_prices_reaches_the_panels_future(shop: Callable[..., Mapped], put: Put) -> None:
    put("plan.csv", PLAN)
    promo = {"date": "von", "until": "bis", "item_id": "Artikel", "on_promotion": "Aktion"}
    price = {"date": "von", "until": "bis", "item_id": "Artikel", "price": "Preis"}
    source = shop(
        csv_of(pd.date_range("2024-02-01", periods=4), stores=("007", "012")),
        known_future=[
            {"files": "plan.csv", "format": FORM, "columns": promo, "absence": "zero"},
            {"files": "plan.csv", "format": FORM, "columns": price},
        ],
    )
    panel = panel_of(source)
    assert panel.n_observed == 4
    assert panel.n_periods == 4 + 400
    promotion = panel.channels["on_promotion"]
    assert promotion.shape[0] == 2
    assert (promotion[:, :6] == [0, 1, 1, 0, 1, 1]).all()
    assert (promotion[:, 6:] == 1).all()
    expected = [np.nan, 1.5, 1.5, 1.5, 2.0, 2.0]  # a price holds until the next
    np.testing.assert_array_equal(panel.channels["price"][:, :6], np.array([expected, expected], np.float32))


def test_promotions_of_the_past_come_from_the_transactions_and_go_on_in_the_plan(
    shop: Callable[..., Mapped], put: Put
) -> None:
    put("plan.csv", "Tag;Artikel;Aktion;Preis\n02.02.2024;K1;1;3\n03.02.2024;K1;1;3\n04.02.2024;K1;1;4\n")
    text = (
        "Datum;Filiale;Artikel;Menge;A;P\n01.02.2024;007;K1;1;1;2,5\n02.02.2024;007;K1;1;0;2,5\n02.02.2024;008;K1;1;;\n"
    )
    columns = {"date": "Tag", "item_id": "Artikel", "on_promotion": "Aktion", "price": "Preis"}
    source = shop(
        text,
        columns={"on_promotion": "A", "unit_price": "P"},
        known_future=[{"files": "plan.csv", "format": FORM, "columns": columns}],
    )
    panel = panel_of(source)
    assert panel.store_ids.tolist() == ["007", "008"]
    # Where both speak, what was sold counts; where the till says nothing, the plan does.
    promotion, price = panel.channels["on_promotion"][:, :4], panel.channels["price"][:, :4]
    np.testing.assert_array_equal(promotion, [[1, 0, 1, 1], [np.nan, 1, 1, 1]])
    np.testing.assert_array_equal(price, [[2.5, 2.5, 3, 4], [np.nan, 3, 3, 4]])


def test_without_a_plan_what_the_till_says_of_promotions_is_no_channel(shop: Callable[..., Mapped]) -> None:
    text = "Datum;Filiale;Artikel;Menge;A\n01.02.2024;007;K1;1;1\n02.02.2024;007;K1;1;0\n"
    assert panel_of(shop(text, columns={"on_promotion": "A"})).channels == {}


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("open", "2", "2 is no opening (1 open, 0 closed) (plan.csv, line 2)"),
        ("holiday", "7", "7 is no kind of holiday"),
        ("price", "-1", "-1 is no price"),
        ("on_promotion", "-1", "-1 is no promotion"),
        ("price", "inf", "inf is no price"),
        ("on_promotion", "inf", "inf is no promotion"),
        ("rain", "inf", "inf is no number"),
        ("rain", "1e40", "1e+40 is no number"),
        ("rain", "Regen", "plan.csv, column X, line 2: a number, yes or no is expected, found 'Regen'"),
    ],
)
def test_a_plan_with_an_impossible_value_is_refused(
    column: str, cell: str, words: str, shop: Callable[..., Mapped], put: Put
) -> None:
    put("plan.csv", f"Tag;X\n02.02.2024;{cell}\n")
    plan = {"files": "plan.csv", "format": FORM, "columns": {"date": "Tag", column: "X"}}
    source = shop(csv_of(pd.date_range("2024-02-01", periods=3)), known_future=[plan])
    with pytest.raises(DataError) as caught:
        source.reference()
    assert words in str(caught.value)


def test_what_the_sales_table_plans_stops_no_more_than_the_sales(shop: Callable[..., Mapped]) -> None:
    """A line of totals, a day that is none, a price that is none: the gate tells of them, and the rest is a plan."""
    text = (
        "Datum;Filiale;Artikel;Menge;A;P\n01.02.2024;007;K1;1;1;2,5\n02.02.2024;007;K1;1;0;gratis\n"
        "03.02.2024;007;K1;1;0;-3\n31.02.2024;007;K1;1;1;9\n03.02.2024;;K1;1;1;9\nSumme;;;5;;\n"
    )
    own = {"date": "Datum", "store_id": "Filiale", "item_id": "Artikel", "on_promotion": "A", "price": "P"}
    source = shop(text, known_future=[{"files": "sales.csv", "format": FORM, "columns": own}])
    reference = source.reference()
    assert channel(reference, "on_promotion")["value"].tolist() == [1, 0, 0]
    assert channel(reference, "price")["value"].tolist() == [2.5]
    assert len(whole(source)) == 6


def test_what_was_given_away_has_no_price_to_go_on(shop: Callable[..., Mapped]) -> None:
    text = "Datum;Filiale;Artikel;Menge;P\n" + "".join(
        f"0{day}.02.2024;007;{item};1;{price}\n" for day in (1, 2, 3) for item, price in (("K1", "2,5"), ("K2", "0"))
    )
    columns = {"date": "Datum", "store_id": "Filiale", "item_id": "Artikel", "price": "P"}
    plan = {"files": "sales.csv", "format": FORM, "columns": columns}
    panel = panel_of(shop(text, columns={"unit_price": "P"}, known_future=[plan]))
    assert (panel.channels["price"][0] == 2.5).all()
    assert np.isnan(panel.channels["price"][1]).all()  # a price of 0 ahead would stop every forecast


def test_a_plan_that_ends_before_it_begins_is_refused(shop: Callable[..., Mapped], put: Put) -> None:
    put("plan.csv", "von;bis;X\n02.02.2024;01.02.2024;1\n")
    plan = {"files": "plan.csv", "format": FORM, "columns": {"date": "von", "until": "bis", "rain": "X"}}
    source = shop(csv_of(pd.date_range("2024-02-01", periods=3)), known_future=[plan])
    with pytest.raises(
        DataError, match=r"known_future\.0: .* from 2024-02-02 until 2024-02-01, .* \(plan\.csv, line 2\)$"
    ):
        source.reference()


def test_a_slip_in_a_plans_year_does_not_stretch_the_panel(shop: Callable[..., Mapped], put: Put) -> None:
    put("plan.csv", "Tag;X\n04.02.2024;1\n04.02.2204;1\n")
    plan = {"files": "plan.csv", "format": FORM, "columns": {"date": "Tag", "rain": "X"}}
    assert panel_of(shop(csv_of(pd.date_range("2024-02-01", periods=3)), known_future=[plan])).n_periods == 4


def test_what_was_measured_is_finite(shop: Callable[..., Mapped], put: Put) -> None:
    put("rain.csv", "Tag;X\n02.02.2024;inf\n")
    past = {"files": "rain.csv", "format": FORM, "columns": {"date": "Tag", "rain": "X"}}
    source = shop(csv_of(pd.date_range("2024-02-01", periods=3)), past=[past])
    with pytest.raises(DataError, match=r"past\.0: columns\.rain: inf is no number \(rain\.csv, line 2\)"):
        source.reference()


def test_what_is_known_only_afterwards_ends_with_the_sales(shop: Callable[..., Mapped], put: Put) -> None:
    put("wetter.csv", "Tag;Regen\n31.01.2024;9\n01.02.2024;1,5\n03.02.2024;0\n09.02.2024;7\n")
    past = {"files": "wetter.csv", "format": FORM, "columns": {"date": "Tag", "rain": "Regen"}}
    frame = channel(shop(csv_of(pd.date_range("2024-02-01", periods=3)), past=[past]).reference(), "rain")
    assert not frame["known_future"].any()
    assert frame["value"].tolist() == [1.5, 0]


def test_own_days_and_public_holidays_are_one_calendar(shop: Callable[..., Mapped], put: Put) -> None:
    put("tage.csv", "Tag;Was;Wo\n02.02.2024;Stadtfest;state:NÖ\n03.02.2024;Inventur;\n")
    put("filialen.csv", "Nr;Land\n007;NÖ\n012;Wien\n")
    source = shop(
        csv_of(pd.date_range("2024-02-01", periods=3), stores=("007", "012")),
        stores={"files": "filialen.csv", "format": FORM, "columns": {"store_id": "Nr", "state": "Land"}},
        calendar={"files": "tage.csv", "format": FORM, "columns": {"date": "Tag", "name": "Was", "scope": "Wo"}},
        holidays=[{"country": "AT", "region": 9}],
    )
    table = source.reference().calendar
    assert table.iloc[:2].drop(columns="date").to_numpy().tolist() == [
        ["state:NÖ", "Stadtfest", "event"],
        ["all", "Inventur", "event"],
    ]
    assert set(table["kind"]) == {"event", "public"}
    panel = panel_of(source)
    assert panel.holiday_kinds == ("event", "public")
    assert panel.channels["holiday"][:, :3].tolist() == [[0, 1, 1], [0, 0, 1]]
    assert (panel.channels["holiday"][:, panel.dates == np.datetime64("2024-12-25")] == 2).all()


def test_days_feed_weeks_and_a_week_that_is_not_over_is_no_fall_in_demand(shop: Callable[..., Mapped]) -> None:
    # Wednesday 2024-01-03 to Tuesday 2024-02-06: neither the first nor the last week is whole.
    source = shop(csv_of(pd.date_range("2024-01-03", "2024-02-06")), grain="week")
    assert source.span() == (date(2024, 1, 8), date(2024, 2, 4))
    panel = panel_of(source)
    assert panel.dates.astype("datetime64[D]").astype(str).tolist() == [f"2024-01-{d:02d}" for d in (8, 15, 22, 29)]
    assert panel.demand.tolist() == [[7, 7, 7, 7]]


def test_weekly_rows_are_dated_by_their_monday_whatever_day_they_name(shop: Callable[..., Mapped]) -> None:
    fridays = pd.date_range("2024-01-05", periods=4, freq="7D")
    source = shop(csv_of(fridays), grain="week", rows="week")
    assert source.span() == (date(2024, 1, 1), date(2024, 1, 22))
    assert whole(source)["ts"].dt.day.tolist() == [1, 8, 15, 22]
    text = csv_of(fridays) + "02.01.2099;007;K1;1\n"
    assert whole(shop(text, grain="week", rows="week"))["ts"].max() == pd.Timestamp("2099-01-02")  # as it came
    iso = {"separator": ";", "decimal": ",", "date": "%G-W%V"}
    text = "Datum;Filiale;Artikel;Menge\n2024-W01;1;A;1\n2024-W02;1;A;2\n"
    assert whole(shop(text, grain="week", rows="week", transactions={"format": iso}))["ts"].dt.day.tolist() == [1, 8]


def test_a_daily_plan_feeds_weekly_channels_of_the_future(shop: Callable[..., Mapped], put: Put) -> None:
    put("plan.csv", "Tag;Artikel;Aktion\n10.01.2024;K1;1\n24.01.2024;K1;1\n")
    columns = {"date": "Tag", "item_id": "Artikel", "on_promotion": "Aktion"}
    source = shop(
        csv_of(pd.date_range("2024-01-01", periods=14)),
        grain="week",
        known_future=[{"files": "plan.csv", "format": FORM, "columns": columns, "absence": "zero"}],
    )
    panel = panel_of(source)
    assert panel.n_observed == 2
    assert panel.channels["on_promotion"][0, :5].tolist() == [0, 1, 0, 1, 0]


def test_a_mapping_opens_by_its_file_with_the_data_beside_it(tmp_path: Path, put: Put) -> None:
    put("sales.csv", csv_of(pd.date_range("2024-02-01", periods=3)))
    text = (
        "name: laden\ntransactions:\n  files: sales.csv\n  format: {separator: ';', decimal: ',', date: '%d.%m.%Y'}\n"
        "  columns: {ts: Datum, store_id: Filiale, item_id: Artikel, quantity: Menge}\n"
    )
    (tmp_path / "m.yaml").write_text(text)
    source = open_source(str(tmp_path / "m.yaml"), None, Settings())
    assert source.name == "laden"
    assert source.incremental is False
    assert source.span() == (date(2024, 2, 1), date(2024, 2, 3))
    with pytest.raises(DataError, match="cannot be read"):
        open_source(str(tmp_path / "nowhere.yaml"), None, Settings())


def test_in_a_week_that_was_sold_the_price_of_the_till_counts_and_not_the_plan(
    shop: Callable[..., Mapped], put: Put
) -> None:
    days = pd.date_range("2024-01-01", periods=28)
    sold = "\n".join(f"{day:%d.%m.%Y};007;K1;1,0;8,00" for day in days)
    planned = "\n".join(f"{day:%d.%m.%Y};007;K1;10,00" for day in pd.date_range("2024-01-01", periods=42))
    put("plan.csv", f"Tag;Filiale;Artikel;Preis\n{planned}\n")
    plan = {"files": "plan.csv", "format": FORM}
    plan["columns"] = {"date": "Tag", "store_id": "Filiale", "item_id": "Artikel", "price": "Preis"}
    source = shop(
        f"Datum;Filiale;Artikel;Menge;Preis\n{sold}\n",
        columns={"unit_price": "Preis"},
        grain="week",
        known_future=[plan],
    )
    assert panel_of(source).channels["price"][0].tolist() == [8.0] * 4 + [10.0] * 2
