"""The search: an Optuna study per member, in a journal file, that can be stopped at any time and taken up again.

A trial depends on the seed and on the trials before it alone, so a study that was interrupted goes on as if it had not
been. Its name holds a checksum of everything that a score depends on: other data or settings are another study.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.models.fit import Progress, quiet
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.tuning.result import MemberTuning
from shelfops_pipeline.tuning.score import LOSSES, TuningFold, fold_loss, prepare_folds, relative
from shelfops_pipeline.tuning.space import SPACE_VERSION, Member, default_fields, starting_point, suggest, with_fields
from shelfops_pipeline.tuning.task import TuningTask

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_FIELDS: Final = "fields"
_LOSSES: Final = "losses"
_RANDOM_TRIALS: Final = 8  # before the sampler has enough to learn from
_UNPRUNED_TRIALS: Final = 4


@dataclass(frozen=True)
class Budget:
    """How long one study may take, and how many trials it may make in that time."""

    seconds: float
    trials: int | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Found:
    """What a study knows when its time is over."""

    result: MemberTuning
    trials: list[dict[str, Any]]
    """every trial of the study, JSON-safe"""
    new: int
    """trials made this time"""


def tune_member(
    task: TuningTask,
    member: Member,
    folder: Path,
    budget: Budget,
    *,
    fresh: bool = False,
    progress: Progress = quiet,
) -> Found:
    """Search until the budget is spent; at least one trial is made, and the first of a study is the defaults.

    The study lies in `folder`, and goes on from there unless `fresh`. After the first trial, none begins that may not
    end in time, as the longest so far would not. Raises ShelfOpsError when another process works on the study or its
    journal is damaged, NotEnoughHistoryError when nothing was sold in a fold.
    """
    began, spent = budget.clock(), list[float]()
    name = study_name(task, member)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, name):
        study = _open(folder / f"{name}.journal", name, fresh)
        _take_up(study, task.recipe, member)
        folds = prepare_folds(task, member, progress)
        while not spent or _goes_on(budget, spent, budget.clock() - began):
            start = budget.clock()
            progress(_line(study, task.recipe, member, budget.seconds - (start - began)))
            _run_trial(study, folds, task.recipe, member)
            spent.append(budget.clock() - start)
        return Found(_result(study, task.recipe, member), _table(study), len(spent))


def study_name(task: TuningTask, member: Member) -> str:
    """What a study is about, and a checksum of all that decides its scores."""
    panel, spec = task.panel, task.recipe.spec
    digest = hashlib.sha256(f"{SPACE_VERSION} {member} {task.origins} {task.recipe.model_dump_json()}".encode())
    for arrays in ({"demand": panel.demand, "state": panel.state, "dates": panel.dates}, panel.channels, panel.past):
        for key, values in sorted(arrays.items()):
            digest.update(key.encode())
            digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    for key, static in sorted(panel.static.items()):
        digest.update(f"{key} {static.categories}".encode())
        digest.update(np.ascontiguousarray(static.codes).data)
    dataset = re.sub(r"[^\w.-]+", "-", panel.dataset)
    about = f"{dataset}-{spec.tier}-{member}-{spec.horizon}{spec.grain}-{task.cutoff}"
    return f"{about}-{digest.hexdigest()[:8]}"


def _goes_on(budget: Budget, spent: Sequence[float], elapsed: float) -> bool:
    """Is there time for another trial, as long as the longest so far, and may there be one?"""
    return elapsed + max(spent) <= budget.seconds and (budget.trials is None or len(spent) < budget.trials)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / f"{name}.lock", timeout=0):
            yield
    except Timeout:
        raise ShelfOpsError(f"another `shelfops tune` works on {folder / name}; wait for it, or stop it") from None


def _open(journal: Path, name: str, fresh: bool) -> "Study":
    """The study in the journal, made where there is none. A line that a killed process left unfinished is cut off."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)  # Optuna's: whoever held it is dead, we hold ours
    if fresh:
        journal.unlink(missing_ok=True)
    if journal.is_file():
        lines = journal.read_bytes()
        if not lines.endswith(b"\n"):
            with journal.open("r+b") as file:
                file.truncate(lines.rfind(b"\n") + 1)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        return optuna.create_study(storage=storage, study_name=name, pruner=pruner, load_if_exists=True)
    except (ValueError, KeyError) as error:
        raise ShelfOpsError(f"{journal} is damaged ({error}); begin anew with --fresh") from None


