"""Raw cells as typed columns. A cell that cannot be what its column holds is marked, never guessed or dropped."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import FILED, ITEM_ID, ON_PROMOTION, QUANTITY, STORE_ID, TS, UNIT_PRICE
from shelfops_pipeline.contracts.columns import UNREADABLE as UNREADABLE_CELLS
from shelfops_pipeline.data.keys import distinct
from shelfops_pipeline.data.tables import coded
from shelfops_pipeline.errors import DataError

Mask = NDArray[np.bool_]
Objects = NDArray[np.object_]

IDS: Final = (STORE_ID, ITEM_ID)
NUMBERS: Final = (QUANTITY, UNIT_PRICE, ON_PROMOTION)
LINE_AS_A_WHOLE: Final = ""
"""In `Rows.odd`: rows of which not even the cells can be told apart, or with an unreadable cell that no rule reads."""
_LONGEST_ID: Final = 200  # the warehouse indexes ids
_NO_ID: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ZONE: Final = re.compile(r"^(.*[T ]\d.*?)\s*([zZ]|[+-]\d{2}(?::?\d{2}){0,2}(?:\.\d+)?)$")
_REACH: Final = (np.datetime64("1700-01-01"), np.datetime64("2200-01-01"))
_MISSING: Final = (None, pd.NA, pd.NaT)


@dataclass(frozen=True)
class Rows:
    """Raw rows with the canonical types.

    `frame` has ids as categories of strings, measures as floats and `ts` as datetime64[ns]; `odd` says per column
    which rows hold something there that is not one of these (the typed cell is NaN or NaT then).
    """

    frame: pd.DataFrame
    odd: dict[str, Mask]
    zoned: Mask | None
    """Rows whose time carries a time zone, in a column where not all do."""


def typed(raw: pd.DataFrame) -> Rows:
    """The raw rows, typed; FILED and UNREADABLE are left out of the frame.

    A time is that of the shop's clock. A cell that carries a time zone is marked in `zoned`; a whole column of one
    zone is refused. Raises DataError then, and where the cells of UNREADABLE are no JSON objects.
    """
    odd: dict[str, Mask] = {}
    columns: dict[Any, Any] = {n: raw[n].reset_index(drop=True) for n in raw if n not in (UNREADABLE_CELLS, FILED)}
    columns[TS], zoned = _times(raw[TS])
    for name in IDS:
        columns[name] = _ids(raw[name])
    for name in NUMBERS:
        if name in raw:
            columns[name], strange = _numbers(raw[name], flags=name == ON_PROMOTION)
            if strange is not None:
                odd[name] = strange
    if UNREADABLE_CELLS in raw:
        for name, rows in _unreadable(raw[UNREADABLE_CELLS]).items():
            odd[name] = odd.get(name, np.zeros(len(raw), dtype=bool))
            odd[name][rows] = True
    return Rows(pd.DataFrame(columns, index=pd.RangeIndex(len(raw)), copy=False), odd, zoned)


def unreadable_cells(cells: pd.Series) -> tuple[NDArray[np.intp], list[dict[str, str]]]:
    """The rows that have cells which could not be read, and these cells {column: text}."""
    at = np.flatnonzero(cells.notna().to_numpy())
    try:
        parsed = [json.loads(text) for text in cells.iloc[at]]
    except (TypeError, json.JSONDecodeError) as error:
        raise DataError(f"transactions: column {UNREADABLE_CELLS} must hold JSON objects {{column: text}}") from error
    if not all(isinstance(found, dict) and found for found in parsed):
        raise DataError(f"transactions: column {UNREADABLE_CELLS} must hold JSON objects {{column: text}}")
    return at, parsed


def _unreadable(cells: pd.Series) -> dict[str, NDArray[np.intp]]:
    at, parsed = unreadable_cells(cells)
    rows: dict[str, list[int]] = {}
    for row, found in zip(at, parsed, strict=True):  # bad rows only
        for name in found:
            rows.setdefault(name if name in (TS, *IDS, *NUMBERS) else LINE_AS_A_WHOLE, []).append(row)
    return {name: np.array(of, dtype=np.intp) for name, of in rows.items()}


def _ids(cells: pd.Series) -> pd.Categorical:
    """Ids as categories of strings; -1 is missing or no id."""
    if isinstance(cells.dtype, pd.CategoricalDtype) and all(_id(name) is name for name in cells.cat.categories):
        return cells.array
    codes, names = distinct(cells)
    to, categories = pd.factorize(np.array([_id(name) for name in names], dtype=object), sort=True)
    return coded(np.append(to, -1)[codes], pd.Index(categories, dtype=object))


def _id(cell: object) -> str | None:
    """A cell as an id; None where it cannot be one."""
    if isinstance(cell, str):
        text = cell.strip()
        text = cell if text == cell else text
    elif isinstance(cell, bool | np.bool_):
        return None
    elif isinstance(cell, int | np.integer):
        text = str(cell) if int(cell).bit_length() < 4 * _LONGEST_ID else ""
    elif isinstance(cell, float | np.floating | Decimal):
        number = _number(cell, flags=False)
        whole = number is not None and np.isfinite(number) and cell == int(cell)
        text = str(int(cell)) if whole else ""  # whole numbers beside missing ones are read as floats
    else:
        return None
    return text if text and len(text) <= _LONGEST_ID and not _NO_ID.search(text) else None


def _numbers(cells: pd.Series, *, flags: bool) -> tuple[NDArray[np.float64], Mask | None]:
    """Floats (NaN: missing or odd), and which cells are odd: present, but no number. `flags`: booleans are 0 and 1."""
    dtype = cells.dtype
    simple = pd.api.types.is_numeric_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype)
    if simple and not pd.api.types.is_complex_dtype(dtype) and (flags or not pd.api.types.is_bool_dtype(dtype)):
        return cells.to_numpy(np.float64, na_value=np.nan), None
    found, odd = _each(cells, lambda cell: _number(cell, flags))
    return np.where(pd.isna(found), np.nan, found).astype(np.float64), odd


def _each(cells: pd.Series, read: Callable[[object], Any]) -> tuple[Objects, Mask | None]:
    """What `read` makes of each cell (None: missing or odd), and which are odd: there, but unreadable."""
    codes, names = distinct(cells)
    there = np.array([not _is_missing(name) for name in names] + [False], dtype=bool)
    found = np.array([read(name) if there[at] else None for at, name in enumerate(names)] + [None], dtype=object)
    odd = (there & np.array([value is None for value in found], dtype=bool))[codes]
    return found[codes], odd if odd.any() else None


def _is_missing(cell: object) -> bool:
    if isinstance(cell, str):
        return not cell or cell.isspace()
    return any(cell is missing for missing in _MISSING) or (isinstance(cell, float | np.floating) and cell != cell)


def _number(cell: object, flags: bool) -> float | None:
    if isinstance(cell, str):
        return float(cell) if _NUMBER.fullmatch(cell.strip()) else None
    if isinstance(cell, bool | np.bool_):
        return float(cell) if flags else None
    if not isinstance(cell, int | float | np.integer | np.floating | Decimal):
        return None
    try:
        return float(cell)
    except OverflowError:  # an integer of more than 308 digits
        return float("inf")
    except ValueError:  # a signalling NaN
        return None


def _times(cells: pd.Series) -> tuple[NDArray[np.datetime64], Mask | None]:
    """The shop's clock as datetime64[ns] (NaT: missing, unreadable or out of reach), and which cells carry a zone."""
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        raise DataError(
            f"transactions: column {TS} is in the time zone {cells.dtype.tz}; the gate takes the time on the shop's "
            "own clock, without a zone: convert it where it is read (`timezone` in a mapping)"
        )
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "M":
        return _nanoseconds(cells.to_numpy()), None
    found, _ = _each(cells, _moment)
    text = pd.Series(found, dtype=object)
    parts = text.str.extract(_ZONE)
    zoned = parts[1].notna().to_numpy(bool)
    plain = parts[0].where(zoned, text)
    moments = pd.to_datetime(plain, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    return moments.to_numpy("datetime64[ns]"), zoned if zoned.any() else None


def _nanoseconds(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Other units reach further than nanoseconds do, and a cast would wrap around: what is out of reach is NaT."""
    if times.dtype == "datetime64[ns]":
        return times
    inside = (times > _REACH[0]) & (times < _REACH[1])
    out = np.full(len(times), np.datetime64("NaT", "ns"))
    out[inside] = times[inside].astype("datetime64[ns]")
    return out


def _moment(cell: object) -> str | None:
    """A cell of mixed company as ISO text; None where it is neither text nor a moment. Numbers are no dates."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, np.datetime64):
        return str(cell)
    return cell.isoformat() if isinstance(cell, date) else None
