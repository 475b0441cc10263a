"""The search: begins with the defaults, keeps to its time, goes on where it stopped, and sees no scored fold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.evaluation.folds import fold_origins
from shelfops_pipeline.lifecycle.training import TrainingPlan
from shelfops_pipeline.models.recipe import default_recipe
from shelfops_pipeline.tuning.space import default_fields
from shelfops_pipeline.tuning.study import Budget, Found, study_name, tune_member
from shelfops_pipeline.tuning.task import TuningTask
from tests.domain.support import chain_panel, tiny
from tests.domain.tuning.conftest import cold_start_task, with_demand_after

LONG = 3600.0
SECONDS = "seconds"


def search(task: TuningTask, folder: Path, trials: int, **options: Any) -> Found:
    return tune_member(task, "xgboost", folder, Budget(LONG, trials), **options)


def outcomes(found: Found) -> list[dict[str, Any]]:
    """What the trials tried and scored, without how long they took."""
    finished = [t for t in found.trials if t["state"] in {"complete", "pruned"}]
    return [{k: v for k, v in t.items() if k not in {SECONDS, "number"}} for t in finished]


@pytest.fixture(scope="module")
def sixteen(task: TuningTask, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Sixteen trials in one go: past the random ones."""
    return search(task, tmp_path_factory.mktemp("sixteen"), 16)


def test_the_first_trial_is_the_defaults_and_the_best_is_never_worse(task: TuningTask, sixteen: Found) -> None:
    first, result = sixteen.trials[0], sixteen.result
    assert first["fields"] == result.defaults == default_fields(task.recipe, "xgboost")
    assert first["score"] == 1
    complete = [t for t in sixteen.trials if t["state"] == "complete"]
    best = min(complete, key=lambda t: t["score"])
    assert result.score == best["score"] <= 1
    assert (result.best, result.best_losses) == (best["fields"], best["losses"])
    assert result.default_losses == first["losses"]
    assert result.gain == pytest.approx(1 - np.mean(np.divide(best["losses"], first["losses"])))
    assert sixteen.new == result.trials == len(sixteen.trials) == 16


def test_a_trial_that_is_clearly_worse_is_stopped_after_a_fold(task: TuningTask, sixteen: Found) -> None:
    folds = {
        state: [len(t["losses"]) for t in sixteen.trials if t["state"] == state] for state in ("complete", "pruned")
    }
    assert sixteen.result.pruned == len(folds["pruned"]) > 0
    assert all(n < len(task.origins) for n in folds["pruned"])
    assert all(n == len(task.origins) for n in folds["complete"])


def test_a_study_that_is_taken_up_makes_the_trials_that_it_would_have_made(
    task: TuningTask, tmp_path: Path, sixteen: Found
) -> None:
    assert search(task, tmp_path, 5).new == 5
    again = search(task, tmp_path, 6)
    assert (again.new, again.result.trials) == (6, 11)
    assert outcomes(again) == outcomes(sixteen)[:11]


def test_a_killed_search_loses_only_the_trial_that_ran(task: TuningTask, tmp_path: Path, sixteen: Found) -> None:
    """As a kill leaves it: a trial that runs for ever, Optuna's lock, half a line."""
    search(task, tmp_path, 3)
    name = study_name(task, "xgboost")
    journal = tmp_path / f"{name}.journal"
    optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(journal)))).ask()
    journal.with_name(f"{journal.name}.lock").symlink_to(journal)
    with journal.open("a") as file:
        file.write('{"op_code":6,"worker_id":"gone","trial_')
    again = search(task, tmp_path, 3)
    assert [t["state"] for t in again.trials].count("fail") == 1
    assert outcomes(again) == outcomes(sixteen)[:6]


def test_a_search_that_is_killed_in_its_first_trial_still_begins_with_the_defaults(
    task: TuningTask, tmp_path: Path, sixteen: Found
) -> None:
    name = study_name(task, "xgboost")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / f"{name}.journal")))
    optuna.create_study(study_name=name, storage=storage).ask()
    assert outcomes(search(task, tmp_path, 2)) == outcomes(sixteen)[:2]


def test_another_seed_tries_others(task: TuningTask, tmp_path: Path, sixteen: Found) -> None:
    other = replace(task, recipe=task.recipe.model_copy(update={"seed": task.recipe.seed + 1}))
    tried = [t["fields"] for t in search(other, tmp_path, 3).trials]
    assert tried[0] == sixteen.trials[0]["fields"]
    assert tried[1:] != [t["fields"] for t in sixteen.trials[1:3]]


