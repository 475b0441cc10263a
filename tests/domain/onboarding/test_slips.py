"""Files as people export them: a line of totals, two encodings, dates of another century, headers with hyphens."""

from datetime import date
from pathlib import Path

import pytest

from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.findings import Role
from shelfops_pipeline.onboarding.propose import Proposal, propose
from shelfops_pipeline.onboarding.quality import assess
from shelfops_pipeline.onboarding.words import Meaning, name_fits
from tests.domain.onboarding.retailers import comma, days, lines, mondays

HEADER = ("Niederlassung", "Artikel-Nr.", "Woche ab", "Menge", "VK-Preis", "Aktion")


def wholesaler(folder: Path) -> Proposal:
    """Weeks of a complete grid, each file with a line of totals; branches are known by their names."""
    branches, items = ("Nürnberg", "München", "Hof"), ("004034", "013901")
    for year in (2023, 2024):
        rows = [
            (b, i, f"{d:%d.%m.%Y}", 20 + (7 * n + d.day) % 30, comma(4 + n), "JN"[(n + d.month) % 2])
            for d in mondays(f"{year}-01-02" if year == 2023 else "2024-01-01", 52)
            for b in branches
            for n, i in enumerate(items)
        ]
        total = [("Summe", "", "", comma(sum(r[3] for r in rows), "."), "", "")]
        lines(folder, f"Absatz {year}.csv", [HEADER, *rows, *total], encoding="cp1252")
    goods = [("Artikel-Nr.", "Warengruppe", "EK-Preis"), ("004034", "A", "2,50"), ("013901", "B", "3,10")]
    lines(folder, "Artikelstamm.csv", goods, encoding="cp1252")
    places = [("Nr", "Name", "Bundesland"), *((n, b, "Bayern") for n, b in enumerate(branches, 1))]
    lines(folder, "Niederlassungen.csv", places, encoding="cp1252")
    return propose(read_catalog(folder))


def test_a_line_of_totals_is_quarantined_and_stops_nothing(tmp_path: Path) -> None:
    proposal = wholesaler(tmp_path / "meier")
    own = proposal.mapping.known_future[0]
    assert (own.files, own.columns["price"]) == (proposal.mapping.transactions.files, "VK-Preis")
    assert any("Absatz *.csv: `VK-Preis`, `Aktion` of days to come are not known" in q for q in proposal.questions)
    found = assess(Mapped(proposal.mapping, tmp_path / "meier", today=date(2030, 1, 1)))
    assert found.refused == {"missing_id": 2}
    assert found.rows == 2 * (52 * 3 * 2 + 1)
    assert proposal.mapping.rules.max_quantity == 1e6  # a sum of all is no measure of a row


def test_a_store_is_known_by_its_name_and_all_of_one_region_have_its_holidays(tmp_path: Path) -> None:
    mapping = wholesaler(tmp_path / "meier").mapping
    assert mapping.stores is not None
    assert mapping.stores.columns["store_id"] == "Name"
    assert [(h.country, h.region, h.scope) for h in mapping.holidays] == [("DE", "BY", "all")]


def test_words_with_a_hyphen_are_the_word_without_it(tmp_path: Path) -> None:
    mapping = wholesaler(tmp_path / "meier").mapping
    assert mapping.items is not None
    assert mapping.items.columns["cost"] == "EK-Preis"
    assert "price" not in mapping.items.columns
    assert max(name_fits("VK Preis"), key=name_fits("VK Preis").__getitem__) is Meaning.PRICE


def test_two_encodings_are_told_and_no_name_is_garbled(tmp_path: Path) -> None:
    for n, encoding in enumerate(("utf-8", "cp1252"), 1):
        rows = [(d, "Köln", 3) for d in days(f"2024-0{n}-01", 28)]
        lines(tmp_path, f"sales_{n}.csv", [("date", "store", "units"), *rows], ",", encoding=encoding)
    proposal = propose(read_catalog(tmp_path))
    assert "sales_*.csv: its files are written in cp1252 and utf-8; convert them to one" in proposal.questions
    with pytest.raises(DataError, match=r"sales_2\.csv, line 2: not utf-8"):
        assess(Mapped(proposal.mapping, tmp_path))
    lines(tmp_path, "sales_2.csv", [("date", "store", "units"), *((d, "Bonn", 3) for d in days("2024-02-01", 28))], ",")
    mended = propose(read_catalog(tmp_path))
    assert (mended.mapping.transactions.format.encoding, mended.questions) == ("utf-8", [])


def test_dates_of_another_century_and_slips_of_the_keyboard_move_nothing(tmp_path: Path) -> None:
    rows = [(d, "A", f"I{i}", 3 + i) for d in days("2024-01-01", 60) for i in range(3)]
    slips = [("1899-12-30", "A", "I1", 4), ("2199-01-01", "A", "I1", 4), ("2024-02-01", "A", "I2", 250_000_000)]
    lines(tmp_path, "sales.csv", [("date", "store", "item", "qty"), *rows, *slips], ",")
    plan = [("date", "item", "promo"), *((d, "I1", n % 2) for n, d in enumerate(days("2024-03-01", 10)))]
    lines(tmp_path, "plan.csv", plan, ",")
    proposal = propose(read_catalog(tmp_path))
    assert proposal.mapping.start_date == date(2024, 1, 1)
    assert proposal.mapping.rules.max_quantity == 1e6
    assert (
        next(f.why for f in proposal.findings if f.role is Role.PLAN) == "reaches to 2024-03-10, beyond the last sale"
    )


def test_what_is_wrong_with_a_small_table_is_said(tmp_path: Path) -> None:
    lines(
        tmp_path,
        "sales.csv",
        [("date", "item", "qty"), *((d, i, 2) for d in days("2024-01-01", 60) for i in "xyz")],
        ",",
    )
    lines(tmp_path, "items.csv", [("item", "group"), ("x", "a"), ("y", "b"), ("z", "b"), ("x", "b")], ",")
    lines(tmp_path, "stores.csv", [("store", "city")], ",")
    (tmp_path / "articles.jsonl").write_text('{"item": "x"}\n')
    catalog = read_catalog(tmp_path)
    why = {f.table.name: f.why for f in propose(catalog).findings if f.role is Role.UNUSED}
    assert "some appear twice: make `item` unique" in why["items.csv"]
    assert why["stores.csv"] == "no rows"
    assert catalog.others == ("articles.jsonl: JSON; save it as CSV or Parquet to have it read",)


def test_a_holiday_flag_names_the_country_or_is_asked_about(tmp_path: Path) -> None:
    import holidays

    every = days("2023-01-01", 700)
    public = holidays.country_holidays("NL", years=(2023, 2024))
    for country, marked in (("nl", public), ("none", {every[3], every[200]})):
        rows = [(d, "A", 5 + d.day % 3, "Y" if d in marked else "") for d in every]
        lines(tmp_path / country, "sales.csv", [("date", "store", "units", "holiday"), *rows], ",")
    told = propose(read_catalog(tmp_path / "nl"))
    assert [h.country for h in told.mapping.holidays] == ["NL"]
    asked = propose(read_catalog(tmp_path / "none"))
    assert asked.mapping.holidays == ()
    assert any("`holiday` marks holidays, but none to come" in question for question in asked.questions)
