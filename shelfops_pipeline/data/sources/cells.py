"""Columns as they come (text, Parquet, SQL) into columns of the canonical types; cells that cannot be read are marked.

One function, `typed`, for all three: what is typed already is cast, what is text is parsed. Nothing here loops over
rows: dates, flags and ids are parsed once per distinct text.
"""

import re
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelfops_pipeline.data.tables import coded
from shelfops_pipeline.data.text_format import Format

Kind = Literal["id", "text", "date", "end", "number", "flag"]
"""id: category of stripped strings; text: string or None; date: timestamp; number, flag: float. Empty is missing.
A flag is a number, or a word for yes (1) or no (0). An end is a date, or missing for ever (9999-12-31)."""
WANTED: Final[dict[Kind, str]] = {
    "id": "unreadable text",
    "text": "unreadable text",
    "date": "unreadable date",
    "end": "unreadable date",
    "number": "a number is expected",
    "flag": "a number, yes or no is expected",
}
_CURRENCY: Final = r"^\s*([+-]?)\s*[€$£]\s*|\s*(?:[€$£]|EUR|CHF|USD|GBP)\s*$"
MISSING: Final = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
_YES: Final = ("yes", "y", "true", "t", "ja", "j", "wahr", "oui", "o", "vrai", "si", "sí", "sì", "s", "x")
_NO: Final = ("no", "n", "false", "f", "nein", "falsch", "non", "faux")
_FLAGS: Final = dict.fromkeys(_YES, 1.0) | dict.fromkeys(_NO, 0.0)
_OFFSET: Final = r"\d{1,2}:\d{2}.*(?:Z|[+-]\d{2}:?(?:\d{2})?)$"
_LIKE: Final = {" ": r"[\x{A0}\x{202F}\x{2009}]", "'": "[’´`]"}  # how spreadsheets write a space or an apostrophe
FOR_EVER: Final = (
    r"(?:^|\D)(?:2[3-9]|[3-9]\d)\d\d(?:\D|$)|^(?:2[3-9]|[3-9]\d)\d{6}$"  # a year that no timestamp reaches
)
_SHORTEST_DATE: Final = 8  # pandas would read "2024" as a day
_NANOSECONDS: Final = (np.datetime64("1677-09-22"), np.datetime64("2262-04-11"))  # what datetime64[ns] can hold

Mask = NDArray[np.bool_]


class Cells(NamedTuple):
    """One column: its values, and which cells could not be read (None: all could)."""

    values: Any
    bad: Mask | None = None


