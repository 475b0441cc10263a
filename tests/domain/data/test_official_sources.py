"""The adapters on tiny files in the official formats: what they read, and what they say of broken ones."""

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE, Grain
from shelfops_pipeline.data.source import Reference, Source
from shelfops_pipeline.data.sources import open_source
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings

Tables = dict[str, str]
Write = Callable[..., Path]
NAMES = ["favorita", "m5", "online_retail", "rossmann"]


def whole(source: Source) -> pd.DataFrame:
    return source.transactions(*source.span())


def channel(reference: Reference, name: str) -> pd.DataFrame:
    return next(f for f in reference.covariates if f["name"].iloc[0] == name)


def test_unknown_names_and_mappings_are_refused_in_one_line() -> None:
    with pytest.raises(DataError, match="unknown data set 'walmart'; known: favorita, m5"):
        open_source("walmart", None, Settings())
    with pytest.raises(DataError, match=r"mine\.yaml: cannot be read") as caught:
        open_source("mine.yaml", None, Settings())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zipped", [False, True])
def test_canonical_tables_have_the_same_form_for_every_source(
    name: str, zipped: bool, official: dict[str, Tables], write: Write
) -> None:
    source = open_source(name, write(official[name], zipped=zipped), Settings())
    rows, reference = whole(source), source.reference()
    assert source.name == name
    assert source.grain is Grain.DAY
    assert list(rows.columns[:4]) == ["ts", "store_id", "item_id", "quantity"]
    assert rows["ts"].dtype == np.dtype("datetime64[ns]")
    assert isinstance(rows["store_id"].dtype, pd.CategoricalDtype)
    assert isinstance(rows["item_id"].dtype, pd.CategoricalDtype)
    assert rows["quantity"].dtype == np.float64
    assert rows["line"].min() >= 2
    assert rows["source"].iloc[0].endswith(".gz") is zipped
    assert set(rows["store_id"].dropna()) <= set(reference.stores["store_id"])
    assert list(reference.calendar.columns) == ["date", "scope", "name", "kind"]
    for frame in reference.covariates:
        assert frame["name"].nunique() == 1
        assert frame["known_future"].nunique() == 1
        assert frame["value"].notna().all()
    assert source.inventory(*source.span()) is None


@pytest.mark.parametrize("name", NAMES)
def test_days_put_together_are_the_whole(name: str, official: dict[str, Tables], write: Write) -> None:
    source = open_source(name, write(official[name]), Settings())
    first, last = source.span()
    days = [d.date() for d in pd.date_range(first, last)]
    parts = pd.concat([source.transactions(d, d) for d in days], ignore_index=True)
    everything = whole(source).sort_values(["ts", "line"], ignore_index=True)
    pd.testing.assert_frame_equal(parts.sort_values(["ts", "line"], ignore_index=True), everything)


# data set, file, a date in it, a number in it, a required column
BROKEN = [
    ("favorita", "train.csv", None, None, "onpromotion"),
    ("favorita", "test.csv", "2017-01-03,2", "BAKERY,3", "family"),
    ("favorita", "holidays_events.csv", "2017-01-03", None, "transferred"),
    ("favorita", "oil.csv", "2017-01-02", "52.4", "dcoilwtico"),
    ("favorita", "transactions.csv", "2017-01-01", "770", "transactions"),
    ("favorita", "stores.csv", None, None, "city"),
    ("rossmann", "train.csv", None, None, "StateHoliday"),
    ("rossmann", "test.csv", "2015-01-02", "1,1,0,0", "Open"),
    ("rossmann", "store.csv", None, "1270.0", "PromoInterval"),
    ("m5", "sales_train_validation.csv", None, None, "dept_id"),
    ("m5", "calendar.csv", "2016-01-02", "11101", "event_type_2"),
    ("m5", "sell_prices.csv", None, "9.5", "sell_price"),
    ("online_retail", "online_retail.csv", None, None, "UnitPrice"),
]

