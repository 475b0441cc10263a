"""Explained forecasts as rows of text: a sentence, and the reasons one by one."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.explain.themes import FLOOR, Texts, Themes
from shelfops_pipeline.explain.words import Reason, amount, sentence
from shelfops_pipeline.store.tables import PREDICTION, REASONS, SENTENCE, START

TOP: Final = 5
REST: Final = "everything else"
BEYOND: Final = {  # what the served mean has beyond the explained member -> what is said where it adds, where it takes
    "floor": (FLOOR, FLOOR),
    "lstm": ("the LSTM expects more", "the LSTM expects less"),
    "totals": ("the forecast of its total is higher", "the forecast of its total is lower"),
    "calibration": ("past forecasts were too low", "past forecasts were too high"),
}
_SUMMABLE: Final = ("start", "by_cell", "beyond", "prediction")
_CLOSED: Final = "Expected 0 units{about}: the store is closed."

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Terms:
    """What k forecasts are made of, in units: start + sum of units = prediction."""

    themes: Themes
    start: Doubles
    """[k]"""
    by_cell: Doubles
    """[k, n_cells] of the themes"""
    beyond: Doubles
    """[k, len(BEYOND)]"""
    prediction: Doubles
    """[k] the served mean"""
    begins: str
    """What the start is, in words."""
    data: NDArray[np.float32] | None
    """[k, F] the features; None where a forecast is a sum over periods, of which no feature can speak"""

    @property
    def names(self) -> tuple[str, ...]:
        """[R] the reasons"""
        return (*self.themes.names, *BEYOND)

    @property
    def units(self) -> Doubles:
        """[k, R]"""
        return np.column_stack([self.themes.sums(self.by_cell), self.beyond])

    def take(self, rows: slice | Indices) -> Self:
        """Some of the forecasts."""
        arrays: dict[str, Any] = {name: getattr(self, name)[rows] for name in _SUMMABLE}
        return replace(self, **arrays, data=None if self.data is None else self.data[rows])

    def over(self, series: Indices) -> tuple[Self, Indices]:
        """The sums over the forecasts of each series that has any, and which these are; `series` is [k], ascending."""
        at, first = np.unique(series, return_index=True)
        arrays = {name: getattr(self, name) for name in _SUMMABLE}
        sums: dict[str, Any] = {n: np.add.reduceat(v, first, axis=0) if len(at) else v for n, v in arrays.items()}
        return replace(self, **sums, data=None), at

    def say(self, reason: int) -> Texts:
        """[k] what completes "because ..." for one reason."""
        if reason >= len(self.themes.names):
            which = reason - len(self.themes.names)
            adds, takes = list(BEYOND.values())[which]
            return np.where(self.beyond[:, which] > 0, adds, takes).astype(object)
        if self.data is None:
            return np.full(len(self.start), self.themes.words_over_periods(reason), dtype=object)
        return self.themes.words(reason, self.by_cell, self.data)


def tell(terms: Terms, at: Indices, n: int, about: str = "") -> dict[str, list[Any]]:
    """The columns start, prediction, sentence and reasons of n rows, of which those `at` are the terms'.

    The other rows are closed: nothing is sold, and there is no start. `about` says of which periods a row speaks.
    """
    out: dict[str, list[Any]] = {
        START: [None] * n,
        PREDICTION: [0.0] * n,
        SENTENCE: [_CLOSED.format(about=about)] * n,
        REASONS: [[]] * n,
    }
    units, names = terms.units, terms.names
    order = np.argsort(-np.abs(units), axis=1, kind="stable")[:, :TOP]
    words = np.empty(order.shape, dtype=object)
    for reason in np.unique(order):
        row, place = np.nonzero(order == reason)
        words[row, place] = terms.take(row).say(int(reason))
    strongest = np.take_along_axis(units, order, axis=1)
    for i, row in enumerate(at):  # numbers come from arrays; a text is put together one by one
        found = [Reason(names[r], float(u), w) for r, u, w in zip(order[i], strongest[i], words[i], strict=True)]
        told = [r for r in found if amount(r.units) != "0"]
        start, prediction = float(terms.start[i]), float(terms.prediction[i])
        rest = prediction - start - sum(r.units for r in told)
        out[START][row], out[PREDICTION][row] = start, prediction
        out[SENTENCE][row] = sentence(prediction, start, terms.begins, told, rest, about)
        out[REASONS][row] = _as_json(told, rest)
    return out


def _as_json(told: list[Reason], rest: float) -> list[dict[str, Any]]:
    rows = [{"theme": r.feature, "units": round(r.units, 4), "words": f"because {r.because}"} for r in told]
    return [*rows, {"theme": REST, "units": round(rest, 4), "words": f"from {REST}"}]