def typed(values: pa.ChunkedArray, kind: Kind, form: Format) -> Cells:
    """`values` of any Arrow type as the kind that is wanted, written as `form` says."""
    values = _plain(values)
    return _READERS[kind](values, form)


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells as text: whole floats without `.0`, so that a Parquet column of 12.0 holds the id 12."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return as_text(values.cast(kind.value_type))
    if pa.types.is_string(kind):
        return values
    if _is_written_by_python(kind):
        return pa.chunked_array([pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())])
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.chunked_array([_decoded(values)])
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)
    text = values.cast(pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        text = pc.replace_substring_regex(_unscientific(values, text), r"\.0+$", "")
    return text


def recode(codes: NDArray[np.integer[Any]], names: pd.Series) -> pd.Categorical:
    """A categorical of `names[codes]` (-1: missing), where cleaning may have made names equal or empty."""
    to, categories = pd.factorize(names.where(names != ""), sort=True)
    table = np.append(to, -1).astype(np.int32)
    return coded(table[codes], categories)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Types that the readers know: text of one kind, also of what is a UUID, a duration, a list or a record."""
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    return as_text(values) if _is_written_by_python(kind) else values


def _is_written_by_python(kind: pa.DataType) -> bool:
    """Arrow has no text for lists and records; of a UUID it would give the bytes, of a duration a number of no unit."""
    return pa.types.is_nested(kind) or pa.types.is_duration(kind) or isinstance(kind, pa.BaseExtensionType)


def _decoded(values: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if v is None else v.decode("utf-8", "backslashreplace") for v in values.to_pylist()])


def _unscientific(values: pa.ChunkedArray, text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers that Arrow would write as 1e+15, digit by digit."""
    if not pa.types.is_floating(values.type) or not pc.any(pc.match_substring(text, "e")).as_py():
        return text
    number = values.to_numpy().astype(np.float64)
    whole = np.isfinite(number) & (np.trunc(number) == number) & (np.abs(number) < 2.0**63)
    digits = pa.array(np.where(whole, number, 0).astype(np.int64)).cast(pa.string())
    return pc.if_else(pa.array(whole), digits, text)


def _distinct(values: pa.ChunkedArray) -> tuple[NDArray[np.int32], pd.Series]:
    """(code of each row, -1 where null; the distinct texts, stripped)."""
    if pa.types.is_dictionary(values.type):  # with codes for the texts of all chunks, which may be more than one has
        values = values.cast(pa.dictionary(pa.int32(), values.type.value_type))
    else:
        values = as_text(values).dictionary_encode()
    merged = values.unify_dictionaries().combine_chunks()
    merged = merged.chunk(0) if isinstance(merged, pa.ChunkedArray) else merged
    names = pd.Series(as_text(pa.chunked_array([merged.dictionary])).to_pandas(), dtype=object).str.strip()
    return merged.indices.fill_null(-1).to_numpy(zero_copy_only=False), names


def _by_text(values: pa.ChunkedArray, parse: Callable[[pd.Series], tuple[NDArray[Any], Mask]], missing: Any) -> Cells:
    """Parse the distinct texts, and spread the results to the rows."""
    codes, names = _distinct(values)
    found, bad = parse(names)
    rows_bad = np.append(bad, False)[codes]
    return Cells(np.append(found, missing)[codes], rows_bad if rows_bad.any() else None)


def _ids(values: pa.ChunkedArray, form: Format) -> Cells:
    codes, names = _distinct(values)
    odd = np.append(names.str.contains("\0", regex=False).fillna(False).to_numpy(bool), False)
    # PostgreSQL's text has no NUL: such an id could be read, but never stored.
    bad = odd[codes]
    return Cells(recode(codes, names.mask(odd[:-1], "")), bad if bad.any() else None)


def _texts(values: pa.ChunkedArray, form: Format) -> Cells:
    codes, names = _distinct(values)
    odd = names.str.contains("\0", regex=False).fillna(False).to_numpy(bool)
    bad = np.append(odd, False)[codes]
    texts = np.full(len(names) + 1, None, dtype=object)
    texts[:-1] = names.mask(odd | (names == "").to_numpy(bool), None)
    return Cells(texts[codes], bad if bad.any() else None)


def _numbers(values: pa.ChunkedArray, form: Format) -> Cells:
    kind, number = values.type, (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if pa.types.is_boolean(kind):
        return Cells(values.cast(pa.uint8()).cast(pa.float64()).to_numpy())
    if any(is_a(kind) for is_a in number):
        return Cells(values.cast(pa.float64(), safe=False).to_numpy())
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(as_text(values), _CURRENCY, r"\1"))
    if form.thousands in _LIKE:
        text = pc.replace_substring_regex(text, _LIKE[form.thousands], form.thousands)
    missing = pc.is_in(text, pa.array(MISSING)) if len(text) else text.cast(pa.bool_())
    text = pc.if_else(missing, pa.scalar(None, pa.string()), text)
    readable = pc.match_substring_regex(text, number_pattern(form))
    plain = pc.replace_substring(text, form.thousands, "") if form.thousands else text
    plain = plain if form.decimal == "." else pc.replace_substring(plain, form.decimal, ".")
    # SAP and other mainframe exports write the sign behind the number.
    plain = pc.replace_substring_regex(plain, r"^\+?(.*)-$", r"-\1")
    number = pc.if_else(readable, plain, pa.scalar(None, pa.string())).cast(pa.float64()).to_numpy()
    bad = pc.invert(readable).fill_null(False).to_numpy().astype(bool)
    return Cells(number, bad if bad.any() else None)


def number_pattern(form: Format) -> str:
    """Regular expression (RE2) of a number: thousands signs, where there are any, stand in front of three digits."""
    digits = r"\d+"
    if form.thousands:
        digits = rf"(?:\d{{1,3}}(?:{re.escape(form.thousands)}\d{{3}})+|\d+)"
    point = re.escape(form.decimal)
    plain = rf"(?:{digits}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
    return rf"^(?:[+-]?(?:{plain}|(?i:inf(?:inity)?))|{plain}-)$"


def _flags(values: pa.ChunkedArray, form: Format) -> Cells:
    if not (pa.types.is_string(values.type) or pa.types.is_dictionary(values.type)):
        return _numbers(values, form)

    def parse(names: pd.Series) -> tuple[NDArray[Any], Mask]:
        words = names.str.lower().map(_FLAGS).to_numpy(np.float64)
        number, bad = _numbers(pa.chunked_array([pa.array(names, pa.string())]), form)
        number = np.where(np.isnan(words), number, words)
        return number, np.isnan(words) & (np.zeros(len(names), bool) if bad is None else bad)

    return _by_text(values, parse, np.nan)


def _dates(values: pa.ChunkedArray, form: Format) -> Cells:
    kind = values.type
    if pa.types.is_timestamp(kind) and kind.tz is not None and form.timezone is not None:
        local = pc.local_timestamp(values.cast(pa.timestamp(kind.unit, form.timezone)))
        return _in_nanoseconds(local)
    if (pa.types.is_timestamp(kind) and kind.tz is None) or pa.types.is_date(kind):
        return _in_nanoseconds(values)
    return _by_text(values, lambda names: _parse_dates(names, form), np.datetime64("NaT", "ns"))


def _ends(values: pa.ChunkedArray, form: Format) -> Cells:
    days, bad = _dates(values, form)
    if bad is None:
        return Cells(days)
    texts = as_text(values.take(pa.array(np.flatnonzero(bad))))
    bad = bad.copy()
    bad[bad] = ~pc.match_substring_regex(texts, FOR_EVER).to_numpy().astype(bool)
    return Cells(days, bad if bad.any() else None)


def _in_nanoseconds(values: pa.ChunkedArray) -> Cells:
    """Timestamps as datetime64[ns]; those that it cannot hold are bad."""
    raw = values.to_numpy()
    bad: Mask = (raw < _NANOSECONDS[0]) | (raw >= _NANOSECONDS[1])
    if not bad.any():
        return Cells(raw.astype("datetime64[ns]"))
    return Cells(np.where(bad, np.datetime64("NaT"), raw).astype("datetime64[ns]"), bad)


def _parse_dates(names: pd.Series, form: Format) -> tuple[NDArray[Any], Mask]:
    missing = names.isin(MISSING).to_numpy()
    found = _by_format(names, form) if form.date is not None else _by_iso(names, form)
    days = found.to_numpy("datetime64[ns]")
    return days, np.isnat(days) & ~missing


def _by_format(names: pd.Series, form: Format) -> pd.Series:
    layout = form.date or ""
    if re.search("%[VUW]", layout) and not re.search("%[uwaA]", layout):  # a week is dated by its Monday
        names, layout = names + " 1", layout + " %u" if "%V" in layout else layout + " %w"
    if "%z" not in layout:
        return pd.to_datetime(names, format=layout, errors="coerce")
    return _local(pd.to_datetime(names, format=layout, errors="coerce", utc=True), form)


def _by_iso(names: pd.Series, form: Format) -> pd.Series:
    offset = names.str.contains(_OFFSET).to_numpy(bool)
    naive = names.mask(offset | (names.str.len() < _SHORTEST_DATE).to_numpy(bool))
    days = pd.to_datetime(naive, format="ISO8601", errors="coerce")
    if offset.any() and form.timezone is not None:
        aware = pd.to_datetime(names.where(offset), format="ISO8601", errors="coerce", utc=True)
        days = days.where(~offset, _local(aware, form))
    return days


def _local(aware: pd.Series, form: Format) -> pd.Series:
    """Wall clock time in the shop's zone; without a zone nobody knows it."""
    if form.timezone is None:
        return pd.Series(np.full(len(aware), np.datetime64("NaT"), "datetime64[ns]"), aware.index)
    return aware.dt.tz_convert(form.timezone).dt.tz_localize(None)


_READERS: Final[dict[Kind, Callable[[pa.ChunkedArray, Format], Cells]]] = {
    "id": _ids,
    "text": _texts,
    "date": _dates,
    "end": _ends,
    "number": _numbers,
    "flag": _flags,
}
