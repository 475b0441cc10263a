"""What may be tuned: the fields of a recipe's members, and the ranges that are searched around the defaults.

Boosting is searched as the learning rate and its product with the number of rounds: the product decides how far the
trees may go, the rate how small the steps are, and good values of the two hardly depend on each other.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from shelfops_pipeline.models.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import Trial

Member = Literal["xgboost", "lstm"]
Fields = dict[str, float | int]
"""Fields of `XgboostRecipe` or `LstmRecipe`, by name."""

MEMBERS: Final[tuple[Member, ...]] = ("xgboost", "lstm")
SPACE_VERSION: Final = 1
"""Part of a study's identity: raise it when a range changes, so that no study mixes two spaces."""

_FIELDS: Final[dict[Member, tuple[str, ...]]] = {
    "xgboost": (
        "learning_rate",
        "rounds",
        "max_depth",
        "max_leaves",
        "min_child_weight",
        "subsample",
        "colsample_bytree",
    ),
    "lstm": ("learning_rate", "epochs", "units"),
}
_LOG: Final[dict[Member, dict[str, tuple[float, float]]]] = {
    "xgboost": {"learning_rate": (0.02, 0.1), "min_child_weight": (1, 200)},
    "lstm": {"learning_rate": (5e-4, 1e-2)},
}
_SHARE: Final[dict[Member, dict[str, tuple[float, float]]]] = {
    "xgboost": {"subsample": (0.5, 1.0), "colsample_bytree": (0.3, 1.0)},
    "lstm": {},
}
_WHOLE: Final[dict[Member, dict[str, tuple[int, int]]]] = {
    "xgboost": {"max_depth": (4, 12), "max_leaves": (16, 256)},
    "lstm": {"epochs": (3, 20), "units": (16, 128)},
}
_PATH: Final = "rate_x_rounds"
_PATH_FACTOR: Final = 2.0
_MOST_ROUNDS: Final = 2  # times the default: bounds the time to train, and the file and memory of the API's model


def default_fields(recipe: Recipe, member: Member) -> Fields:
    """The recipe's own values of the fields that may be tuned."""
    return getattr(recipe, member).model_dump(include=set(_FIELDS[member]))


def with_fields(recipe: Recipe, member: Member, fields: Mapping[str, float | int]) -> Recipe:
    """The recipe with these values instead of its own. Raises ValueError for a field that may not be tuned."""
    unknown = sorted(set(fields) - set(_FIELDS[member]))
    if unknown:
        raise ValueError(f"not tuned, or not of {member}: {', '.join(unknown)}")
    return recipe.model_copy(update={member: getattr(recipe, member).model_copy(update=dict(fields))})


def starting_point(recipe: Recipe, member: Member) -> Fields:
    """The defaults as a point of the search space: the first trial."""
    point = default_fields(recipe, member)
    if member == "xgboost":
        point[_PATH] = point["learning_rate"] * point.pop("rounds")
    return point


def suggest(trial: "Trial", recipe: Recipe, member: Member) -> Fields:
    """The fields of a trial. Every range is widened to hold the default; the default comes back exactly."""
    start = starting_point(recipe, member)
    point: Fields = {}
    for name, (low, high) in (_LOG[member] | _SHARE[member]).items():
        at = start[name]
        point[name] = trial.suggest_float(name, min(low, at), max(high, at), log=name in _LOG[member])
    for name, (least, most) in _WHOLE[member].items():
        at = int(start[name])
        point[name] = trial.suggest_int(name, min(least, at), max(most, at), log=True)
    if member == "xgboost":
        at = start[_PATH]
        point[_PATH] = trial.suggest_float(_PATH, at / _PATH_FACTOR, at * _PATH_FACTOR, log=True)
    if point == start:
        return default_fields(recipe, member)
    fields = {name: value if isinstance(value, int) else float(f"{value:.3g}") for name, value in point.items()}
    if member == "xgboost":
        most_rounds = _MOST_ROUNDS * recipe.xgboost.rounds
        fields["rounds"] = min(max(round(fields.pop(_PATH) / fields["learning_rate"]), 1), most_rounds)
    return fields
