"""`shelfops tune`: search parameters on windows that no backtest scores, and leave them for the next training."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.console import console, step_progress, tell_refused
from shelfops_pipeline.services.pipeline import require_directory
from shelfops_pipeline.settings import Settings

if TYPE_CHECKING:
    from shelfops_pipeline.data.load import Loaded
    from shelfops_pipeline.data.panel import Panel
    from shelfops_pipeline.lifecycle.training import TrainingPlan
    from shelfops_pipeline.tuning.result import MemberTuning, TierTuning
    from shelfops_pipeline.tuning.space import Member
    from shelfops_pipeline.tuning.study import Found
    from shelfops_pipeline.tuning.task import TuningTask


@dataclass(frozen=True)
class TuneRequest:
    """What was asked for besides the settings."""

    minutes: float
    trials: int | None
    """At most so many new ones per study; None: as many as fit into the time."""
    models: str
    """xgboost, lstm or both"""
    fresh: bool
    as_of: date | None


def run_tune(settings: Settings, request: TuneRequest) -> None:
    """`shelfops tune`."""
    from shelfops_pipeline.tuning.study import Budget, tune_member
    from shelfops_pipeline.tuning.task import plan_tuning

    members = _members(request.models)
    require_directory(settings.data, settings.dataset)
    found: dict[Tier, dict[Member, Found]] = {}
    with step_progress(f"tune {settings.dataset}") as board:
        board.say("loading")
        loaded, panel, plan = _load(settings, request.as_of)
        tasks, refused = plan_tuning(panel, plan)
        ends = time.monotonic() + 60 * request.minutes
        studies = [(tier, member) for tier in tasks for member in members]
        for k, (tier, member) in enumerate(studies):
            budget = Budget((ends - time.monotonic()) / (len(studies) - k), request.trials)
            started = datetime.now(UTC)
            one = tune_member(tasks[tier], member, settings.tuning, budget, fresh=request.fresh, progress=board.say)
            found.setdefault(tier, {})[member] = one
            _keep(settings, tasks[tier], member, one, started)
    tell_refused(loaded.validation)
    for text in refused.values():
        console.print(f"[yellow]{text}", highlight=False)
    _show(settings, panel, plan, found)


def _members(models: str) -> "tuple[Member, ...]":
    from shelfops_pipeline.tuning.space import MEMBERS

    chosen = MEMBERS if models == "both" else tuple(m for m in MEMBERS if m == models)
    if not chosen:
        raise ShelfOpsError(f"--models: {', '.join(MEMBERS)} or both, not {models!r}")
    return chosen


def _load(settings: Settings, as_of: date | None) -> "tuple[Loaded, Panel, TrainingPlan]":
    """The panel as a training would see it, and what it would train without any tuning."""
    from shelfops_pipeline.data.load import load_panel, origin_of
    from shelfops_pipeline.data.sources import open_source
    from shelfops_pipeline.lifecycle.training import plan_training

    s = settings
    source = open_source(s.dataset, s.data, s)
    loaded = load_panel(source, s.max_quarantined_share)
    panel = loaded.panel.as_of(origin_of(loaded.panel, as_of, weekly_rows=source.weekly_rows), s.horizon)
    return loaded, panel, plan_training(panel, s.horizon, s.tier, s.folds, s.seed, s.effort)


def _keep(settings: Settings, task: "TuningTask", member: "Member", found: "Found", started: datetime) -> None:
    """The result for the next training, and the whole study for the experiment tracker."""
    from shelfops_pipeline.contracts.trigger import Trigger
    from shelfops_pipeline.lifecycle.files import write_json
    from shelfops_pipeline.tracking.run_record import RunRecord
    from shelfops_pipeline.tracking.track import track_run
    from shelfops_pipeline.tuning.result import write_tuning
    from shelfops_pipeline.tuning.space import with_fields

    result, tuning, ended = found.result, _tier_tuning(task, member, found), datetime.now(UTC)
    write_tuning(settings.tuning, tuning)
    folder = settings.tuning / result.study
    write_json(folder / "trials.json", found.trials)
    params = with_fields(task.recipe, member, result.best).parameters()
    run = RunRecord(
        version=result.study,
        dataset=tuning.dataset,
        tier=tuning.tier.value,
        trigger=Trigger.MANUAL,
        params=params | {"member": member, "cutoff": str(tuning.cutoff), "loss": result.loss, "seed": tuning.seed},
        metrics={"score": result.score, "trials": result.trials, "pruned": result.pruned, "new": found.new},
        fold_metrics={"default_loss": result.default_losses, "best_loss": result.best_losses},
        artifacts={"tuning": folder},
        made_at=ended,
        seconds=(ended - started).total_seconds(),
        tags={"kind": "tuning"},
    )
    track_run(settings, run)


def _tier_tuning(task: "TuningTask", member: "Member", found: "Found") -> "TierTuning":
    from shelfops_pipeline.tuning.result import TierTuning

    panel, recipe = task.panel, task.recipe
    return TierTuning(
        dataset=panel.dataset,
        tier=recipe.spec.tier,
        grain=panel.grain,
        horizon=recipe.spec.horizon,
        transform=recipe.transform,
        cutoff=task.cutoff,
        origins=panel.dates[list(task.origins)].astype("datetime64[D]").tolist(),
        seed=recipe.seed,
        made_at=datetime.now(UTC),
        members={member: found.result},
    )


def _show(settings: Settings, panel: "Panel", plan: "TrainingPlan", found: "dict[Tier, dict[Member, Found]]") -> None:
    """What the studies found, and whether the next training will use it."""
    from shelfops_pipeline.tuning.result import apply_tuning, read_tuning

    view = Table(title=f"{settings.dataset}: tuned on what lies before the first scored fold", title_justify="left")
    for name in ("tier", "model", "trials", "loss of the defaults", "of the best", "gain", "least on a fold"):
        view.add_column(name)
    for tier, members in found.items():
        for member, one in members.items():
            r = one.result
            trials = f"{r.trials} ({one.new} new, {r.pruned} pruned)"
            losses = [f"{_mean(values):.4g}" for values in (r.default_losses, r.best_losses)]
            view.add_row(tier.value, member, trials, *losses, f"{r.gain:.2%}", f"{r.least_gain:.2%}")
    console.print(view)
    kept = read_tuning(settings.tuning)
    for tier, members in found.items():
        for member, one in members.items():
            console.print(f"{tier} {member}, best trial: {_words(one.result)}", highlight=False)
        console.print(apply_tuning(plan.recipes[tier], panel, plan.origins[0], kept[tier]).note, highlight=False)
    console.print(f"{settings.tuning}: used by the next train, forecast and backtest that it fits; delete it to undo")


def _mean(values: "Sequence[float]") -> float:
    return sum(values) / len(values)


def _words(result: "MemberTuning") -> str:
    changes = (f"{name} {result.defaults[name]:g} → {value:g}" for name, value in result.changed.items())
    return ", ".join(changes) or "the defaults"
