"""Files written in a random dialect are sniffed back; odd cases by example."""

import gzip
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.onboarding.cells import sniff_dates, sniff_signs
from shelfops_pipeline.onboarding.dialect import decode, sniff_dialect, sniff_encoding
from shelfops_pipeline.onboarding.files import Pieces, read_pieces
from shelfops_pipeline.onboarding.sample import Sample, read_sample, sniff
from shelfops_pipeline.onboarding.words import Meaning, name_fits, slug, tokens

LAYOUTS = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d.%m.%y", "%d-%m-%Y", "%d-%b-%Y"]
SIGNS = [(".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", "'")]
ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16"]


def sample_of(path: Path) -> Sample:
    return read_sample(path.name, [path], sniff(path), path.parent)


def amount(value: float, decimal: str, thousands: str) -> str:
    return f"{value:,.2f}".translate(str.maketrans({",": thousands, ".": decimal}))


@given(
    layout=st.sampled_from(LAYOUTS),
    signs=st.sampled_from(SIGNS),
    separator=st.sampled_from([";", "\t", "|", ","]),
    encoding=st.sampled_from(ENCODINGS),
    before=st.integers(0, 3),
    zipped=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_a_file_in_any_dialect_is_sniffed_back(
    tmp_path_factory: pytest.TempPathFactory,
    layout: str,
    signs: tuple[str, str],
    separator: str,
    encoding: str,
    before: int,
    zipped: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    moments = [date(2022, 1, 1) + timedelta(days=int(n)) for n in rng.integers(0, 700, 80)]
    values = rng.lognormal(6, 2, 80).round(2)
    quote = '"' if separator in signs else ""
    title = [f"Müller Einzelhandel, Bericht {n}" if separator != "," else "Müller Einzelhandel" for n in range(before)]
    rows = [
        separator.join((f"{d:{layout}}", "Käse", f"{quote}{amount(v, *signs)}{quote}"))
        for d, v in zip(moments, values, strict=True)
    ]
    text = "\r\n".join([*title, separator.join(("Tag", "Gruppe", "Betrag")), *rows]) + "\r\n"
    path = tmp_path_factory.mktemp("sniff") / ("x.csv.gz" if zipped else "x.csv")
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if zipped else data)

    table = sample_of(path)
    form = table.format
    assert (form.separator, form.decimal, form.skip_rows) == (separator, signs[0], before)
    assert form.encoding == encoding
    tag, group, money = (table.columns[n] for n in ("Tag", "Gruppe", "Betrag"))
    assert tag.dates is not None
    assert tag.dates.dt.date.to_list() == moments
    assert money.numbers is not None
    np.testing.assert_allclose(money.numbers, values)
    assert group.values == {"Käse"}


@given(st.lists(st.floats(-1e7, 1e7, allow_nan=False).map(lambda x: round(x, 2)), min_size=20), st.sampled_from(SIGNS))
def test_the_signs_of_numbers_with_two_decimals_are_found(values: list[float], signs: tuple[str, str]) -> None:
    found = sniff_signs([[amount(value, *signs) for value in values]])
    assert found[0] == signs[0]
    assert found[1] in (signs[1], "")  # no number may be long enough to show it
    assert found[1] == signs[1] or max(map(abs, values)) < 1000


@pytest.mark.parametrize(
    ("columns", "signs"),
    [
        ([["1.234", "12.500", "999.100"]], (",", ".")),
        ([["1.234", "2345", "3.5"]], (".", "")),
        ([["0.250", "1.500", "12.125"]], (".", "")),
        ([["1.234.567", "12"]], (",", ".")),
        ([["1,234", "12,500"], ["3.50", "4.25"]], (".", ",")),
        ([["1 234,5", "12"]], (",", " ")),
        ([["12", "13"]], (".", "")),
    ],
)
def test_three_digits_behind_a_sign_are_decided_by_the_other_cells(
    columns: list[list[str]], signs: tuple[str, str]
) -> None:
    assert sniff_signs(columns) == signs


@pytest.mark.parametrize(
    ("texts", "day_first", "pattern"),
    [
        (["01/02/2024", "13/02/2024"], False, "%d/%m/%Y"),
        (["01/02/2024", "02/13/2024"], True, "%m/%d/%Y"),
        (["01/02/2024", "03/04/2024"], True, "%d/%m/%Y"),
        (["01/02/2024", "03/04/2024"], False, "%m/%d/%Y"),
        (["01.02.2024", "03.04.2024"], False, "%d.%m.%Y"),
        (["2024-01-31T08:15:00", "2024-02-01T09:00:00"], False, None),
        (["2024-01-31 08:15:00+01:00", "2024-07-01 09:00:00+02:00"], False, None),
        (["31.01.24 08:15", "01.02.24 09:00"], False, "%d.%m.%y %H:%M"),
        (["1/31/2024 8:15 PM", "2/1/2024 9:00 AM"], False, "%m/%d/%Y %I:%M %p"),
        (["2024-W07", "2024-W08"], False, "%G-W%V"),
        (["2024W07", "2024W08"], False, "%GW%V"),
        (["20240131", "20240201"], False, "%Y%m%d"),
        (["20240131081500", "20240201090000"], False, "%Y%m%d%H%M%S"),
        (["Jan 31, 2024", "Feb 1, 2024"], False, "%b %d, %Y"),
        (["May 31, 2024", "June 1, 2024"], False, "%B %d, %Y"),
    ],
)
def test_the_format_of_dates(texts: list[str], day_first: bool, pattern: str | None) -> None:
    found = sniff_dates(texts, [1] * len(texts), day_first)
    assert found is not None
    assert found.pattern == pattern
    assert found.share == 1


@pytest.mark.parametrize(
    "texts", [["12345678", "87654321"], ["1.5", "2.25"], ["F01", "F02"], ["99999999"], ["4006381333931"]]
)
def test_numbers_and_codes_are_no_dates(texts: list[str]) -> None:
    assert sniff_dates(texts, [1] * len(texts), True) is None


def test_an_order_of_day_and_month_that_no_value_shows_is_said_to_be_open() -> None:
    found = sniff_dates(["01/02/2024", "03/04/2024"], [1, 1], True)
    assert found is not None
    assert found.open_order
    shown = sniff_dates(["01/02/2024", "23/04/2024"], [1, 1], True)
    assert shown is not None
    assert not shown.open_order


@pytest.mark.parametrize("encoding", ["cp850", "cp1250", "mac_roman"])
def test_older_encodings_of_one_byte_are_told_apart(encoding: str) -> None:
    words = {"cp1250": "Łódź;Kraków;święta;sprzedaż;wartość;artykuł"}.get(
        encoding, "Müller;Käse;Größe;Straße;Stück;für"
    )
    data = (words + "\n").encode(encoding)
    found = sniff_encoding(Pieces((data,), len(data)))
    assert data.decode(found) == words + "\n"


def test_decimal_commas_are_not_taken_for_separators(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Datum;Wert;Menge\n" + "01.02.2024;1,5;2,5\n" * 20)
    assert sniff_dialect("x.csv", read_pieces(path)).separator == ";"


def test_quoted_line_breaks_stay_in_their_cells(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('date,note,units\n2024-01-01,"two\nlines",3\n2024-01-02,plain,4\n')
    table = sample_of(path)
    assert table.rows == 2
    assert table.columns["note"].values == {"two\nlines", "plain"}


def test_lines_with_other_columns_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("date;units\n" + "2024-01-01;3\n" * 50 + "Summe;150;;\n")
    table = sample_of(path)
    assert (table.rows, table.odd_lines) == (50, 1)


@pytest.mark.parametrize("zipped", [False, True])
def test_of_a_large_file_a_bounded_part_from_head_to_end_is_read(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / ("x.csv.gz" if zipped else "x.csv")
    data = b"".join(b"%08d;\xc3\xa4\n" % n for n in range(200_000))
    path.write_bytes(gzip.compress(data, 1) if zipped else data)
    budget = 400_000
    pieces = read_pieces(path, budget)
    assert pieces.size == len(data)
    assert not pieces.whole
    assert sum(map(len, pieces.parts)) <= 1.5 * budget
    numbers = [int(line.split(";")[0]) for text in decode(pieces, sniff_encoding(pieces)) for line in text.splitlines()]
    assert (numbers[0], numbers[-1]) == (0, 199_999)
    assert max(np.diff(numbers)) < 0.2 * 200_000
    assert abs(len(numbers) * pieces.scale - 200_000) < 4_000


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("Verkaufsdatum", Meaning.DATE),
        ("Fecha de venta", Meaning.DATE),
        ("FilialNr", Meaning.STORE),
        ("code_magasin", Meaning.STORE),
        ("Winkelnummer", Meaning.STORE),
        ("StoreID", Meaning.STORE),
        ("Artikelnummer", Meaning.ITEM),
        ("CÓDIGO_ARTÍCULO", Meaning.ITEM),
        ("prodotto", Meaning.ITEM),
        ("StockCode", Meaning.ITEM),
        ("Stückzahl", Meaning.UNITS),
        ("Stueckzahl", Meaning.UNITS),
        ("qté vendue", Meaning.UNITS),
        ("aantal", Meaning.UNITS),
        ("Tagesumsatz", Meaning.REVENUE),
        ("chiffre d'affaires", Meaning.REVENUE),
        ("fatturato", Meaning.REVENUE),
        ("Verkaufspreis", Meaning.PRICE),
        ("prix_unitaire", Meaning.PRICE),
        ("em promoção", Meaning.PROMOTION),
        ("Aktionskennzeichen", Meaning.PROMOTION),
        ("Lagerbestand", Meaning.ON_HAND),
        ("Wiederbeschaffungszeit", Meaning.LEAD_TIME),
        ("Mindestbestellmenge", Meaning.MINIMUM_ORDER),
        ("VPE", Meaning.CASE_PACK),
        ("MHD (Tage)", Meaning.SHELF_LIFE),
        ("fornecedor", Meaning.SUPPLIER),
    ],
)
def test_names_in_seven_languages(name: str, meaning: Meaning) -> None:
    fits = name_fits(name)
    assert max(fits, key=lambda m: fits[m]) is meaning


def test_a_stores_type_is_not_its_id() -> None:
    assert name_fits("store_type")[Meaning.STORE] < 0.5
    assert name_fits("Filialbezeichnung").get(Meaning.LABEL, 0) > name_fits("Filialbezeichnung")[Meaning.STORE]


def test_names_are_folded_and_made_safe() -> None:
    assert tokens("VerkaufsMENGE (Stück)") == ("verkaufs", "menge", "stuck")
    assert slug("Fläche m²") == "flache_m2"
    assert slug("2. Wahl %") == "x_2_wahl"
    assert slug("StoreType") == "store_type"
