"""Guesses of last resort on the table of sales: labels that serve as ids, flags and prices without names."""

import re
from typing import Final

import numpy as np

from shelfops_pipeline.onboarding.column import Column
from shelfops_pipeline.onboarding.content import id_likeness, joint_codes, mean_ratio, spread_within
from shelfops_pipeline.onboarding.meaning import Choice, Reading
from shelfops_pipeline.onboarding.words import Meaning, name_fit, tokens

_SURE: Final = 0.4
_LABEL_FIT: Final = 0.25
_LIKELY_ID: Final = 0.3
_PRICE_SPREAD: Final = 0.5
_LIFT: Final = 1.15
_MOSTLY_OPEN: Final = 0.6
_NOTHING: Final = 0.02
_LONGEST: Final = 3
_SAYS_NOTHING: Final = re.compile(r"(?:col|column|field|feld|var|variable|spalte|champ|campo|attr|feature|v|x)?s?")


def says_nothing(name: str) -> bool:
    """Is a column called X4, col_b or Feld 12, so that only its content can tell what it is?"""
    return all(len(word) <= _LONGEST or _SAYS_NOTHING.fullmatch(word) for word in tokens(name))


def ids_by_label(reading: Reading) -> Reading:
    """`Nom du magasin` or `item_desc`, where no column has the numbers or codes of the stores or items."""
    for meaning in (Meaning.STORE, Meaning.ITEM):
        if meaning in reading.choices:
            continue
        fits = [
            (name_fit(column.name, meaning), -place, column)
            for place, column in enumerate(reading.table.columns.values())
            if name_fit(column.name, meaning) >= _LABEL_FIT and id_likeness(column) >= _LIKELY_ID
        ]
        if fits:
            column = max(fits, key=lambda fit: fit[:2])[2]
            reading = reading.taking(Choice(column.name, meaning, 0.6, "its name; no column has a number or code"))
    return reading


def flags_and_prices(reading: Reading) -> Reading:
    """Where names say nothing: a price is steady within its item, promotions lift sales, closed days end them."""
    measure = reading.column(Meaning.UNITS) or reading.column(Meaning.REVENUE)
    ids = [c for m in (Meaning.STORE, Meaning.ITEM) if (c := reading.column(m)) is not None]
    if measure is None or not ids:
        return reading
    series = joint_codes(ids)
    for column in [c for c in reading.free() if says_nothing(c.name)]:
        choice = _flag(column, measure, series) if column.is_flag else _price(column, reading)
        if choice is not None and choice.meaning not in reading.choices:
            reading = reading.taking(choice)
    return reading


def _flag(column: Column, measure: Column, series: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Choice | None:
    share = float(np.nanmean(column.flags))
    ratio = mean_ratio(measure, column.flags, series)
    if share >= _MOSTLY_OPEN and ratio > 1 / _NOTHING:
        return Choice(column.name, Meaning.OPEN, _SURE, "a flag, and nothing is sold without it")
    if 0 < share < _MOSTLY_OPEN and _LIFT <= ratio < 1 / _NOTHING:
        return Choice(column.name, Meaning.PROMOTION, _SURE, f"a flag that lifts sales {ratio:.1f} times")
    return None


def _price(column: Column, reading: Reading) -> Choice | None:
    item = reading.column(Meaning.ITEM)
    if item is None or not column.is_number or column.is_integer or not (column.finite > 0).all():
        return None
    if spread_within(column, item) > _PRICE_SPREAD or column.n_distinct <= 2:
        return None
    return Choice(column.name, Meaning.PRICE, _SURE, f"positive, and steady within {item.name}")