def test_time_that_is_over_stops_the_search_after_one_trial(task: TuningTask, tmp_path: Path) -> None:
    assert tune_member(task, "xgboost", tmp_path, Budget(0.0)).new == 1


@pytest.mark.parametrize(("minutes", "trials"), [(5, 6), (7, 4), (31, 1)])
def test_no_trial_begins_that_is_not_expected_to_end_in_half_an_hour(
    task: TuningTask, tmp_path: Path, minutes: int, trials: int
) -> None:
    """By a clock on which every trial takes so many minutes."""
    told: list[str] = []

    def clock() -> float:
        return 60.0 * minutes * sum("trial" in line for line in told)

    found = tune_member(task, "xgboost", tmp_path, Budget(30 * 60.0, clock=clock), progress=told.append)
    assert found.new == trials
    left = [f"{30 - minutes * k:.1f} min left" for k in range(trials)]
    assert [line.split(", ")[-1] for line in told if "trial" in line] == left


def test_demand_that_never_changes_leaves_nothing_to_tune(tmp_path: Path, one_thread: None) -> None:
    shop = chain_panel(stores=1, items=4, periods=80)
    same = replace(shop, demand=np.where(np.isfinite(shop.demand), np.float32(4), shop.demand))
    recipes = {Tier.COLD_START: tiny(default_recipe(same, Tier.COLD_START, 7, seed=1))}
    plan = TrainingPlan(recipes, fold_origins(same, 7, 2, season=7))
    with pytest.raises(ShelfOpsError, match="forecast fold 1 without an error; nothing can be better"):
        search(cold_start_task(same, plan), tmp_path, 2)


def test_demand_after_the_cut_off_changes_no_trial(
    shop: Panel, plan: TrainingPlan, task: TuningTask, tmp_path: Path, sixteen: Found
) -> None:
    other = with_demand_after(shop, plan.origins[0], 3.0)
    assert not np.array_equal(other.demand, shop.demand, equal_nan=True)
    changed = cold_start_task(other, plan)
    assert study_name(changed, "xgboost") == study_name(task, "xgboost")
    assert outcomes(search(changed, tmp_path, 3)) == outcomes(sixteen)[:3]


def test_demand_before_the_cut_off_makes_another_study_with_other_scores(
    shop: Panel, plan: TrainingPlan, task: TuningTask, tmp_path: Path, sixteen: Found
) -> None:
    changed = cold_start_task(with_demand_after(shop, plan.origins[0] - 1, 3.0), plan)
    assert study_name(changed, "xgboost") != study_name(task, "xgboost")
    assert search(changed, tmp_path, 1).trials[0]["losses"] != sixteen.trials[0]["losses"]


def test_members_and_horizons_have_studies_of_their_own(task: TuningTask) -> None:
    further = task.recipe.model_copy(update={"spec": task.recipe.spec.model_copy(update={"horizon": 7})})
    names = {
        study_name(task, "xgboost"),
        study_name(task, "lstm"),
        study_name(replace(task, recipe=further), "xgboost"),
    }
    assert len(names) == 3


def test_two_searches_on_one_study_are_one_too_many(task: TuningTask, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / f"{study_name(task, 'xgboost')}.lock"),
        pytest.raises(ShelfOpsError, match="another `shelfops tune` works on"),
    ):
        search(task, tmp_path, 1)


def test_a_damaged_journal_is_told_and_fresh_begins_anew(task: TuningTask, tmp_path: Path, sixteen: Found) -> None:
    journal = tmp_path / f"{study_name(task, 'xgboost')}.journal"
    journal.write_text('{"op_code":\nnot a journal\n')
    with pytest.raises(ShelfOpsError, match=r"is damaged.*--fresh"):
        search(task, tmp_path, 1)
    assert outcomes(search(task, tmp_path, 2, fresh=True)) == outcomes(sixteen)[:2]


def test_the_lstm_is_searched_in_its_own_space(task: TuningTask, tmp_path: Path) -> None:
    one_fold = replace(task, origins=task.origins[-1:])
    found = tune_member(one_fold, "lstm", tmp_path, Budget(LONG, 2))
    assert set(found.result.defaults) == {"learning_rate", "epochs", "units"}
    assert found.trials[0]["score"] == 1
    assert found.trials[1]["fields"] != found.trials[0]["fields"]
