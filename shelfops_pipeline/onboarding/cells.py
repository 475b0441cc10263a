"""What is written in cells: numbers in a dialect of signs, dates in a format. All on the distinct texts of a column."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shelfops_pipeline.data.sources.cells import typed
from shelfops_pipeline.data.text_format import Format

Decimal = Literal[".", ","]
Thousands = Literal["", ".", ",", " ", "'"]

_LEAST_DATES: Final = 0.5
_DISTINCT: Final = 3000
_DATE: Final = re.compile(
    r"^(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:([T ]+)(\d{1,2}):(\d\d)(:\d\d)?(\.\d+)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d|[AaPp]\.?[Mm]\.?)?$"
)
_WEEK: Final = re.compile(r"^(\d{4})(-?W)(\d\d?)(?:-?(\d))?$")
_NUMBERED_WEEK: Final = re.compile(r"^(?:(?:19|20)\d\d([0-5]\d)|((?:KW|CW|WK|W|S)? ?)([0-5]?\d)([/.-])(?:19|20)\d\d)$")
_MONTHS: Final = 12
_SIGNS: Final = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"} | dict.fromkeys("€$£"))
_NAMED_MONTH: Final = re.compile(
    r"^(?:(\d{1,2})([ .-]+)([A-Za-z]{3,9})\2(\d{4}|\d\d)|([A-Za-z]{3,9}) (\d{1,2}), (\d{4}))$"
)


@dataclass(frozen=True)
class DateFormat:
    """How the dates of a column are written."""

    pattern: str | None
    """A strptime format; None: ISO 8601."""
    share: float = 1.0
    """Of the cells that can be read so."""
    has_offset: bool = False
    """Do the timestamps say how far from UTC they are?"""
    open_order: bool = False
    """No value shows whether day or month is first."""


def looks_like_date(text: str) -> bool:
    """Is it a full date, of whatever format?"""
    return bool(_DATE.match(text) or _WEEK.match(text) or (_NAMED_MONTH.match(text))) or _compact(text)


def looks_like_number(text: str) -> bool:
    """Is it a number, with whatever signs?"""
    return bool(re.fullmatch(r"[-+]?\d[\d.,' ]*", text))


def _compact(text: str) -> bool:
    return bool(re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])", text))


def parse_numbers(texts: Sequence[str], form: Format) -> NDArray[np.float64]:
    """Each text as the `mapped` source reads it: a number, NaN where it is none in the signs of `form`."""
    return np.asarray(typed(pa.chunked_array([pa.array(texts, pa.string())]), "number", form).values, dtype=np.float64)


def parse_flags(texts: Sequence[str]) -> NDArray[np.float64]:
    """Each text as the `mapped` source reads it: 1 for yes, 0 for no, NaN or another number otherwise."""
    values = typed(pa.chunked_array([pa.array(texts, pa.string())]), "flag", Format()).values
    return np.asarray(values, dtype=np.float64)


def parse_dates(texts: Sequence[str], found: "DateFormat") -> NDArray[np.datetime64]:
    """Each text as the `mapped` source reads it: a timestamp, NaT where it is none of that format.

    Timestamps with an offset are given in UTC.
    """
    form = Format(date=found.pattern, timezone="UTC" if found.has_offset else None)
    values = typed(pa.chunked_array([pa.array(texts, pa.string())]), "date", form).values
    return np.asarray(values, dtype="datetime64[ns]")


def sniff_signs(columns: Iterable[Sequence[str]]) -> tuple[Decimal, Thousands]:
    """The decimal and thousands signs of a table, from the distinct texts of its columns.

    "1.234" alone is a thousand and some, or one and some: other cells decide, of the same column first.
    """
    votes: Counter[tuple[str, str]] = Counter()
    for texts in columns:
        plain = [text.translate(_SIGNS).strip() for text in texts[:_DISTINCT]]
        votes.update(_votes([text for text in plain if looks_like_number(text)]))
    decimal = max((".", ","), key=lambda sign: votes["decimal", sign])
    if votes["decimal", decimal] == 0 and votes["thousands", "."]:
        decimal = ","
    grouping = [(votes["thousands", s], s) for s in (".", ",", " ", "'") if s != decimal and votes["thousands", s]]
    thousands = max(grouping)[1] if grouping else ""
    return cast(Decimal, decimal), cast(Thousands, thousands)


def _votes(numbers: list[str]) -> Counter[tuple[str, str]]:
    votes: Counter[tuple[str, str]] = Counter()
    open_cases: Counter[str] = Counter()
    ungrouped = any(re.fullmatch(r"[-+]?\d{4,}([.,]\d+)?", t) for t in numbers)
    for text in numbers:
        body = text.strip("+-")
        signs = re.findall(r"[.,' ]", body)
        last = signs[-1] if signs else ""
        whole, _, fraction = body.rpartition(last) if last else (body, "", "")
        if not last:
            continue
        if last in "' " or (len(signs) > 1 and len(set(signs)) == 1):
            if re.fullmatch(r"\d{1,3}([.,' ]\d{3})+", body):
                votes["thousands", last] += 1
        elif len(set(signs)) == 2:
            if re.fullmatch(r"\d{1,3}([.,' ]\d{3})+[.,]\d*", body):
                votes["decimal", last] += 1
                votes["thousands", signs[0]] += 1
        elif len(fraction) != 3 or not 1 <= len(whole) <= 3 or whole.startswith("0"):
            votes["decimal", last] += 1
        else:
            open_cases[last] += 1
    for sign, count in open_cases.items():
        decimal = votes["decimal", sign] > 0 or (ungrouped and not votes["thousands", sign])
        votes["decimal" if decimal else "thousands", sign] += count
    return votes


def sniff_dates(texts: Sequence[str], counts: Sequence[int], day_first: bool) -> DateFormat | None:
    """The date format of a column from its distinct texts and how often each occurs; None if these are no dates.

    `day_first` decides 01/02/2024 where no value of the column has a number above 12.
    """
    sample = [text.strip() for text in texts[:_DISTINCT]]
    weights = np.asarray(counts[:_DISTINCT], dtype=np.float64)
    found = _guess_format(sample, day_first)
    if found is None:
        return None
    share = float(weights[~np.isnat(parse_dates(sample, found))].sum() / weights.sum())
    return replace(found, share=share) if share > _LEAST_DATES else None


def _guess_format(sample: list[str], day_first: bool) -> DateFormat | None:
    found = [m for m in map(_DATE.match, sample) if m]
    if len(found) > len(sample) / 2:
        return _numeric_dates(found, day_first)
    if sum(map(_compact, sample)) > len(sample) / 2:
        return DateFormat("%Y%m%d")
    if (
        sum(bool(re.fullmatch(r"(19|20)\d{2}[01]\d[0-3]\d[0-2]\d[0-5]\d([0-5]\d)?", t)) for t in sample)
        > len(sample) / 2
    ):
        return DateFormat("%Y%m%d%H%M%S" if len(sample[0]) == len("20240131235959") else "%Y%m%d%H%M")
    return _weeks(sample) or _named_months(sample)


def _weeks(sample: list[str]) -> DateFormat | None:
    """2024-W07, 202407 or KW 07/2024; numbers that are never above 12 would be months."""
    week = next((m for m in map(_WEEK.match, sample) if m), None)
    if week is not None:
        dash = "-" if "-" in week[2] else ""
        return DateFormat(f"%G{dash}W%V" + (f"{dash}%u" if week[4] else ""))
    numbered = [m for m in map(_NUMBERED_WEEK.match, sample) if m]
    if numbered and len(numbered) == len(sample) and any(int(m[3] or m[1]) > _MONTHS for m in numbered):
        return DateFormat(f"{numbered[0][2]}%V{numbered[0][4]}%G" if numbered[0][3] else "%G%V")
    return None


def _named_months(sample: list[str]) -> DateFormat | None:
    found = [m for m in map(_NAMED_MONTH.match, sample) if m]
    if not found:
        return None
    named = found[0]
    month = "%b" if all(len(m[3] or m[5]) == len("Jan") for m in found) else "%B"  # May is both
    year = "%y" if named[4] and len(named[4]) == len("24") else "%Y"
    return DateFormat(f"{month} %d, %Y" if named[5] else f"%d{named[2]}{month}{named[2]}{year}")


def _numeric_dates(found: list[re.Match[str]], day_first: bool) -> DateFormat:
    sign = Counter(m[2] for m in found).most_common(1)[0][0]
    found = [m for m in found if m[2] == sign]
    first, second = (np.array([int(m[n]) for m in found]) for n in (1, 3))
    long_first, long_last = any(len(m[1]) == 4 for m in found), any(len(m[4]) == 4 for m in found)
    year = "%Y" if long_first or long_last else "%y"
    open_order = False
    if long_first or (not long_last and (first > 31).any()):
        parts = [year, "%d", "%m"] if (second > 12).any() else [year, "%m", "%d"]
    else:
        open_order = not (first > 12).any() and not (second > 12).any()
        month_first = (second > 12).any() if not open_order else sign == "/" and not day_first
        parts = ["%m", "%d", year] if month_first and not (first > 12).any() else ["%d", "%m", year]
    time, has_offset = _time(found)
    iso = long_first and sign == "-" and parts[1] == "%m" and "%I" not in time
    if iso and all(len(m[3]) == 2 and len(m[4]) == 2 for m in found):
        return DateFormat(None, has_offset=has_offset)
    return DateFormat(sign.join(parts) + time, has_offset=has_offset, open_order=open_order)


def _time(found: list[re.Match[str]]) -> tuple[str, bool]:
    """(the part of the format after the date, has it an offset)."""
    timed = next((m for m in found if m[6]), None)
    if timed is None:
        return "", False
    zone = timed[10] or ""
    half = zone[:1] in tuple("AaPp")
    gap = timed[5] if timed[5] == "T" else " "
    text = f"{gap}{'%I' if half else '%H'}:%M" + (":%S" if timed[8] else "") + (".%f" if timed[9] else "")
    if half:
        return text + (" %p" if timed[0].rstrip(zone).endswith(" ") else "%p"), False
    return text + ("%z" if zone else ""), bool(zone)
