"""A column of a sample: as text, and as dates or numbers where it can be read so."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shelfops_pipeline.data.sources.cells import FOR_EVER, MISSING, as_text, typed
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.onboarding.cells import DateFormat, parse_dates, parse_flags, parse_numbers, sniff_dates
from shelfops_pipeline.onboarding.words import tokens

_READABLE: Final = 0.9
"""A column is one of dates or numbers if this share of its cells can be read as such."""
_HALF: Final = 0.5
"""A column that is called a quantity may be worse."""
_MOST_WORDS: Final = 4
_ENGLISH_DATES: Final = frozenset(("date", "day", "week", "time", "timestamp", "dt", "ts"))


@dataclass(frozen=True)
class Column:
    """One column of a sample: as text, and as dates or numbers where it can be read so."""

    name: str
    text: "pd.Series[Any]"
    """Categorical, NaN where the cell is empty."""
    dates: "pd.Series[Any] | None" = None
    """Days, NaT where missing or unreadable."""
    date_format: DateFormat | None = None
    timed: bool = False
    """Is there a time of day beside the date?"""
    numbers: NDArray[np.float64] | None = None
    """NaN where missing or unreadable; None where most cells are."""

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def codes(self) -> NDArray[np.intp]:
        """Code of each cell's text, -1 where empty."""
        return np.asarray(self.text.cat.codes, dtype=np.intp)

    @cached_property
    def levels(self) -> NDArray[np.intp]:
        """Code of each cell's value, -1 where there is none: dates count by day."""
        if self.dates is None:
            return self.codes
        return np.asarray(pd.factorize(self.dates)[0], dtype=np.intp)

    @cached_property
    def present(self) -> int:
        """Cells that are not empty."""
        return int((self.codes >= 0).sum())

    @property
    def missing(self) -> int:
        """Empty cells."""
        return len(self) - self.present

    @cached_property
    def n_distinct(self) -> int:
        """Different texts."""
        return len(np.unique(self.codes[self.codes >= 0]))

    @cached_property
    def values(self) -> frozenset[str]:
        """The different texts."""
        categories = self.text.cat.categories
        return frozenset(categories[np.unique(self.codes[self.codes >= 0])])

    @cached_property
    def example(self) -> str:
        """The first text that is not empty."""
        first = self.text.first_valid_index()
        return "" if first is None else str(self.text.loc[first])

    @cached_property
    def is_number(self) -> bool:
        """Numbers that are no dates, but for a few cells."""
        return self.numbers is not None and self.dates is None and len(self.finite) >= _READABLE * self.present

    @cached_property
    def finite(self) -> NDArray[np.float64]:
        """The numbers that are there."""
        numbers = np.empty(0) if self.numbers is None else self.numbers
        return numbers[np.isfinite(numbers)]

    @cached_property
    def is_integer(self) -> bool:
        """Whole numbers only."""
        return self.is_number and len(self.finite) > 0 and bool((self.finite == np.round(self.finite)).all())

    @cached_property
    def is_flag(self) -> bool:
        """Texts that mean yes or no, and nothing else."""
        return 0 < self.n_distinct <= _MOST_WORDS and bool(np.isin(parse_flags(sorted(self.values)), (0, 1)).all())

    @cached_property
    def flags(self) -> NDArray[np.float64]:
        """1 for yes, 0 for no, NaN for anything else."""
        return np.append(parse_flags([str(c) for c in self.text.cat.categories]), np.nan)[self.codes]

    @cached_property
    def is_key(self) -> bool:
        """A different value in every row, as far as seen."""
        return self.present == len(self) and self.n_distinct == len(self) > 0

    @property
    def unreadable(self) -> int:
        """Cells that hold something else than the dates or numbers of the rest."""
        if self.dates is not None:
            return self.present - int(self.dates.notna().sum())
        return self.present - len(self.finite) if self.is_number else 0


def category(values: pa.ChunkedArray) -> "pd.Series[Any]":
    """A categorical of tidied texts."""
    merged = values.combine_chunks()
    merged = merged.chunk(0) if isinstance(merged, pa.ChunkedArray) else merged
    names = pd.Series(merged.dictionary.to_pylist(), dtype=object).str.strip()
    codes = merged.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    to, categories = pd.factorize(names.where(~names.isin(MISSING)))
    table = np.append(to, -1)
    return pd.Series(pd.Categorical.from_codes(cast(Any, table[codes]), categories=pd.Index(categories)))


def distinct(text: "pd.Series[Any]") -> tuple[list[str], list[int]]:
    """The different texts, the most frequent first, and how often each occurs."""
    counts = np.bincount(np.asarray(text.cat.codes) + 1, minlength=len(text.cat.categories) + 1)[1:]
    order = np.argsort(-counts, kind="stable")
    return [str(text.cat.categories[n]) for n in order], [int(counts[n]) for n in order]


def text_column(name: str, text: "pd.Series[Any]", form: Format) -> Column:
    """A column of text, read as dates or numbers where most cells can be."""
    categories = [str(c) for c in text.cat.categories]
    codes = np.asarray(text.cat.codes)
    if not categories:
        return Column(name, text)
    day_first = form.decimal == "," or form.separator == ";" or not _ENGLISH_DATES.intersection(tokens(name))
    found, endless = _sniffed_dates(text, day_first)
    if found is not None and found.share >= _READABLE:
        text = text.cat.set_categories([c for c in categories if c not in endless])
        cells = pd.Series(np.append(parse_dates(categories, found), np.datetime64("NaT", "ns"))[codes])
        days = cells.dt.normalize()
        return Column(name, text, days, found, timed=bool((days != cells)[cells.notna()].any()))
    numbers = np.append(parse_numbers(categories, form), np.nan)[codes]
    readable = np.isfinite(numbers).sum() / max((codes >= 0).sum(), 1)
    return Column(name, text, numbers=numbers if readable >= _HALF else None)


def _sniffed_dates(text: "pd.Series[Any]", day_first: bool) -> tuple[DateFormat | None, set[str]]:
    """The format of a column's dates, and the texts among them that mean for ever (31.12.9999), which are missing."""
    told = [(t, n) for t, n in zip(*distinct(text), strict=True)]
    endless = {t for t, _ in told if re.search(FOR_EVER, t)}
    dates = [(t, n) for t, n in told if t not in endless]
    return sniff_dates([t for t, _ in dates], [n for _, n in dates], day_first) if dates else None, endless


def parquet_column(name: str, values: pa.ChunkedArray) -> Column:
    """A column of a Parquet file: dates and numbers as they are typed, anything else by its text."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _typed_dates(name, values)
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    text = category(as_text(values).dictionary_encode().unify_dictionaries())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return text_column(name, text, Format())
    return Column(name, text, numbers=np.asarray(typed(values, "number", Format()).values, dtype=np.float64))


def _typed_dates(name: str, values: pa.ChunkedArray) -> Column:
    """Days of the clock in the file's own zone. What nanoseconds cannot reach (9999-12-31, for ever) is missing."""
    zoned = pa.types.is_timestamp(values.type) and values.type.tz is not None
    moments = pd.Series(typed(pc.local_timestamp(values) if zoned else values, "date", Format()).values)
    days = moments.dt.normalize()
    text = pd.Series(pd.Categorical(days.dt.strftime("%Y-%m-%d")))
    timed = bool((days != moments)[moments.notna()].any())
    return Column(name, text, days, DateFormat(None, has_offset=zoned), timed)
