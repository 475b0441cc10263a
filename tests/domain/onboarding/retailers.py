"""Invented retailers, each in a layout of its own: languages, separators, encodings, grains, names that say nothing."""

import gzip
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd


def lines(folder: Path, name: str, rows: Iterable[Sequence[object]], sep: str = ";", encoding: str = "utf-8") -> Path:
    """Write rows as text; `.gz` names are compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    data = "".join(sep.join(map(str, row)) + "\n" for row in rows).encode(encoding)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def comma(value: float, thousands: str = "") -> str:
    """1234.5 as 1234,50 or 1.234,50."""
    return f"{value:,.2f}".translate(str.maketrans({",": thousands, ".": ","}))


def mondays(first: str, weeks: int) -> list[date]:
    return [date.fromisoformat(first) + timedelta(days=7 * n) for n in range(weeks)]


def days(first: str, n: int) -> list[date]:
    return [date.fromisoformat(first) + timedelta(days=k) for k in range(n)]


def alpenmarkt(root: Path) -> Path:
    """German, by the week, turnover of product groups, cp1252, two lines of title; the plan reaches 12 weeks ahead."""
    folder, rng = root / "Alpenmarkt GmbH", np.random.default_rng(1)
    stores, groups = ("0101", "0102", "0205", "0310"), ("Brot & Gebäck", "Käse", "Getränke")
    weeks = mondays("2022-01-03", 116)
    cells = [(w, s, g) for w in weeks for s in stores for g in groups]
    sold = [(f"{w:%d.%m.%Y}", s, g, comma(rng.gamma(5, 400), ".")) for w, s, g in cells if w < weeks[104]]
    head = [("Umsatzauswertung", "", "", ""), (), ("Woche ab", "Filial-Nr", "Warengruppe", "Umsatz netto")]
    lines(folder, "umsatz.csv", [*head, *sold], encoding="cp1252")
    plan = [(f"{w:%d.%m.%Y}", s, g, "J" if rng.random() < 0.1 else "N") for w, s, g in cells]
    lines(folder, "aktionsplan.csv", [("Woche", "Filiale", "WGR", "Aktion J/N"), *plan], encoding="cp1252")
    places = ("Wien", "Wien", "Steiermark", "Oberösterreich")
    shops = [("Nummer", "Bundesland", "Fläche m²"), *zip(stores, places, (800, 400, 500, 650), strict=True)]
    return lines(folder, "filialen.csv", shops, encoding="cp1252")


def mercado(root: Path) -> Path:
    """Spanish receipts with times of day and returns, a byte order mark, stock, items with suppliers, holidays."""
    folder, rng = root / "mercado", np.random.default_rng(2)
    items = [f"A{n:03d}" for n in range(40)]
    prices = dict(zip(items, rng.uniform(0.5, 20, 40).round(2), strict=True))
    sold, ticket = [], 5000
    for day in days("2024-01-02", 60):
        for _ in range(30):
            ticket += 1
            store = str(rng.choice(["T1", "T2", "T3"]))
            moment = f"{day:%d/%m/%Y} {rng.integers(9, 21):02d}:{rng.integers(60):02d}"
            for item in rng.choice(items, 3, replace=False):
                n = -1 if rng.random() < 0.02 else int(rng.integers(1, 5))
                price = prices[str(item)]
                sold.append((ticket, moment, store, item, n, comma(price), comma(n * price)))
    header = ("Nº ticket", "Fecha y hora", "Código tienda", "Artículo", "Unidades", "Precio unitario", "Importe")
    lines(folder, "ventas.csv", [header, *sold], encoding="utf-8-sig")
    master = [
        (i, f"Producto {i}", ("lácteos", "pan", "fruta")[n % 3], comma(0.6 * prices[i]), 6, 12, f"P{n % 4}", 14)
        for n, i in enumerate(items)
    ]
    names = ("SKU", "Descripción", "Familia", "Coste", "Unidades por caja", "Pedido mínimo", "Proveedor", "Vida útil")
    lines(folder, "articulos.csv", [names, *master])
    stock = [
        (f"{d:%d/%m/%Y}", s, i, rng.integers(0, 80), 0, 3)
        for d in days("2024-02-20", 3)
        for s in ("T1", "T2", "T3")
        for i in items
    ]
    lines(
        folder,
        "existencias.csv",
        [("fecha", "tienda", "articulo", "stock", "pedido pendiente", "plazo entrega"), *stock],
    )
    lines(folder, "proveedores.csv", [("Proveedor", "Días de pedido"), *((f"P{n}", "0,3") for n in range(4))])
    feasts = [("06/01/2024", "Reyes"), ("19/03/2024", "San José"), ("29/03/2024", "Viernes Santo")]
    return lines(folder, "festivos.csv", [("fecha", "festivo"), *feasts])


def bigbox(root: Path) -> Path:
    """American, a file per year, month first, every zero written down, flags in the sales, stores by state."""
    folder, rng = root / "bigbox", np.random.default_rng(3)
    header = ("Date", "StoreNumber", "ItemNumber", "UnitsSold", "NetSales", "OnPromo", "Customers")
    for year in (2022, 2023):
        rows = [
            (f"{d:%m/%d/%Y}", s, 100000 + i, n := int(rng.poisson(1.5)), f'"{1100 * n * (i + 1):,.2f}"',
             int(rng.random() < 0.1), 500 + s)
            for d in days(f"{year}-01-01", 120) for s in range(1, 5) for i in range(6)
        ]  # fmt: skip
        lines(folder, f"sales_{year}.csv", [header, *rows], sep=",")
    plan = [(f"{d:%m/%d/%Y}", s, 100000 + i, 0) for d in days("2023-05-01", 28) for s in range(1, 5) for i in range(6)]
    lines(folder, "sales_plan.csv", [("Date", "StoreNumber", "ItemNumber", "OnPromo"), *plan], sep=",")
    states = ("Texas", "Texas", "Ohio", "Utah")
    return lines(folder, "stores.csv", [("Store #", "State"), *zip(range(1, 5), states, strict=True)], sep=",")


def nameless(root: Path) -> Path:
    """Columns and files without telling names: what is what shows in the content alone."""
    folder, rng = root / "export-17", np.random.default_rng(4)
    stores, items = [f"M{n}" for n in range(5)], [f"{40000 + 7 * n}" for n in range(30)]
    prices = dict(zip(items, rng.uniform(1, 30, 30).round(2), strict=True))
    rows = []
    for day in days("2023-03-01", 90):
        for store in stores:
            for item in items:
                if (n := int(rng.poisson(0.8))) > 0:
                    price = round(prices[item] * float(rng.choice([1, 0.8])), 2)
                    rows.append((f"{day:%Y%m%d}", item, store, f"{n * price:.2f}", price, n))
    lines(folder, "t1.txt", [("f1", "f2", "f3", "f4", "f5", "f6"), *rows], sep="|")
    lines(folder, "t2.txt", [("a", "b"), *((i, "XYZ"[n % 3]) for n, i in enumerate(items))], sep="|")
    return lines(folder, "t3.txt", [("a", "b"), *zip(stores, "NNSSS", strict=True)], sep="|")


def primeur(root: Path) -> Path:
    """French, Parquet with typed dates, promotions as a list of intervals, weather up to the last sale."""
    folder, rng = root / "primeur", np.random.default_rng(5)
    folder.mkdir(parents=True)
    grid = pd.MultiIndex.from_product([pd.date_range("2024-01-01", periods=70), ["Lyon", "Nantes", "Lille"], range(8)])
    sold = grid.to_frame(index=False, name=["jour", "magasin", "code_produit"])
    sold["quantite"] = rng.poisson(0.7, len(sold))
    sold = sold[sold["quantite"] > 0]
    sold["jour"] = sold["jour"].dt.date
    sold["magasin"] = sold["magasin"].astype("category")
    sold.to_parquet(folder / "ventes.parquet", index=False)
    promos = pd.DataFrame(
        {"code_produit": [1, 3, 5], "debut": ["2024-01-10", "2024-02-01", "2024-03-15"], "fin": ["2024-01-16"] * 3}
    )
    promos["fin"] = ["2024-01-16", "2024-02-07", "2024-03-21"]
    promos.to_csv(folder / "promotions.csv", index=False)
    weather = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=70), "temperature": rng.normal(8, 4, 70).round(1)}
    )
    weather.to_csv(folder / "meteo.csv", index=False)
    return folder


def bottega(root: Path) -> Path:
    """Italian, one shop only, UTF-16 with tabs, two-digit years, names with accents."""
    folder, rng = root / "bottega", np.random.default_rng(6)
    rows = [
        (f"{d:%d/%m/%y}", p, int(rng.poisson(3)) + 1)
        for d in days("2024-01-01", 80)
        for p in ("caffè", "tè", "zucchero")
    ]
    return lines(folder, "vendite.txt", [("giorno", "prodotto", "quantità"), *rows], sep="\t", encoding="utf-16")


def kaasland(root: Path) -> Path:
    """Dutch, one series per shop, gzipped, ISO dates, closed on the country's holidays."""
    folder, rng = root / "kaasland", np.random.default_rng(7)
    import holidays

    off = holidays.country_holidays("NL", years=(2022, 2023))
    open_days = [d for d in days("2022-01-01", 730) if d.weekday() < 6 and d not in off]
    rows = [(d, w, f"{rng.gamma(20, 100):.2f}") for d in open_days for w in (11, 12, 13)]
    return lines(folder, "omzet.csv.gz", [("datum", "winkelnr", "dagomzet"), *rows], sep=",")