# data set, file, what is replaced, by what, and what the row says of it. Transactions never stop the load.
DIRTY = [
    ("favorita", "train.csv", "2017-01-02,1", "soon,1", {"ts": "soon"}),
    ("favorita", "train.csv", ",2.0,", ",many,", {"quantity": "many"}),
    ("favorita", "train.csv", "3,2017-01-02,1,BREAD/BAKERY,2.0,1", "3;2", {"line": "3;2"}),
    ("rossmann", "train.csv", "1,4,2015-01-01", "1,4,soon", {"ts": "soon"}),
    ("rossmann", "train.csv", ",5000,", ",many,", {"quantity": "many"}),
    ("rossmann", "train.csv", "1,3,2014-12-31,5000", "5000", {"line": "5000,500,1,1,0,1"}),
    ("m5", "sales_train_validation.csv", "CA,3,0", "CA,many,0", {"quantity": "many"}),
    ("online_retail", "online_retail.csv", "2010-12-02 09:00:00", "soon", {"ts": "soon"}),
    ("online_retail", "online_retail.csv", ",6,", ",many,", {"quantity": "many"}),
    (
        "online_retail",
        "online_retail.csv",
        ",12.75,,",
        "",
        {"line": "536370,22423,CAKESTAND,4,2010-12-03 11:00:00United Kingdom"},
    ),
]


def read_all(name: str, folder: Path) -> None:
    source = open_source(name, folder, Settings())
    whole(source)
    source.reference()


