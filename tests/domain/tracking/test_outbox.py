"""The files in which runs wait: complete, portable, and readable or said not to be."""

import json
import shutil

import pytest

from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.outbox import Outbox, UnreadableRunError
from tests.domain.tracking.conftest import MakeRun


def test_a_run_is_read_back_as_it_was_written(settings: Settings, make_run: MakeRun) -> None:
    run = make_run(metrics={"mae": 3.3, "mape": None})
    outbox = Outbox.of(settings)
    assert outbox.read(outbox.put(run, "c0ffee")) == (run, "c0ffee")


def test_undefined_metrics_are_null_and_named_never_zero(settings: Settings, make_run: MakeRun) -> None:
    content = json.loads(Outbox.of(settings).put(make_run(), None).read_text())
    assert content["run"]["metrics"]["mape"] is content["run"]["metrics"]["mase"] is None
    assert content["run"]["fold_metrics"]["mape"] == [None, 0.2]
    assert content["undefined_metrics"] == ["fold/mape 1", "mape", "mase"]


def test_runs_written_at_once_have_files_of_their_own_in_order(settings: Settings, make_run: MakeRun) -> None:
    outbox = Outbox.of(settings)
    files = [outbox.put(make_run(f"v{n}"), None) for n in range(1, 6)]
    assert outbox.waiting() == files
    assert [outbox.read(f)[0].version for f in outbox.waiting()] == ["v1", "v2", "v3", "v4", "v5"]


def test_a_moved_home_still_finds_its_artifacts(settings: Settings, make_run: MakeRun) -> None:
    Outbox.of(settings).put(make_run(), None)
    moved = settings.root.with_name("elsewhere")
    shutil.move(settings.root, moved)
    (waiting,) = Outbox(moved).waiting()
    run, _ = Outbox(moved).read(waiting)
    assert run.artifacts == {"bundle": moved / "models" / "v1", "reports": moved / "reports" / "runs" / "v1"}
    assert "missing_artifacts" not in run.tags


def test_artifacts_that_are_gone_are_named_in_a_tag(settings: Settings, make_run: MakeRun) -> None:
    outbox, run = Outbox.of(settings), make_run()
    path = outbox.put(run, None)
    shutil.rmtree(run.artifacts["reports"])
    read, _ = outbox.read(path)
    assert set(read.artifacts) == {"bundle"}
    assert read.tags["missing_artifacts"] == "reports"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema_version": 2}', '{"schema_version": 2, "run": {}}'])
def test_a_damaged_file_is_said_to_be_no_run(settings: Settings, make_run: MakeRun, damage: str) -> None:
    outbox = Outbox.of(settings)
    path = outbox.put(make_run(), None)
    path.write_text(damage)
    with pytest.raises(UnreadableRunError, match=r"run_.*json: not the record of a run"):
        outbox.read(path)


def test_a_file_of_another_release_is_refused(settings: Settings, make_run: MakeRun) -> None:
    outbox = Outbox.of(settings)
    path = outbox.put(make_run(), None)
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    with pytest.raises(UnreadableRunError, match="written as schema 1, this release reads 2"):
        outbox.read(path)


def test_the_reason_is_written_into_what_waits_only(settings: Settings, make_run: MakeRun) -> None:
    outbox = Outbox.of(settings)
    waits, gone = outbox.put(make_run(), None), outbox.put(make_run("v2"), None)
    outbox.done(gone)
    for path in (waits, gone):
        outbox.note(path, "the server is dead")
    assert json.loads(waits.read_text())["reason"] == "the server is dead"
    assert outbox.waiting() == [waits]