def isoweeks(root: Path) -> Path:
    """English, weeks by their ISO number, turnover in thousands signs of the Swiss."""
    folder, rng = root / "isoweeks", np.random.default_rng(8)
    rows = [
        (f"{w.isocalendar().year}-W{w.isocalendar().week:02d}", s, f"{rng.gamma(9, 900):,.2f}".replace(",", "'"))
        for w in mondays("2023-01-02", 60)
        for s in ("north", "south")
    ]
    return lines(folder, "turnover.csv", [("week", "outlet", "turnover CHF"), *rows])


def pos_extract(root: Path) -> Path:
    """American receipts in system names: the turnover shows as the product of two other columns, in dollar signs."""
    folder, rng = root / "pos", np.random.default_rng(9)
    codes = [f"{4006381300000 + n}" for n in range(25)]
    rows, number = [], 90_000
    for day in days("2023-01-01", 60):
        for store in (101, 102, 205) * 6:
            number += 1
            for code in rng.choice(codes, 2, replace=False):
                n, price = int(rng.integers(1, 4)), round(float(rng.uniform(1, 9)), 2)
                rows.append(
                    (number, f"{day.month}/{day.day}/{day.year}", store, code, n, f"${n * price:.2f}", f"${price}")
                )
    header = ("txn_nbr", "txn_dt", "loc_id", "upc", "qty_sold", "ext_price", "unit_rtl")
    lines(folder, "extract.csv", [header, *rows], ",")
    return lines(folder, "loc_master.csv", [("loc_id", "st"), (101, "TX"), (102, "TX"), (205, "OK")], ",")


