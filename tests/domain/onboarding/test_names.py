"""Names as German and French retailers give them: stock in pieces, purchase prices, prices of promotions."""

from pathlib import Path

import pytest

from shelfops_pipeline.data.mapping import Constant
from shelfops_pipeline.onboarding.catalog import read_catalog
from shelfops_pipeline.onboarding.propose import Proposal, propose
from tests.domain.onboarding.retailers import days, lines

ITEMS = ("4001", "4002", "4003")
KEYS = [(f"{d:%d.%m.%Y}", s, i) for d in days("2024-01-01", 60) for s in ("F1", "F2") for i in ITEMS]


def proposal_with(folder: Path, name: str, rows: list[tuple[object, ...]]) -> Proposal:
    """Of a shop with sales and one more table."""
    sold = [(*key, (3 * n) % 7 + 1, "JN"[n % 5 > 0]) for n, key in enumerate(KEYS)]
    lines(folder, "umsatz.csv", [("Datum", "Filiale", "Artikelnr.", "Menge", "Aktion"), *sold])
    return propose(read_catalog(lines(folder, name, rows)))


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("Bestandszählung.csv", "Bestand Stk"),
        ("inventaire_hebdo.csv", "Qté en stock"),
        ("inventaire_hebdo.csv", "Quantité"),
        ("woche.csv", "Lagerbestand (Menge)"),
        ("existencias.csv", "Unidades"),
    ],
)
def test_a_quantity_that_is_called_stock_is_stock(tmp_path: Path, file: str, column: str) -> None:
    rows = [("Datum", "Filiale", "Artikelnr.", column), *((*key, n % 40) for n, key in enumerate(KEYS))]
    mapping = proposal_with(tmp_path / "laden", file, rows).mapping
    assert mapping.transactions.columns["quantity"] == "Menge"
    assert mapping.inventory is not None
    assert (mapping.inventory.files, mapping.inventory.columns["on_hand"]) == (file, column)


@pytest.mark.parametrize(
    ("cost", "price"),
    [
        ("Prix d'achat HT", "PV TTC"),
        ("Prix de revient", "Prix de vente"),
        ("PA HT", "PV"),
        ("Prix d'achat", "PV HT"),
        ("Preis EK", "VK-Preis"),
        ("Einkaufspreis", "Verkaufspreis"),
        ("Cost price", "Selling price"),
        ("Purchase price", "Price"),
        ("Prezzo di acquisto", "Prezzo"),
    ],
)
@pytest.mark.parametrize("cents", ["99", "00"])
def test_what_an_item_is_bought_for_is_its_cost_and_not_its_price(
    tmp_path: Path, cost: str, price: str, cents: str
) -> None:
    rows = [("Artikelnr.", cost, price), *((i, f"{n + 1},50", f"{n + 2},{cents}") for n, i in enumerate(ITEMS))]
    items = proposal_with(tmp_path / "laden", "artikel.csv", rows).mapping.items
    assert items is not None
    assert dict(items.columns) == {"item_id": "Artikelnr.", "cost": cost, "price": price}


def test_whole_numbers_called_pv_are_no_prices(tmp_path: Path) -> None:
    """They may be shops: punto vendita."""
    rows = [(key[0], key[1][1], key[2], n % 7) for n, key in enumerate(KEYS)]
    mapping = propose(read_catalog(lines(tmp_path / "bar", "vendite.csv", [("Data", "PV", "Codice", "Pezzi"), *rows])))
    assert "unit_price" not in mapping.mapping.transactions.columns


@pytest.mark.parametrize("file", ["Werbeplan.csv", "plan_2024.csv"])
@pytest.mark.parametrize("name", ["Aktionspreis", "Angebotspreis", "Prix promo", "Promo price", "Sale price"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_price_of_promotions_from_a_day_to_a_day_says_when_there_is_one(
    tmp_path: Path, file: str, name: str, whole: bool
) -> None:
    """Also of days to come: as a price alone it would hold for ever, and the promotion would be unknown."""
    spans = [("08.01.2024", "13.01.2024"), ("05.02.2024", "10.02.2024"), ("11.03.2024", "16.03.2024")]
    rows = [(i, *span, n + 2 if whole else f"{n + 1},99") for n, i in enumerate(ITEMS) for span in spans]
    proposal = proposal_with(tmp_path / "laden", file, [("Artikelnr.", "gültig von", "gültig bis", name), *rows])
    plan = proposal.mapping.known_future[0]
    assert dict(plan.columns) == {
        "date": "gültig von",
        "until": "gültig bis",
        "item_id": "Artikelnr.",
        "on_promotion": Constant(value=1.0),
    }
    assert plan.absence == "zero"
    assert f"{file}: `{name}` is left out: it holds during promotions only" in proposal.questions


def test_a_list_of_prices_of_which_some_are_reduced_stays_one_of_prices(tmp_path: Path) -> None:
    spans = [("01.01.2024", "31.01.2024", ""), ("01.02.2024", "30.04.2024", "1,49")]
    rows = [(i, *span[:2], f"{n + 1},99", span[2]) for n, i in enumerate(ITEMS) for span in spans]
    header = ("Artikelnr.", "gültig von", "gültig bis", "Preis", "Aktionspreis")
    plan = proposal_with(tmp_path / "laden", "preise.csv", [header, *rows]).mapping.known_future[0]
    assert plan.columns["price"] == "Preis"
    assert "on_promotion" not in plan.columns


@pytest.mark.parametrize(("pack", "least"), [("Packungsgröße", "Mindestbestellmenge"), ("PCB", "Minimum de commande")])
def test_packs_and_minimum_orders_of_items_are_read(tmp_path: Path, pack: str, least: str) -> None:
    rows = [("Artikelnr.", pack, least), *((i, 6 * n + 6, 12 * n + 12) for n, i in enumerate(ITEMS))]
    items = proposal_with(tmp_path / "laden", "artikel.csv", rows).mapping.items
    assert items is not None
    assert dict(items.columns) == {"item_id": "Artikelnr.", "case_pack": pack, "minimum_order": least}


@pytest.mark.parametrize(
    ("lead_time", "least"),
    [("Lieferzeit (Tage)", "Mindestbestellwert"), ("Délai de livraison", "Minimum de commande")],
)
def test_what_is_not_read_of_suppliers_is_named_with_its_place(tmp_path: Path, lead_time: str, least: str) -> None:
    folder = tmp_path / "laden"
    lines(folder, "artikel.csv", [("Artikelnr.", "Lieferant"), *zip(ITEMS, ("L1", "L1", "L2"), strict=True)])
    rows: list[tuple[object, ...]] = [("Lieferant", "Firma", lead_time, least), ("L1", "A", 3, 250), ("L2", "B", 5, 90)]
    proposal = proposal_with(folder, "lieferanten.csv", rows)
    assert proposal.mapping.suppliers is not None
    told = [question for question in proposal.questions if question.startswith("lieferanten.csv: ")]
    assert len(told) == 1
    assert f"not used: `{lead_time}`, `{least}`. A lead time stands in the table of stock" in told[0]
