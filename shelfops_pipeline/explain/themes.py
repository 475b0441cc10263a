"""Features that tell one story are one reason: many windows over past sales are "its own sales history".

SHAP values are additive, so the sum of a theme is its contribution. Everything here works on [n rows, F features] at
once; words are made per distinct value, not per row.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.features import Feature
from shelfops_pipeline.explain.shap_values import UnitExplanation
from shelfops_pipeline.explain.words import Categories, Reason, amount, because, sentence

Doubles = NDArray[np.float64]
Texts = NDArray[np.object_]

TOP: Final = 4
FLOOR: Final = "demand is never below 0"
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {  # the first that matches; a feature without a theme is its own
    "similar items": re.compile(r"(store|item|category)_(level|trend|seasonal)|like_"),
    "sales history": re.compile(
        r"level_|promo_level_|regular_level_|seasonal_|ewm$|trend_|std_|zero_share_|max_|min_|q\d+_|last$|last_year"
        r"|base$|adi$|cv2$|periods_since_sale$|history$|stockout_share_"
    ),
    "promo": re.compile(r"promo($|_)|since_promo|until_promo$"),
    "holiday": re.compile(r"holiday$|(since|until)_holiday$|holiday_days$"),
    "price": re.compile(r"price($|_)|since_price_change$|discount_depth$"),
    "closures": re.compile(r"closed_|(since|until)_closed$|since_reopening$"),
    "time of year": re.compile(r"month$|day_of_year$"),
    "store and item": re.compile(r"static_"),
}
_WORDS: Final[Mapping[str, str]] = {
    "sales history": "of its own sales history",
    "similar items": "of how similar items and the store sell",
    "price": "of the price",
    "promo": "of promotions nearby",
    "holiday": "of holidays nearby",
    "closures": "of closures nearby",
    "time of year": "of the time of year",
    "store and item": "of which store and item it is",
}
_OVER_PERIODS: Final[Mapping[str, str]] = {  # a sum over days has no weekday
    "promo": "of when it is on promotion",
    "holiday": "of holidays",
    "closures": "of closures",
    "weekday": "of the weekdays",
    "day_of_month": "of the days of the month",
    "payday_distance": "of how near payday is",
    "horizon": "of how far ahead it is",
}
_SPEAKERS: Final[Mapping[str, str]] = {"price": "price_to_mean", "time of year": "day_of_year"}
"""The feature whose value speaks for its theme, where it is not the one of that name."""
_FLAGS: Final = ("promo", "holiday")


def theme_of(feature: str) -> str:
    """The theme of a feature; a feature without one is its own."""
    return next((theme for theme, pattern in _PATTERNS.items() if pattern.match(feature)), feature)


@dataclass(frozen=True)
class Themes:
    """The themes of a model's features, in the order in which the features first name them: T themes, F features.

    SHAP values are summed by *cell*: a theme, but for the flags, which are cells of their own beside the rest of their
    theme, because what is said depends on which of the two is the stronger.
    """

    features: tuple[Feature, ...]
    categories: Categories
    names: tuple[str, ...]
    """[T]"""
    cells: NDArray[np.intp]
    """[F] cell of each feature; the first T are the themes, the others the flags"""
    flags: tuple[int, ...]
    """theme of each flag"""

    @classmethod
    def among(cls, features: Sequence[Feature], categories: Categories | None = None) -> Self:
        """`categories` is the manifest's `static_categories`, which turn a code back into a name."""
        found = [theme_of(f.name) for f in features]
        names = tuple(dict.fromkeys(found))
        flags = [f.name for f in features if f.name in _FLAGS]
        cells = [
            len(names) + flags.index(f.name) if f.name in flags else names.index(theme)
            for f, theme in zip(features, found, strict=True)
        ]
        themes_of_flags = tuple(names.index(theme_of(flag)) for flag in flags)
        return cls(tuple(features), categories or {}, names, np.array(cells, dtype=np.intp), themes_of_flags)

    @property
    def n_cells(self) -> int:
        return len(self.names) + len(self.flags)

    def by_cell(self, parts: Doubles) -> Doubles:
        """[n, F] -> [n, n_cells]"""
        return parts @ np.eye(self.n_cells)[self.cells]

    def sums(self, by_cell: Doubles) -> Doubles:
        """[n, n_cells] -> [n, T]: the contribution of each theme."""
        T = len(self.names)
        return by_cell @ np.eye(T)[[*range(T), *self.flags]]

    def words(self, theme: int, by_cell: Doubles, data: NDArray[np.floating[Any]]) -> Texts:
        """[n] what completes "because ..." for one theme in each row; `by_cell` is [n, n_cells], `data` [n, F].

        A flag that is off speaks only where it makes up half of its theme: the day before a holiday sells more because
        of the holiday, not "because there is no holiday".
        """
        name = self.names[theme]
        column = self._speaker(name)
        if column is None:
            return np.full(len(data), _WORDS[name], dtype=object)
        values, place = np.unique(data[:, column], return_inverse=True)
        said = np.array([because(self.features[column], float(v), self.categories) for v in values], dtype=object)
        texts: Texts = said[place.reshape(-1)]
        if name in _WORDS:
            texts[np.isnan(data[:, column])] = f"{_WORDS[name]}, of which too little is known"
        if theme in self.flags:
            own = by_cell[:, len(self.names) + self.flags.index(theme)]
            weak = 2 * np.abs(own) < np.abs(own + by_cell[:, theme])
            texts[weak & ~(data[:, column] > 0.5)] = _WORDS[name]
        return texts

    def words_over_periods(self, theme: int) -> str:
        """What completes "because ..." for one theme summed over several periods."""
        name = self.names[theme]
        known = _OVER_PERIODS.get(name) or _WORDS.get(name)
        return known or f"of the {self.features[int(np.flatnonzero(self.cells == theme)[0])].definition}"

    def _speaker(self, name: str) -> int | None:
        """The column that speaks for a theme; None where the theme speaks for itself."""
        wanted = _SPEAKERS.get(name, name)
        return next((i for i, f in enumerate(self.features) if f.name == wanted), None)


def themes(
    parts: Sequence[float],
    data: Sequence[float],
    features: Sequence[Feature],
    categories: Categories | None = None,
) -> list[Reason]:
    """The themes of one row as reasons, the largest effect first.

    `parts` is a row of `UnitExplanation.parts`, `data` the same row of the matrix.
    """
    found = Themes.among(features, categories)
    cells = found.by_cell(np.asarray(parts, dtype=np.float64)[None])
    sums, values = found.sums(cells)[0], np.asarray(data, dtype=np.float64)[None]
    told = [Reason(name, float(sums[i]), found.words(i, cells, values)[0]) for i, name in enumerate(found.names)]
    return sorted(told, key=lambda reason: -abs(reason.units))


def describe(
    units: UnitExplanation,
    row: int,
    data: Sequence[float],
    features: Sequence[Feature],
    categories: Categories | None = None,
    top: int = TOP,
) -> str:
    """A sentence on one row: the prediction, where it starts, the `top` reasons, the rest in one number."""
    ordered = themes(list(units.parts[row]), data, features, categories)
    told = [r for r in ordered[:top] if amount(r.units) != "0"]
    rest = sum(r.units for r in ordered) - sum(r.units for r in told)
    said = float(units.prediction[row])
    if said < 0:
        told.append(Reason("floor", -said, FLOOR))
    return sentence(max(said, 0.0), float(units.start[row]), units.begins, told, rest)