def _take_up(study: "Study", recipe: Recipe, member: Member) -> None:
    """A study begins with the defaults. A trial that ran when the process was killed is made again: it counts for
    nothing, so the sampler comes to it once more."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.WAITING)):
        study.enqueue_trial(starting_point(recipe, member))


def _run_trial(study: "Study", folds: Sequence[TuningFold], recipe: Recipe, member: Member) -> None:
    """One trial, fold by fold, until it is done or clearly worse than the trials before it."""
    from optuna.trial import TrialState

    of_defaults = _losses_of_defaults(study)
    study.sampler = _sampler(recipe.seed, len(_finished(study)))
    trial = study.ask()
    fields = suggest(trial, recipe, member)
    trial.set_user_attr(_FIELDS, fields)
    losses: list[float] = []
    for step, fold in enumerate(folds):
        losses.append(fold_loss(fold, with_fields(recipe, member, fields), member))
        if not of_defaults and losses[-1] == 0:
            raise ShelfOpsError(
                f"{member}: the defaults forecast fold {step + 1} without an error; nothing can be better"
            )
        score = relative(losses, of_defaults or losses)
        trial.set_user_attr(_LOSSES, losses)
        trial.report(score, step)
        if not np.isfinite(score) and not of_defaults:
            raise ShelfOpsError(
                f"{member}: the defaults forecast what is not a number; nothing can be compared with them"
            )
        if not np.isfinite(score) or (step < len(folds) - 1 and trial.should_prune()):
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, score)


def _sampler(seed: int, number: int) -> "BaseSampler":
    """A sampler per trial: one seed for all would repeat its first random trials whenever a study is taken up."""
    from optuna.samplers import TPESampler

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(seed=own, multivariate=True, n_startup_trials=_RANDOM_TRIALS, constant_liar=False)


def _finished(study: "Study") -> "list[FrozenTrial]":
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _complete(study: "Study") -> "list[FrozenTrial]":
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _losses_of_defaults(study: "Study") -> list[float]:
    """By fold; empty before the first trial is done, which is the defaults and is never pruned."""
    done = _complete(study)
    return done[0].user_attrs[_LOSSES] if done else []


def _result(study: "Study", recipe: Recipe, member: Member) -> MemberTuning:
    finished, best = _finished(study), study.best_trial
    return MemberTuning(
        study=study.study_name,
        loss=LOSSES[recipe.transform],
        trials=len(finished),
        pruned=len(finished) - len(_complete(study)),
        defaults=default_fields(recipe, member),
        best=best.user_attrs[_FIELDS],
        default_losses=_losses_of_defaults(study),
        best_losses=best.user_attrs[_LOSSES],
        score=study.best_value,
    )


def _table(study: "Study") -> list[dict[str, Any]]:
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "score": trial.value if trial.value is not None and np.isfinite(trial.value) else None,
            _LOSSES: [loss if np.isfinite(loss) else None for loss in trial.user_attrs.get(_LOSSES, [])],
            _FIELDS: trial.user_attrs.get(_FIELDS, {}),
            "seconds": None if trial.duration is None else round(trial.duration.total_seconds(), 2),
        }
        for trial in study.get_trials(deepcopy=False)
    ]


def _line(study: "Study", recipe: Recipe, member: Member, seconds_left: float) -> str:
    done = _complete(study)
    best = f"best {1 - study.best_value:.2%} better than the defaults" if done else "the defaults"
    left = f"{max(seconds_left, 0) / 60:.1f} min left"
    return f"{recipe.spec.tier} {member}: trial {len(_finished(study)) + 1}, {best}, {left}"
