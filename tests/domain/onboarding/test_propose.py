"""Invented retailers, and the mapping that is proposed for each; every proposal is read by the `mapped` source."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from shelfops_pipeline.contracts.columns import QUANTITY, STORE_ID, TS
from shelfops_pipeline.data.mapping import Constant, Mapping, load_mapping
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.sources.mapped import Mapped
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.propose import Proposal, propose
from shelfops_pipeline.onboarding.write import to_yaml
from tests.domain.onboarding import retailers

DAYS = retailers.days("2024-01-01", 60)
ALL = [
    retailers.alpenmarkt,
    retailers.mercado,
    retailers.bigbox,
    retailers.nameless,
    retailers.primeur,
    retailers.bottega,
    retailers.kaasland,
    retailers.isoweeks,
    retailers.pos_extract,
    retailers.opaque,
    retailers.extraction,
    retailers.folders,
]


def proposal_of(folder: Path, **chosen: str) -> Proposal:
    return propose(read_catalog(folder), **chosen)


def read(mapping: Mapping, folder: Path) -> tuple[pd.DataFrame, Reference]:
    source = Mapped(mapping, folder, today=date(2030, 1, 1))
    return source.transactions(*source.span()), source.reference()


@pytest.mark.parametrize("build", ALL, ids=lambda build: build.__name__)
def test_every_proposal_is_written_loaded_again_and_reads_every_row(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = build(tmp_path)
    proposal = proposal_of(folder)
    written = tmp_path / "mapping.yaml"
    written.write_text(to_yaml(proposal, folder.name), "utf-8")
    assert load_mapping(written) == proposal.mapping
    rows, reference = read(proposal.mapping, folder)
    assert len(rows) == proposal.sales.table.rows
    assert rows[[TS, STORE_ID, QUANTITY]].notna().all(axis=None)
    assert set(rows[STORE_ID]) <= set(reference.stores[STORE_ID])


def test_german_weekly_turnover_with_a_plan(tmp_path: Path) -> None:
    proposal = proposal_of(retailers.alpenmarkt(tmp_path))
    mapping = proposal.mapping
    assert mapping.name == "alpenmarkt_gmbh"
    assert (mapping.grain, mapping.target, mapping.absence) == ("week", "revenue", "zero")
    assert mapping.start_date == date(2022, 1, 3)
    sold = mapping.transactions
    assert sold.rows == "week"
    assert dict(sold.columns) == {
        "ts": "Woche ab",
        "store_id": "Filial-Nr",
        "item_id": "Warengruppe",
        "revenue": "Umsatz netto",
    }
    form = sold.format
    assert (form.separator, form.decimal, form.thousands, form.encoding) == (";", ",", ".", "cp1252")
    assert (form.date, form.skip_rows) == ("%d.%m.%Y", 2)
    plan = mapping.known_future[0]
    assert plan.columns["on_promotion"] == "Aktion J/N"
    assert (plan.columns["store_id"], plan.columns["item_id"]) == ("Filiale", "WGR")
    assert mapping.stores is not None
    assert dict(mapping.stores.columns) == {"store_id": "Nummer", "bundesland": "Bundesland"}
    scopes = [(h.country, h.region, h.scope) for h in mapping.holidays]
    assert scopes[0] == ("AT", None, "all")
    assert ("AT", "9", "bundesland:Wien") in scopes


def test_spanish_receipts_with_items_stock_suppliers_and_holidays(tmp_path: Path) -> None:
    mapping = proposal_of(retailers.mercado(tmp_path)).mapping
    assert (mapping.grain, mapping.target, mapping.absence) == ("day", "units", "zero")
    assert mapping.transactions.rows == "transaction"
    assert dict(mapping.transactions.columns) == {
        "ts": "Fecha y hora",
        "store_id": "Código tienda",
        "item_id": "Artículo",
        "quantity": "Unidades",
        "revenue": "Importe",
        "unit_price": "Precio unitario",
        "transaction_id": "Nº ticket",
    }
    assert mapping.transactions.format.encoding == "utf-8-sig"
    assert mapping.transactions.format.date == "%d/%m/%Y %H:%M"
    assert mapping.items is not None
    assert dict(mapping.items.columns) == {
        "item_id": "SKU",
        "category": "Familia",
        "supplier_id": "Proveedor",
        "cost": "Coste",
        "case_pack": "Unidades por caja",
        "minimum_order": "Pedido mínimo",
        "shelf_life_days": "Vida útil",
    }
    assert mapping.suppliers is not None
    assert mapping.suppliers.columns["order_weekdays"] == "Días de pedido"
    assert mapping.inventory is not None
    assert [mapping.inventory.columns[n] for n in ("on_hand", "on_order", "lead_time_days")] == [
        "stock",
        "pedido pendiente",
        "plazo entrega",
    ]
    assert mapping.calendar is not None
    assert mapping.calendar.columns["name"] == "festivo"
    assert mapping.holidays == ()


def test_american_files_by_year_with_zeros_and_flags(tmp_path: Path) -> None:
    mapping = proposal_of(retailers.bigbox(tmp_path)).mapping
    assert mapping.transactions.files == "sales_[0-9]*.csv"
    assert (mapping.transactions.format.date, mapping.transactions.format.thousands) == ("%m/%d/%Y", ",")
    assert (mapping.transactions.rows, mapping.absence) == ("day", "missing")
    assert mapping.known_future[0].files == "sales_plan.csv"
    assert mapping.known_future[0].absence == "missing"
    assert mapping.past[0].columns["customers"] == "Customers"
    assert [h.region for h in mapping.holidays] == [None, "OH", "TX", "UT"]


def test_columns_without_telling_names_are_told_by_their_content_and_said_to_be_guesses(tmp_path: Path) -> None:
    proposal = proposal_of(retailers.nameless(tmp_path))
    mapping = proposal.mapping
    assert dict(mapping.transactions.columns) == {
        "ts": "f1",
        "store_id": "f3",
        "item_id": "f2",
        "quantity": "f6",
        "revenue": "f4",
        "unit_price": "f5",
    }
    assert mapping.transactions.format.date == "%Y%m%d"
    assert mapping.items is not None
    assert mapping.stores is not None
    assert (mapping.items.files, mapping.stores.files) == ("t2.txt", "t3.txt")
    assert mapping.items.columns["category"] == "b"
    assert max(choice.confidence for choice in proposal.sales.reading.choices.values()) < 1
    assert "# a guess: its values are those of t2.txt" in to_yaml(proposal, "x")


def test_french_parquet_with_a_list_of_promotions_and_weather(tmp_path: Path) -> None:
    folder = retailers.primeur(tmp_path)
    mapping = proposal_of(folder).mapping
    assert mapping.transactions.columns["item_id"] == "code_produit"
    plan = mapping.known_future[0]
    assert dict(plan.columns) == {
        "date": "debut",
        "until": "fin",
        "item_id": "code_produit",
        "on_promotion": Constant(value=1.0),
    }
    assert plan.absence == "zero"
    assert dict(mapping.past[0].columns) == {"date": "date", "temperature": "temperature"}


def test_one_shop_has_a_constant_store_and_one_series_per_shop_a_constant_item(tmp_path: Path) -> None:
    shop = proposal_of(retailers.bottega(tmp_path)).mapping
    assert shop.transactions.columns["store_id"] == Constant(value="bottega")
    assert (shop.transactions.format.encoding, shop.transactions.format.separator) == ("utf-16", "\t")
    assert shop.transactions.format.date == "%d/%m/%y"
    shops = proposal_of(retailers.kaasland(tmp_path)).mapping
    assert shops.transactions.columns["item_id"] == Constant(value="all")
    assert shops.target == "revenue"


def test_the_country_is_told_by_the_days_on_which_the_shops_are_closed(tmp_path: Path) -> None:
    proposal = proposal_of(retailers.kaasland(tmp_path))
    assert [h.country for h in proposal.mapping.holidays] == ["NL"]
    assert "# a guess: closed on" in to_yaml(proposal, "x")


def test_no_country_is_guessed_without_evidence_and_the_one_asked_for_is_taken(tmp_path: Path) -> None:
    folder = retailers.bottega(tmp_path)
    assert proposal_of(folder).mapping.holidays == ()
    asked = proposal_of(folder, country="it", region="BZ").mapping.holidays
    assert [(h.country, h.region) for h in asked] == [("IT", "BZ")]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"country": "XX"}, "--country XX"),
        ({"country": "AT", "region": "BY"}, "--region BY: not a region of AT; known: 1"),
    ],
)
def test_an_unknown_country_or_region_is_refused(tmp_path: Path, chosen: dict[str, str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        proposal_of(retailers.bottega(tmp_path), **chosen)


def test_iso_weeks_and_a_currency_that_names_its_country(tmp_path: Path) -> None:
    mapping = proposal_of(retailers.isoweeks(tmp_path)).mapping
    assert (mapping.transactions.format.date, mapping.transactions.format.thousands) == ("%G-W%V", "'")
    assert (mapping.grain, mapping.start_date) == ("week", date(2023, 1, 2))
    assert mapping.holidays[0].country == "CH"


def test_of_two_turnovers_one_is_taken_and_the_other_asked_about(tmp_path: Path) -> None:
    rows = [
        (f"{d:%d.%m.%Y}", "F1", f"{d.day}{d.month},50", f"{d.day}{d.month},90")
        for d in retailers.days("2023-01-01", 90)
    ]
    folder = retailers.lines(tmp_path / "two", "umsatz.csv", [("Datum", "Filiale", "Umsatz 1", "Umsatz 2"), *rows])
    proposal = proposal_of(folder)
    assert proposal.mapping.transactions.columns["revenue"] == "Umsatz 1"
    assert any(
        "umsatz.csv: is `Umsatz 1` or `Umsatz 2` the revenue? Took `Umsatz 1`" in question
        for question in proposal.questions
    )


def test_a_flag_that_is_only_there_where_something_sold_is_no_plan(tmp_path: Path) -> None:
    """Its absence would tell the models that nothing was sold."""
    keep = [(d, s, i) for n, d in enumerate(retailers.days("2023-01-01", 60)) for s in "AB" for i in "xyz" if n % 3]
    rows = [(d, f"S{s}", f"I{i}", 1 + n % 4, int(n % 7 == 0)) for n, (d, s, i) in enumerate(keep) if (n * 7) % 5]
    folder = retailers.lines(
        tmp_path / "sparse", "sales.csv", [("date", "store", "item", "units", "promo"), *rows], ","
    )
    mapping = proposal_of(folder).mapping
    assert mapping.transactions.columns["on_promotion"] == "promo"
    assert mapping.known_future == ()


def test_a_flag_of_a_complete_grid_is_a_plan_of_its_own(tmp_path: Path) -> None:
    grid = [(d, s) for d in retailers.days("2023-01-01", 60) for s in "AB"]
    rows = [(d, f"S{s}", n % 5, int(n % 7 == 0), 40 + n % 9) for n, (d, s) in enumerate(grid)]
    folder = retailers.lines(tmp_path / "full", "sales.csv", [("date", "store", "units", "promo", "price"), *rows], ",")
    plan = proposal_of(folder).mapping.known_future[0]
    assert (plan.columns["on_promotion"], plan.columns["price"]) == ("promo", "price")


def test_a_large_turnover_is_no_slip_of_the_keyboard(tmp_path: Path) -> None:
    rows = [(d, "S1", 2_000_000 + d.day) for d in retailers.days("2023-01-01", 60)]
    folder = retailers.lines(tmp_path / "large", "sales.csv", [("date", "store", "revenue"), *rows], ",")
    mapping = proposal_of(folder).mapping
    assert mapping.rules.max_quantity > 2_000_031


def test_timestamps_with_an_offset_get_the_time_zone_of_the_country(tmp_path: Path) -> None:
    rows = [(n, f"{d}T23:30:00+00:00", "A", 1) for n, d in enumerate(retailers.days("2023-06-01", 60))]
    header = ("receipt", "timestamp", "sku", "qty")
    folder = retailers.lines(tmp_path / "zoned", "sales.csv", [header, *rows], ",")
    proposal = proposal_of(folder, country="AT")
    assert proposal.mapping.transactions.format.timezone == "Europe/Vienna"
    rows_read, _ = read(proposal.mapping, folder)
    assert rows_read[TS].min() == pd.Timestamp("2023-06-02 01:30")


def test_a_product_of_two_columns_is_the_turnover_whatever_it_is_called(tmp_path: Path) -> None:
    columns = proposal_of(retailers.pos_extract(tmp_path)).mapping.transactions.columns
    assert [columns[n] for n in ("quantity", "unit_price", "revenue")] == ["qty_sold", "unit_rtl", "ext_price"]
    assert [columns[n] for n in ("transaction_id", "store_id")] == ["txn_nbr", "loc_id"]


def test_flags_and_prices_without_names_are_told_by_what_they_do(tmp_path: Path) -> None:
    proposal = proposal_of(retailers.opaque(tmp_path))
    plan = proposal.mapping.known_future[0]
    assert (plan.columns["on_promotion"], plan.columns["price"]) == ("X4", "X5")
    assert proposal.mapping.transactions.columns["quantity"] == "X3"
    asked = "data.csv: took `X1` for the store and `X2` for the item, as there are fewer stores than items. Right?"
    assert asked in proposal.questions


def test_a_shops_name_serves_where_it_has_no_number(tmp_path: Path) -> None:
    mapping = proposal_of(retailers.extraction(tmp_path)).mapping
    columns = mapping.transactions.columns
    assert [columns[n] for n in ("store_id", "item_id")] == ["Nom du magasin", "Code EAN"]
    assert [columns[n] for n in ("quantity", "revenue")] == ["Qté vendue", "CA TTC"]
    assert (mapping.transactions.format.decimal, mapping.transactions.format.thousands) == (",", " ")


def test_folders_may_state_the_store(tmp_path: Path) -> None:
    folder = retailers.folders(tmp_path)
    mapping = proposal_of(folder).mapping
    assert mapping.transactions.files == "store=*/sales.csv"
    assert mapping.transactions.columns["store_id"] == "store"
    rows, _ = read(mapping, folder)
    assert sorted(rows[STORE_ID].unique()) == ["0101", "0102", "0103"]


def test_one_folder_may_state_the_store(tmp_path: Path) -> None:
    rows = [("date", "item", "units"), *((day, "A", n % 7) for n, day in enumerate(DAYS))]
    retailers.lines(tmp_path / "shop" / "store=0101", "sales.csv", rows, ",")
    mapping = proposal_of(tmp_path / "shop").mapping
    assert mapping.transactions.columns["store_id"] == "store"
    assert set(read(mapping, tmp_path / "shop")[0][STORE_ID]) == {"0101"}


def test_a_file_per_store_that_nothing_names_is_asked_about(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        rows = [(d, i, n) for d in retailers.days("2024-01-01", 40) for i in "ABC"]
        retailers.lines(tmp_path / "apart", f"sales_{n}.csv", [("date", "item", "qty"), *rows], ",")
    asked = proposal_of(tmp_path / "apart").questions
    assert any("is each one a store's? Then put it into a folder `store=NAME`" in question for question in asked)


def test_rows_of_the_future_among_the_sales_are_asked_about(tmp_path: Path) -> None:
    rows = [(d, "S1", "" if n >= 50 else 3, n % 2) for n, d in enumerate(retailers.days("2024-01-01", 60))]
    folder = retailers.lines(tmp_path / "mixed", "sales.csv", [("date", "store", "units", "promo"), *rows], ",")
    asked = (
        "sales.csv: the 10 rows after 2024-02-19 have no `units`. If they are a plan, put them into a file of their own"
    )
    assert asked in proposal_of(folder).questions


def test_prices_with_a_first_and_a_last_day_are_a_plan(tmp_path: Path) -> None:
    folder = retailers.kaasland(tmp_path)
    retailers.lines(
        folder, "prijzen.csv", [("winkelnr", "van", "tot", "prijs"), (11, "2022-01-01", "2024-06-30", "2.50")], ","
    )
    plan = proposal_of(folder).mapping.known_future[0]
    assert dict(plan.columns) == {"date": "van", "until": "tot", "store_id": "winkelnr", "price": "prijs"}
    assert plan.absence == "missing"


def test_a_first_and_a_last_day_are_told_by_their_order(tmp_path: Path) -> None:
    folder = retailers.primeur(tmp_path)
    (folder / "promotions.csv").write_text("code_produit,d2,d1\n1,2024-01-16,2024-01-10\n3,2024-02-07,2024-02-01\n")
    plan = proposal_of(folder).mapping.known_future[0]
    assert (plan.columns["date"], plan.columns["until"]) == ("d1", "d2")


@pytest.mark.parametrize(("begin", "end"), [("gueltig_ab", "gueltig_bis"), ("x1", "x2")])
def test_the_last_day_may_be_for_ever(begin: str, end: str, tmp_path: Path) -> None:
    sold = [(f"{day:%d.%m.%Y}", f"I{i}", (n + i) % 7) for n, day in enumerate(DAYS) for i in range(3)]
    folder = retailers.lines(tmp_path / "laden", "verkauf.csv", [("Datum", "Artikel", "Menge"), *sold])
    spans = [("01.01.2024", "31.01.2024", "2,50"), ("01.02.2024", "31.12.9999", "2,75")]
    prices = [(f"I{i}", *span) for i in range(3) for span in spans]
    retailers.lines(folder, "preise.csv", [("Artikel", begin, end, "Preis"), *prices])
    mapping = proposal_of(folder).mapping
    assert mapping.known_future[0].columns["until"] == end
    [price] = read(mapping, folder)[1].covariates
    assert price["value"][price["date"] == "2024-12-24"].tolist() == [2.75] * 3


def test_a_weekly_plan_beside_daily_sales_is_not_used_and_says_why(tmp_path: Path) -> None:
    folder = retailers.kaasland(tmp_path)
    plan = [(d, n % 2) for n, d in enumerate(retailers.mondays("2022-01-03", 110))]
    retailers.lines(folder, "acties.csv", [("datum", "actie"), *plan], ",")
    proposal = proposal_of(folder)
    assert proposal.mapping.known_future == ()
    assert "add a column of its last day" in next(f.why for f in proposal.findings if f.table.name == "acties.csv")


def test_numbers_that_reach_beyond_the_last_sale_are_asked_about(tmp_path: Path) -> None:
    folder = retailers.kaasland(tmp_path)
    oil = [(d, 80 + n % 7) for n, d in enumerate(retailers.days("2022-01-01", 760))]
    retailers.lines(folder, "brent.csv", [("datum", "brent"), *oil], ",")
    proposal = proposal_of(folder)
    assert proposal.mapping.known_future[0].columns["brent"] == "brent"
    assert any("If measured, move it to `past`" in question for question in proposal.questions)


def test_sales_beside_a_count_of_stock_are_sales(tmp_path: Path) -> None:
    rows = [(day, "S1", f"I{i}", (n + i) % 7, 40 - n % 30) for n, day in enumerate(DAYS) for i in range(3)]
    retailers.lines(tmp_path / "shop", "sales.csv", [("date", "store", "item", "sales", "stock_on_hand"), *rows], ",")
    assert proposal_of(tmp_path / "shop").mapping.transactions.columns["quantity"] == "sales"


def test_a_line_break_in_a_header_breaks_no_comment(tmp_path: Path) -> None:
    header = ("date", '"Artikel\nNr"', "Menge", "X1")
    rows = [(day, f"I{i}", (n + i) % 7, 2.5 + i + n % 3 / 100) for n, day in enumerate(DAYS) for i in range(3)]
    proposal = proposal_of(retailers.lines(tmp_path / "shop", "sales.csv", [header, *rows], ","))
    (tmp_path / "m.yaml").write_text(to_yaml(proposal, "my\nshop"), "utf-8")
    assert load_mapping(tmp_path / "m.yaml") == proposal.mapping
    assert "# a guess: positive, and steady within Artikel Nr" in (tmp_path / "m.yaml").read_text("utf-8")


def test_names_that_begin_alike_stay_apart_however_long_they_are(tmp_path: Path) -> None:
    name = "how_much_rain_fell_at_the_nearest_weather_station"
    header = ("date", "store", "item", "units", f"{name}_by_day", f"{name}_by_night")
    rows = [(day, "S1", "A", n % 7, n % 5 + 0.5, n % 6 + 0.5) for n, day in enumerate(DAYS)]
    mapping = proposal_of(retailers.lines(tmp_path / "shop", "sales.csv", [header, *rows], ",")).mapping
    first, second = mapping.past[0].covariates
    assert (len(first), len(second)) == (40, 40)
    assert first[:-2] == second[:-2]
