"""One prediction in plain words: "+12 because of the promotion, −3 because it is Monday"."""

import calendar
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from shelfops_pipeline.contracts.features import Feature
from shelfops_pipeline.explain.shap_values import UnitExplanation

TOP: Final = 4
Categories = Mapping[str, Sequence[str]]
_LOG: Final = "log1p(units per period)"
_STATIC: Final = "static_"
_LEVELS: Final = ("last_year", "last_year_week")


@dataclass(frozen=True)
class Reason:
    """What one feature, or one theme of features, does to one prediction."""

    feature: str
    units: float
    because: str
    """Completes "because …"."""
    note: str = ""
    """The value and the definition, for a label with little room."""


def reasons(
    parts: Sequence[float],
    data: Sequence[float],
    features: Sequence[Feature],
    categories: Categories | None = None,
) -> list[Reason]:
    """All features of one row as reasons, the largest effect first.

    `parts` is a row of `UnitExplanation.parts`, `data` the same row of the matrix, `categories` the
    manifest's `static_categories`, which turn a code back into a name.
    """
    found = [
        Reason(f.name, float(part), because(f, float(value), categories), note(f, float(value), categories))
        for f, part, value in zip(features, parts, data, strict=True)
    ]
    return sorted(found, key=lambda reason: -abs(reason.units))


def themes(
    parts: Sequence[float],
    data: Sequence[float],
    features: Sequence[Feature],
    categories: Categories | None = None,
) -> list[Reason]:
    """The same, with features that tell one story summed: many windows over past sales are one reason.

    SHAP values are additive, so the sum of a theme is its contribution.
    """
    alone = reasons(parts, data, features, categories)
    lead = {r.feature: r.because for r in alone}
    sums: dict[str, float] = {}
    for reason in alone:
        theme = theme_of(reason.feature)
        sums[theme] = sums.get(theme, 0.0) + reason.units
    said = {theme: lead.get(_LEADS.get(theme, theme)) or _THEMES.get(theme, theme) for theme in sums}
    return sorted((Reason(t, u, said[t]) for t, u in sums.items()), key=lambda reason: -abs(reason.units))


def theme_of(feature: str) -> str:
    """The theme of a feature; a feature without one is its own."""
    return next((theme for theme, pattern in _PATTERNS.items() if pattern.match(feature)), feature)


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
    said = [f"{signed(r.units)} because {r.because}" for r in told]
    if amount(rest) != "0":
        said.append(f"{signed(rest)} from everything else")
    if units.prediction[row] < 0:
        said.append("cut at 0, because demand is never below")
    total = max(float(units.prediction[row]), 0.0)
    start = f"it starts from {amount(float(units.start[row]))}"
    return f"Expected {amount(total)} units: {start}, then {', '.join(said) if said else 'nothing moves it'}."


def because(feature: Feature, value: float, categories: Categories | None = None) -> str:
    """The value of a feature as the end of a sentence that begins with "because"."""
    if math.isnan(value):
        return f"it is not known: {feature.definition}"
    if feature.name in _SPOKEN:
        return _SPOKEN[feature.name](value)
    if feature.name.startswith(_STATIC):
        return f"{feature.name.removeprefix(_STATIC)} is {_category(feature.name, value, categories)}"
    return f"the {feature.definition} is {_with_unit(feature, value)}"


def note(feature: Feature, value: float, categories: Categories | None = None) -> str:
    """The value first, then what it is."""
    if math.isnan(value):
        return f"unknown: {feature.definition}"
    if feature.name in _SPOKEN:
        return _SPOKEN[feature.name](value).removeprefix("of the ")
    if feature.name.startswith(_STATIC):
        return _category(feature.name, value, categories)
    return f"{_with_unit(feature, value)}: {feature.definition}"


def _category(name: str, value: float, categories: Categories | None) -> str:
    known = (categories or {}).get(name.removeprefix(_STATIC), ())
    return known[int(value)] if 0 <= int(value) < len(known) else f"number {int(value)}"


_THEMES: Final[Mapping[str, str]] = {
    "sales history": "of its own sales history",
    "similar items": "of how similar items and the store sell",
    "price": "of the price",
    "promo": "of promotions nearby",
    "holiday": "of holidays nearby",
    "closures": "of closures nearby",
    "time of year": "of the time of year",
    "store and item": "of which store and item it is",
}
_LEADS: Final[Mapping[str, str]] = {"price": "price_to_mean"}
"""The feature that speaks for its theme, where it is not the one of that name."""
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {  # the first that matches; a theme named like a feature speaks as it
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
    "store and item": re.compile(_STATIC),
}


def _with_unit(feature: Feature, value: float) -> str:
    if feature.unit == _LOG:
        if feature.name.startswith("std"):
            return f"{amount(value)} on the log scale"
        # A level is a log of demand; a difference of two levels is a relative change.
        return (
            f"{amount(math.expm1(value))} units"
            if feature.low == 0 or feature.name in _LEVELS
            else f"{100 * math.expm1(value):+.0f} %"
        )
    if feature.unit == "units per period":
        return f"{amount(value)} units"
    if feature.unit in ("share", "flag"):
        return f"{100 * value:.0f} %"
    plain = feature.unit in ("ratio", "code", "currency") or feature.name.endswith(feature.unit)
    return amount(value) if plain else f"{amount(value)} {feature.unit}"


def _against(what: str) -> Callable[[float], str]:
    def say(ratio: float) -> str:
        change = 100 * (ratio - 1)
        if abs(change) < 0.5:
            return f"the price is {what}"
        return f"the price is {abs(change):.0f} % {'above' if change > 0 else 'below'} {what}"

    return say


def _time_of_year(day: float) -> str:
    """Early, mid or late in a month: true of a day and of the week that begins on it, in leap years too."""
    when = date(2023, 1, 1) + timedelta(days=min(int(day), 365) - 1)
    return f"{('early', 'mid', 'late')[min((when.day - 1) // 10, 2)]} {calendar.month_name[when.month]}"


def _payday(days: float) -> str:
    return "it is payday" if days < 0.5 else f"payday is {amount(days)} days away"


_SPOKEN: Final[Mapping[str, Callable[[float], str]]] = {
    "promo": lambda v: "of the promotion" if v > 0.5 else "there is no promotion",
    "holiday": lambda v: "of the holiday" if v > 0.5 else "there is no holiday",
    "weekday": lambda v: f"it is {calendar.day_name[int(v)]}",
    "month": lambda v: f"it is {calendar.month_name[int(v)]}",
    "day_of_month": lambda v: f"it is day {int(v)} of the month",
    "day_of_year": lambda v: f"the time of year is {_time_of_year(v)}",
    "payday_distance": _payday,
    "horizon": lambda v: f"it is {int(v)} periods ahead",
    "price": lambda v: f"the price is {amount(v)}",
    "price_to_mean": _against("its usual level"),
    "price_to_max": _against("its highest level"),
    "price_to_last": _against("the current price"),
    "history": lambda v: f"{int(v)} periods of history are known",
}


def amount(value: float) -> str:
    """A number of units: whole from 10 on, one digit below, two below 1; a true minus sign."""
    digits = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.95 else 2
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def signed(value: float) -> str:
    """`amount` with its sign."""
    text = amount(value)
    return text if text.startswith("−") or text == "0" else f"+{text}"