def complaint(name: str, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_all(name, folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("name", "file", "day", "number", "column"), BROKEN)
def test_broken_files_are_told_in_one_clear_line(
    name: str,
    file: str,
    day: str | None,
    number: str | None,
    column: str,
    official: dict[str, Tables],
    write: Write,
) -> None:
    tables = official[name]
    good = tables[file]
    folder = write(tables)
    read_all(name, folder)

    (folder / file).write_text(good.replace(column, "renamed", 1))
    text = complaint(name, folder)
    assert f"{file}: column {column} is missing" in text
    assert "columns found" in text

    if day is not None:
        (folder / file).write_text(good.replace(day, "soon" + day[10:], 1))
        text = complaint(name, folder)
        assert file in text
        assert "unreadable date, found 'soon" in text

    if number is not None:
        digits = number.rstrip(",")
        (folder / file).write_text(good.replace(digits, digits[:-1] + "many", 1))
        text = complaint(name, folder)
        assert file in text
        assert "a number is expected, found" in text

    (folder / file).write_text("")
    assert f"{file}: the file is empty" in complaint(name, folder)

    (folder / file).write_text(good.splitlines()[0] + "\n")
    assert f"{file}: the file has a header but no rows" in complaint(name, folder)

    (folder / file).unlink()
    text = complaint(name, folder)
    assert file in text
    assert str(folder) in text
    assert "get it from" in text

    (folder / f"{file}.gz").write_bytes(gzip.compress(good.encode())[:-12])
    assert f"{file}.gz: the gzip file is truncated" in complaint(name, folder)


@pytest.mark.parametrize(("name", "file", "old", "new", "said"), DIRTY)
def test_a_transaction_that_cannot_be_read_stays_with_what_it_said(
    name: str, file: str, old: str, new: str, said: dict[str, str], official: dict[str, Tables], write: Write
) -> None:
    clean = whole(open_source(name, write(official[name]), Settings()))
    official[name][file] = official[name][file].replace(old, new, 1)
    source = open_source(name, write(official[name]), Settings())
    rows = whole(source)
    assert len(rows) == len(clean)
    assert rows["line"].tolist() == clean["line"].tolist()
    texts = rows["unreadable"].dropna()
    assert [json.loads(text) for text in texts] == [said]
    if "ts" in said or "line" in said:
        assert rows["ts"].isna().sum() == 1
        assert rows["filed"].notna().all()
    days = [source.transactions(d.date(), d.date()) for d in pd.date_range(*source.span())]
    assert sum(map(len, days)) == len(clean)
    covariates = {str(f["name"].iloc[0]): f for f in source.reference().covariates}
    assert all(f["date"].notna().all() and f["value"].notna().all() for f in covariates.values())


def test_a_wide_row_of_m5_that_cannot_be_read_stops_the_load(official: dict[str, Tables], write: Write) -> None:
    tables = official["m5"]
    tables["sales_train_validation.csv"] += "d,FOODS_2\n"
    assert "sales_train_validation.csv, line 5: unreadable (line: 'd,FOODS_2')" in complaint("m5", write(tables))


def test_favorita_flags_scopes_and_covariates(official: dict[str, Tables], write: Write) -> None:
    source = open_source("favorita", write(official["favorita"]), Settings())
    reference = source.reference()
    assert source.absence == "missing"
    assert source.span() == (date(2017, 1, 1), date(2017, 1, 2))
    assert whole(source)["on_promotion"].tolist() == [0, 1, 1, 0]
    assert reference.items.to_dict("records") == [{"item_id": "BREAD/BAKERY", "category": "BREAD/BAKERY"}]
    assert reference.calendar[["scope", "kind"]].to_numpy().tolist() == [
        ["all", "transfer"],
        ["city:Manta", "holiday"],
        ["state:Manabi", "holiday"],
    ]
    promotion = channel(reference, ON_PROMOTION)
    assert promotion["known_future"].all()
    assert promotion["date"].max() == pd.Timestamp("2017-01-03")
    assert promotion["value"].tolist() == [0, 1, 1, 0, 1, 0]
    oil = channel(reference, "oil")
    assert not oil["known_future"].any()
    assert oil["value"].tolist() == pytest.approx([53, 52.4])  # neither filled in, nor known after the last day
    customers = channel(reference, "customers")
    assert not customers["known_future"].any()
    assert customers["value"].tolist() == [900, 770, 800]


def test_favorita_refuses_an_unknown_locale(official: dict[str, Tables], write: Write) -> None:
    tables = official["favorita"]
    tables["holidays_events.csv"] = tables["holidays_events.csv"].replace("Regional", "Galactic")
    assert "'Galactic' is unknown" in complaint("favorita", write(tables))


def test_rossmann_channels(official: dict[str, Tables], write: Write) -> None:
    source = open_source("rossmann", write(official["rossmann"]), Settings())
    rows, reference = whole(source), source.reference()
    assert rows["item_id"].unique().tolist() == ["all"]
    assert len(rows) == 4  # closed days keep their rows
    by_name = {
        str(f["name"].iloc[0]): f.set_index(["store_id", "date"])["value"].sort_index() for f in reference.covariates
    }
    assert by_name[OPEN].loc["2"].tolist() == [1, 0, 1]  # the empty value of test.csv means open
    assert by_name[HOLIDAY].loc["1"].tolist() == [0, 1, 0]
    assert by_name[HOLIDAY].loc["2"].tolist() == [0, 1, 3]
    assert by_name["promo2"].loc["1"].tolist() == [0, 1, 1]  # Promo2 began on 2014-12-29, January renews it
    assert by_name["promo2"].loc["2"].tolist() == [0, 0, 0]
    assert by_name["competition_months"].loc["1"].tolist() == [1, 2, 2]
    assert "2" not in by_name["competition_months"].index.get_level_values(0)
    assert by_name["customers"].index.get_level_values("date").max() == pd.Timestamp("2015-01-01")
    future = {str(f["name"].iloc[0]) for f in reference.covariates if f["known_future"].all()}
    assert future == {OPEN, ON_PROMOTION, HOLIDAY, "school_holiday", "promo2", "competition_months"}
    assert reference.stores["competition_distance"].tolist() == ["q8", "unknown"]
    assert reference.calendar.empty


def test_rossmann_names_what_the_files_disagree_on(official: dict[str, Tables], write: Write) -> None:
    tables = official["rossmann"]
    good = dict(tables)
    tables["train.csv"] = good["train.csv"].replace(",a,1", ",x,1")
    assert "column StateHoliday: 'x' is unknown" in complaint("rossmann", write(tables))
    tables["train.csv"] = good["train.csv"] + "3,4,2015-01-01,0,0,0,0,a,1\n"
    assert "store.csv: store 3" in complaint("rossmann", write(tables))


def test_m5_rows_exist_only_while_on_sale(official: dict[str, Tables], write: Write) -> None:
    source = open_source("m5", write(official["m5"]), Settings())
    rows, reference = whole(source), source.reference()
    found = {
        (r["ts"].day, r["store_id"], r["item_id"]): (r["quantity"], round(r["unit_price"], 2), r["line"])
        for r in rows.to_dict("records")
    }
    assert found == {
        (2, "CA_1", "FOODS_1_001"): (3, 2.0, 2),
        (2, "TX_1", "FOODS_1_001"): (1, 2.0, 4),
        (3, "CA_1", "FOODS_1_001"): (0, 2.5, 2),
        (3, "CA_1", "HOBBIES_1_001"): (5, 9.5, 3),
    }
    price = channel(reference, PRICE)
    assert price["value"].dtype == np.float32
    assert sorted(zip(price["date"].dt.day, price["store_id"], price["item_id"], strict=True)) == [
        (2, "CA_1", "FOODS_1_001"),
        (2, "TX_1", "FOODS_1_001"),
        (3, "CA_1", "FOODS_1_001"),
        (3, "CA_1", "HOBBIES_1_001"),
        (4, "CA_1", "FOODS_1_001"),
        (4, "CA_1", "HOBBIES_1_001"),
    ]
    snap = channel(reference, "snap").pivot_table(index="store_id", columns="date", values="value", observed=True)
    assert snap.loc["CA_1"].tolist() == [1, 0, 0]
    assert snap.loc["TX_1"].tolist() == [0, 1, 1]
    assert reference.calendar[["name", "kind"]].to_numpy().tolist() == [
        ["NewYear", "national"],
        ["Easter", "cultural"],
        ["OrthodoxEaster", "religious"],
    ]
    assert reference.items.set_index("item_id").loc["FOODS_1_001"].to_dict() == {
        "category": "FOODS_1",
        "department": "FOODS",
    }


def test_m5_prefers_the_longer_sales_file_and_needs_its_days_and_states(
    official: dict[str, Tables], write: Write
) -> None:
    tables = official["m5"]
    wide = tables["sales_train_validation.csv"]
    lines = wide.splitlines()
    tables["sales_train_evaluation.csv"] = "\n".join([lines[0] + ",d_4", *(f"{x},8" for x in lines[1:])]) + "\n"
    folder = write(tables)
    assert open_source("m5", folder, Settings()).span()[1] == date(2016, 1, 4)
    (folder / "sales_train_evaluation.csv").write_text(wide.replace("d_3", "d_999"))
    assert "calendar.csv, column d: d_999" in complaint("m5", folder)
    (folder / "sales_train_evaluation.csv").write_text(wide.replace("d_", "x_"))
    assert "no sales columns" in complaint("m5", folder)
    (folder / "sales_train_evaluation.csv").write_text(wide.replace(",TX,", ",WI,"))
    assert "column snap_WI is missing" in complaint("m5", folder)


def test_online_retail_keeps_the_dirt_for_the_gate(official: dict[str, Tables], write: Write) -> None:
    source = open_source("online_retail", write(official["online_retail"]), Settings())
    rows, reference = whole(source), source.reference()
    assert source.absence == "zero"
    assert len(rows) == 8
    assert rows["item_id"].iloc[:3].tolist() == ["85123A"] * 3  # stripped, upper case
    assert rows["item_id"].isna().tolist() == [False] * 4 + [True] + [False] * 3
    assert rows["quantity"].iloc[2] == -1  # a cancelled invoice is a return
    assert rows["ts"].iloc[0] == pd.Timestamp("2010-12-01 08:26:00")
    assert rows["line"].tolist() == list(range(2, 10))
    assert reference.items["item_id"].tolist() == ["22423", "85123A"]
    assert reference.stores["store_id"].tolist() == ["uk"]
    assert pd.Timestamp("2010-12-25") in set(reference.calendar["date"])
    assert reference.calendar["date"].max() > pd.Timestamp("2011-10-01")


def test_online_retail_reads_the_kaggle_edition(official: dict[str, Tables], write: Write) -> None:
    tables = official["online_retail"]
    text = tables["online_retail.csv"]
    tables["online_retail.csv"] = text.replace("2010-12-01 08:26:00", "12/1/2010 8:26")
    source = open_source("online_retail", write(tables), Settings())
    assert whole(source)["ts"].iloc[0] == pd.Timestamp("2010-12-01 08:26:00")
