"""Names as German and French retailers give them: stock in pieces, purchase prices, prices of promotions."""

from pathlib import Path

import pytest

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
        ("Preis EK", "VK-Preis"),
        ("Einkaufspreis", "Verkaufspreis"),
        ("Cost price", "Selling price"),
        ("Purchase price", "Price"),
        ("Prezzo di acquisto", "Prezzo"),
    ],
)
def test_what_an_item_is_bought_for_is_its_cost_and_not_its_price(tmp_path: Path, cost: str, price: str) -> None:
    rows = [("Artikelnr.", cost, price), *((i, f"{n + 1},50", f"{n + 2},99") for n, i in enumerate(ITEMS))]
    items = proposal_with(tmp_path / "laden", "artikel.csv", rows).mapping.items
    assert items is not None
    assert dict(items.columns) == {"item_id": "Artikelnr.", "cost": cost, "price": price}


def test_whole_numbers_called_pv_are_no_prices(tmp_path: Path) -> None:
    """They may be shops: punto vendita."""
    rows = [(key[0], key[1][1], key[2], n % 7) for n, key in enumerate(KEYS)]
    mapping = propose(read_catalog(lines(tmp_path / "bar", "vendite.csv", [("Data", "PV", "Codice", "Pezzi"), *rows])))
    assert "unit_price" not in mapping.mapping.transactions.columns
