"""What tuning found, as it lies in the home (`tuning/<tier>.json`), and when a training may use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import Grain, Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.lifecycle.files import write_atomically
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.tuning.space import Fields, Member, default_fields, with_fields

LEAST_GAIN: Final = 0.005
"""On every tuning fold; below this a gain is taken for luck. The best of many trials looks better than it is, and on
average it may owe that to one window: on rossmann 17 % in the weeks around Christmas, 0.1 % and 2 % in the other two,
and nothing in those that were scored after."""
_AGAIN: Final = "run `shelfops tune` again"


class MemberTuning(BaseModel):
    """The best trial of one member beside its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str = Field(description="Name of the study, and of its journal")
    loss: str
    trials: int = Field(description="Finished trials, pruned ones included")
    pruned: int
    defaults: Fields
    best: Fields
    default_losses: list[float] = Field(description="By tuning fold, oldest first")
    best_losses: list[float]
    score: float = Field(description="Mean over folds of the best trial's loss / the defaults' loss; 1: the defaults")

    @property
    def gain(self) -> float:
        """Share by which the best trial's loss is below the defaults', on average over folds."""
        return 1 - self.score

    @property
    def least_gain(self) -> float:
        """The same on the fold where it is least."""
        pairs = zip(self.best_losses, self.default_losses, strict=True)
        return min(1 - best / default for best, default in pairs)

    @property
    def changed(self) -> Fields:
        """The best trial's values that are not the defaults'."""
        return {k: v for k, v in self.best.items() if v != self.defaults[k]}


class TierTuning(BaseModel):
    """What was found for a tier, and what it was found on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    tier: Tier
    grain: Grain
    horizon: int
    transform: Transform
    cutoff: date = Field(description="The last period whose demand tuning saw")
    origins: list[date] = Field(description="Of the tuning folds")
    seed: int
    made_at: datetime
    members: dict[Member, MemberTuning]

    def same_problem(self, other: "TierTuning") -> bool:
        """Were both found on the same data?"""
        apart = {"made_at", "members"}
        return self.model_dump(exclude=apart) == other.model_dump(exclude=apart)


@dataclass(frozen=True)
class Applied:
    """A recipe to train with, and what to tell of it."""

    recipe: Recipe
    note: str


def read_tuning(folder: Path) -> dict[Tier, TierTuning]:
    """The results in a home's `tuning/`, as far as there are any. Raises ShelfOpsError for a damaged file."""
    found = {}
    for tier in Tier:
        path = folder / f"{tier.value}.json"
        if not path.is_file():
            continue
        try:
            found[tier] = TierTuning.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "content"
            raise ShelfOpsError(f"{path} is damaged ({where}: {first['msg']}); delete it, or {_AGAIN}") from None
    return found


def write_tuning(folder: Path, result: TierTuning) -> Path:
    """Write a tier's result, and keep what the file says of other members if it was found on the same data."""
    path = folder / f"{result.tier.value}.json"
    try:
        before = read_tuning(folder).get(result.tier)
    except ShelfOpsError:
        before = None  # damaged: what replaces it is whole
    if before is not None and before.same_problem(result):
        result = result.model_copy(update={"members": before.members | result.members})
    write_atomically(path, result.model_dump_json(indent=2) + "\n")
    return path


def apply_tuning(recipe: Recipe, panel: Panel, first_scored: int, tuning: TierTuning) -> Applied:
    """The recipe with what was found, where it was found for the same problem and without sight of a scored fold.

    `first_scored` is the origin of the earliest fold that will be scored: tuning may have seen nothing after it. The
    recipe must be the default one: what was found is only known to be better than the defaults it was compared with.
    """
    tier = recipe.spec.tier
    reason = _mismatch(recipe, panel, first_scored, tuning)
    if reason:
        return Applied(recipe, f"{tier}: tuned parameters are not used: {reason}")
    said, used = [], []
    for member, found in tuning.members.items():
        if found.defaults != default_fields(recipe, member):
            said.append(f"{member}: not used, the defaults have changed since; {_AGAIN}")
        elif not found.changed:
            said.append(f"{member}: no trial was better than the defaults")
        elif found.least_gain <= LEAST_GAIN:
            windows = f"{found.least_gain:.1%} on one of {len(found.best_losses)} windows"
            said.append(f"{member}: defaults; the best trial was {found.gain:.1%} better, but only {windows}")
        else:
            recipe = with_fields(recipe, member, found.best)
            used.append(member)
            said.append(f"{member}: {found.gain:.1%} better than the defaults up to {tuning.cutoff}")
    if used:
        recipe = recipe.model_copy(update={"tuned": f"{', '.join(used)}; saw demand up to {tuning.cutoff}"})
    return Applied(recipe, f"{tier}: {'tuned parameters' if used else 'nothing tuned'} ({'; '.join(said)})")


def _mismatch(recipe: Recipe, panel: Panel, first_scored: int, tuning: TierTuning) -> str:
    """Why a result does not fit, in words; empty where it fits."""
    scored_from = panel.dates[first_scored].astype("datetime64[D]").item()
    here: Mapping[str, tuple[object, object]] = {
        "data set": (tuning.dataset, panel.dataset),
        "tier": (tuning.tier.value, recipe.spec.tier.value),
        "grain": (tuning.grain.value, panel.grain.value),
        "horizon": (tuning.horizon, recipe.spec.horizon),
        "kind of demand": (tuning.transform, recipe.transform),
    }
    differing = [f"found for {name} {there}, not {now}" for name, (there, now) in here.items() if there != now]
    if not differing and tuning.cutoff > scored_from:
        return f"tuning saw demand up to {tuning.cutoff}, and the first fold that is scored begins after {scored_from}"
    return "; ".join(differing)