def opaque(root: Path) -> Path:
    """One file of X0, X1, ...: small numbers for stores and items, a flag that lifts sales, a price."""
    folder, rng = root / "opaque", np.random.default_rng(10)
    rows = []
    for day in days("2022-01-01", 120):
        for store in range(1, 7):
            for item in range(1, 11):
                promoted = rng.random() < 0.1
                price = round(2 + item / 2 - promoted / 2, 2)
                rows.append((day, store, item, rng.poisson(6 if promoted else 3), int(promoted), price))
    return lines(folder, "data.csv", [("X0", "X1", "X2", "X3", "X4", "X5"), *rows], ",")


def extraction(root: Path) -> Path:
    """French, no number of a shop but its name, narrow blanks and euro signs in the turnover."""
    folder, rng = root / "extraction", np.random.default_rng(11)
    rows = []
    for day in days("2023-01-01", 90):
        for shop in ("Paris 11e", "Lyon Part-Dieu"):
            for code in range(15):
                if rng.random() < 0.7:
                    n = int(rng.poisson(4)) + 1
                    rows.append(
                        (f"{day:%d/%m/%Y}", shop, f"3{code:012d}", f"Produit {code}", n, f"{comma(2500 * n, ' ')} €")
                    )
    header = ("Date de vente", "Nom du magasin", "Code EAN", "Libellé produit", "Qté vendue", "CA TTC")
    return lines(folder, "extraction ventes.csv", [header, *rows])


def folders(root: Path) -> Path:
    """A folder per store, which alone says the store."""
    folder, rng = root / "folders", np.random.default_rng(12)
    for store in ("0101", "0102", "0103"):
        rows = [(d, i, 1 + rng.poisson(3)) for d in days("2024-01-01", 60) for i in "ABC"]
        lines(folder / f"store={store}", "sales.csv", [("date", "item", "qty"), *rows], ",")
    return folder
