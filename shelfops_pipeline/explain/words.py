"""One prediction in plain words: "+12 because of the promotion, −3 because it is Monday"."""

import calendar
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from shelfops_pipeline.contracts.features import Feature

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


def sentence(
    prediction: float, start: float, begins: str, told: Sequence[Reason], rest: float = 0.0, about: str = ""
) -> str:
    """The prediction, where it starts, the reasons, the rest in one number; `about` says of which periods it speaks.

    `start`, the units of `told`, and `rest` add up to `prediction`; what rounds to nothing is not said.
    """
    said = [f"{signed(r.units)} because {r.because}" for r in told if amount(r.units) != "0"]
    if amount(rest) != "0":
        said.append(f"{signed(rest)} from everything else")
    steps = ", ".join(said) if said else "nothing moves it"
    return f"Expected {amount(prediction)} units{about}: it starts from {amount(start)}, {begins}, then {steps}."


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
    plain = (
        feature.unit in ("ratio", "code", "currency") or feature.unit in feature.name
    )  # a covariate's unit is its name
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
