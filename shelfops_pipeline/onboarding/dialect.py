"""How a text file is written: its encoding, its separator, and where its header is."""

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from shelfops_pipeline.errors import DataError
from shelfops_pipeline.onboarding.cells import looks_like_date, looks_like_number
from shelfops_pipeline.onboarding.files import Pieces

_SEPARATORS: Final = ";\t|,"
_HEAD_LINES: Final = 400
_LATEST_HEADER: Final = 40
_NEAR: Final = 5
_WIDE: Final = 5
"""So many dates in a header are columns of a wide table, not the cells of a first row."""
_ONE_BYTE: Final = ("cp1252", "cp1250", "cp850", "mac_roman")
_LETTERS: Final = frozenset("äöüßÄÖÜéèêëàâçîïôûùœÉÈÀÇñÑáíóúÁÍÓÚãõÃÕìòåøæÅØÆąćęłńśźżŁŚŻčřšžěůőű€£")


@dataclass(frozen=True)
class Dialect:
    """Of one text file."""

    encoding: str
    separator: str
    skip_rows: int
    """Lines before the header."""
    header: tuple[str, ...]


def sniff_dialect(name: str, pieces: Pieces) -> Dialect:
    """Raises DataError when the file is no table of text with a header."""
    encoding = sniff_encoding(pieces)
    head = decode(pieces, encoding)[0].lstrip("\ufeff")
    separator, skip_rows, header = _sniff_table(name, [f"{line}\n" for line in head.split("\n")[:_HEAD_LINES]])
    return Dialect(encoding, separator, skip_rows, header)


def sniff_encoding(pieces: Pieces) -> str:
    """utf-8, utf-8-sig (with a mark), utf-16, or the one-byte encoding that reads most naturally."""
    head = pieces.parts[0]
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0:4000:2].count(0), head[1:4000:2].count(0)
    if max(even, odd) * 3 > len(head[:4000]) // 2:
        return "utf-16-le" if odd > even else "utf-16-be"
    if all(_is_utf8(part) for part in pieces.parts):
        return "utf-8"
    return _one_byte(b"".join(pieces.parts))


def decode(pieces: Pieces, encoding: str) -> list[str]:
    """The pieces as text of whole lines."""
    if encoding == "utf-16":
        encoding = "utf-16-be" if pieces.parts[0].startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    texts = [part.decode(encoding, errors="replace") for part in pieces.parts]
    texts = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    for n in range(len(texts)):
        start = 0 if n == 0 else texts[n].find("\n") + 1
        end = len(texts[n]) if n == len(texts) - 1 else texts[n].rfind("\n") + 1
        texts[n] = texts[n][start:end]
    return texts


def _is_utf8(part: bytes) -> bool:
    start = next((n for n, byte in enumerate(part[:4]) if byte & 0xC0 != 0x80), 0)  # a piece may start in a character
    try:
        codecs.getincrementaldecoder("utf-8")().decode(part[start:], final=False)
    except UnicodeDecodeError:
        return False
    return True


def _one_byte(data: bytes) -> str:
    words = Counter(re.findall(rb"[A-Za-z\x80-\xff]*[\x80-\xff]+[A-Za-z\x80-\xff]*", data[: 4 << 20]))
    best, most = "latin-1", 0
    for encoding in _ONE_BYTE:
        try:
            texts = [(word.decode(encoding), count) for word, count in words.items()]
        except UnicodeDecodeError:
            continue
        good = sum(count * sum(1 if c in _LETTERS else -1 for c in word if c > "\x7f") for word, count in texts)
        if good > most:
            best, most = encoding, good
    return best


def _sniff_table(name: str, lines: list[str]) -> tuple[str, int, tuple[str, ...]]:
    """(separator, lines before the header, header)."""
    fits = [(fit, separator) for separator in _SEPARATORS if (fit := _fit(lines, separator)) is not None]
    if not fits:
        if any(sign in line for line in lines for sign in ";,"):
            raise DataError(f"{name}: the lines have no common number of columns")
        raise DataError(f"{name}: one column only; known separators are comma, semicolon, tab and |")
    # Decimal commas split rows as evenly as a separator does, but they leave the header whole.
    (_, skip_rows, header), separator = max(fits, key=lambda fit: (*fit[0][0], -fit[0][1], len(fit[0][2])))
    cells = [cell for cell in header if cell]
    dates = sum(map(looks_like_date, cells))
    numbers = sum(map(looks_like_number, cells))
    if (0 < dates < _WIDE or (not dates and numbers > len(cells) // 3)) and not _numbered(cells):
        raise DataError(f"{name}: no header line (the first row is {separator.join(header)[:60]}); add one")
    return separator, skip_rows, header


def _numbered(cells: list[str]) -> bool:
    """Are the cells that are numbers those of columns that were counted: 0, 1, 2, ...?"""
    numbers = [int(cell) for cell in cells if cell.isdecimal()]
    return len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] <= 1


def _fit(lines: list[str], separator: str) -> tuple[tuple[float, float], int, tuple[str, ...]] | None:
    """(shares of the next few and of all lines with the usual number of columns, lines before the header, header)."""
    rows = _rows(lines, separator)
    counts = Counter(len(row) for _, row in rows[len(rows) // 3 :])
    if not counts:
        return None
    width = max(counts, key=lambda n: (counts[n], n))
    if width < 2:
        return None
    for skipped, row in rows[:_LATEST_HEADER]:
        cells = [cell.strip() for cell in row]
        named = [cell for cell in cells if cell]
        if len(cells) == width and len(named) >= max(width - 1, 2) and any(c.isalpha() for c in "".join(named)):
            usual = [len(row) == width for line, row in rows if line >= skipped]
            near = usual[: _NEAR + 1]
            return (sum(near) / len(near), round(sum(usual) / len(usual), 1)), skipped, tuple(cells)
    return None


def _rows(lines: list[str], separator: str) -> list[tuple[int, list[str]]]:
    """(lines before it, cells) of each row that has any; none where a cell is longer than `csv` allows."""
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(lines, delimiter=separator)
    before = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((before, row))
            before = reader.line_num
    except csv.Error:
        return []
    return rows
