"""Bad rows as they are kept: reason, place, original content, and a fingerprint by which one is released."""

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import FILED, FINGERPRINT, LINE, REASON, SOURCE, TS
from shelfops_pipeline.contracts.columns import UNREADABLE as UNREADABLE_CELLS
from shelfops_pipeline.gate.reasons import REASONS
from shelfops_pipeline.gate.rows import Rows, unreadable_cells
from shelfops_pipeline.gate.rules import Codes, plausible

ORIGINAL: Final = "original"
QUARANTINE_COLUMNS: Final = (FILED, REASON, SOURCE, LINE, ORIGINAL, FINGERPRINT)
_EXACT: Final = 2**53  # whole floats up to here are written as integers: the same row, read as either, is the same


def quarantined(raw: pd.DataFrame, rows: Rows, codes: Codes, last_date: date) -> pd.DataFrame:
    """The rows of `raw` whose code is not 0, with QUARANTINE_COLUMNS."""
    bad = np.flatnonzero(codes)
    names = np.array([str(reason) for reason in REASONS], dtype=object)
    kept = identified(raw, bad)
    days = _filed(raw, rows, bad, last_date)
    columns = {FILED: days, REASON: names[codes[bad] - 1], **{name: kept[name] for name in kept}}
    return pd.DataFrame(columns, columns=list(QUARANTINE_COLUMNS))


def identified(raw: pd.DataFrame, at: NDArray[np.intp]) -> pd.DataFrame:
    """Source, line, original content (a JSON object with the cells as they came) and fingerprint of some rows."""
    rows = raw.iloc[at].reset_index(drop=True)
    nowhere = pd.Series([None] * len(rows), dtype=object)
    source = pd.Series([_plain(cell) for cell in rows.get(SOURCE, nowhere)], dtype=object)
    line = pd.to_numeric(rows.get(LINE, nowhere), errors="coerce").astype("Float64").round().astype("Int64")
    content = _originals(rows)
    prints = pd.Series(_fingerprints(source, line, content), dtype=object)
    return pd.DataFrame({SOURCE: source, LINE: line, ORIGINAL: pd.Series(content, dtype=object), FINGERPRINT: prints})


def _fingerprints(source: pd.Series, line: pd.Series, content: list[str]) -> list[str]:
    """sha256 of where a row is from and what it says."""
    places = zip(source, [_plain(number) for number in line], content, strict=True)
    return [hashlib.sha256(json.dumps(place).encode()).hexdigest() for place in places]


def _originals(rows: pd.DataFrame) -> list[str]:
    names = [name for name in rows if name not in (SOURCE, LINE, FILED, UNREADABLE_CELLS)]
    cells = [[_plain(cell) for cell in rows[name].astype(object)] for name in names]
    records = [dict(zip(map(str, names), row, strict=True)) for row in zip(*cells, strict=True)]
    if UNREADABLE_CELLS in rows:
        for at, found in zip(*unreadable_cells(rows[UNREADABLE_CELLS]), strict=True):
            records[at].update({name: _plain(text) for name, text in found.items()})
    return [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records]


def _plain(cell: object) -> Any:
    """A cell as JSON holds it. Infinities, and what has no JSON, as text; missing is null."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return None
    if isinstance(cell, str):
        return _storable(cell)
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    if isinstance(cell, int | np.integer):
        return _whole(int(cell))
    if isinstance(cell, float | np.floating):
        return _number(float(cell))
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return _storable(cell.decode("utf-8", "backslashreplace"))
    return _storable(str(cell) if isinstance(cell, Decimal | np.datetime64) else repr(cell))


def _whole(value: int) -> int | str:
    """JSON readers lose digits of larger numbers; Python refuses to write one of thousands of digits in decimal."""
    if abs(value) < _EXACT:
        return value
    return str(value) if value.bit_length() < 1000 else hex(value)


def _number(value: float) -> float | int | str | None:
    if value != value:
        return None
    if np.isinf(value):
        return str(value)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _storable(text: str) -> str:
    """PostgreSQL's JSON has neither NUL (shown as its symbol) nor half a surrogate pair (written as an escape)."""
    return text if text.isprintable() else text.replace("\0", "␀").encode("utf-8", "backslashreplace").decode()


def _filed(raw: pd.DataFrame, rows: Rows, bad: NDArray[np.intp], last_date: date) -> NDArray[np.datetime64]:
    """The day under which each bad row is filed: FILED, else its own; where that cannot be right, that of the nearest
    row before it with a date, else after it. NaT only where no row has a date."""
    ts = rows.frame[TS].to_numpy()
    own = ts[bad].astype("datetime64[D]")
    right = plausible(ts, last_date)
    days = np.where(right[bad], own, np.datetime64("NaT"))
    if FILED in raw:
        given = raw[FILED].to_numpy("datetime64[D]")[bad]
        days = np.where(np.isnat(given), days, given)
    lost = np.isnat(days)
    if lost.any() and right.any():
        at = np.arange(len(ts))
        before = np.maximum.accumulate(np.where(right, at, -1))
        nearest = np.where(before >= 0, before, np.argmax(right))
        days[lost] = ts[nearest[bad[lost]]].astype("datetime64[D]")
    return days.astype("datetime64[ns]")
