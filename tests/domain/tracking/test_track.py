"""Tracking as a training calls it: MLflow there, away, slow, and lost half-way; then the replay.

Left to itself, MLflow's client asks a server that is away for four minutes, call by call: longer than a test may take.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shelfops_pipeline.contracts.columns import Status
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.outbox import Outbox
from shelfops_pipeline.tracking.probe import tracking_uri
from shelfops_pipeline.tracking.track import git_commit, is_behind, replay_runs, set_alias, track_run, track_runs
from tests.domain.tracking.conftest import MakeRun, register
from tests.domain.tracking.faulty import Fault, door
from tests.mlflow_server import MlflowServer, assert_holds, client, free_port, runs_of


def test_a_run_goes_to_the_database_in_the_home_by_default(
    settings: Settings, make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    result = track_run(settings, run)
    assert result.where == "mlflow"
    assert result.run_id is not None
    assert_holds(tracking_uri(settings), result.run_id, run, tmp_path)
    found = client(tracking_uri(settings)).get_run(result.run_id)
    assert found.data.tags.get("git_commit") == found.data.tags.get("mlflow.source.git.commit") == git_commit()
    assert found.info.artifact_uri.startswith((settings.root / "mlflow" / "artifacts").as_uri())
    assert Outbox.of(settings).waiting() == []


def test_with_nothing_at_the_port_a_training_waits_for_nothing(settings: Settings, make_run: MakeRun) -> None:
    run = make_run()
    in_an_image = settings.model_copy(update={"git_commit": "c0ffee"})
    result = track_run(in_an_image, run, f"http://127.0.0.1:{free_port()}")
    assert result.where == "file"
    assert result.path is not None
    content = json.loads(result.path.read_text())
    assert content["run"]["params"] == dict(run.params)
    assert content["run"]["artifacts"] == {"bundle": "models/v1", "reports": "reports/runs/v1"}
    assert "refused" in content["reason"] == result.reason
    assert content["git_commit"] == "c0ffee"


@pytest.mark.parametrize(("fault", "after"), [("closed", 4), ("dripping", 12)])
def test_a_server_lost_half_way_costs_seconds_and_every_run_is_completed_once(
    settings: Settings, make_run: MakeRun, server: MlflowServer, tmp_path: Path, fault: Fault, after: int
) -> None:
    """After so many calls for the two runs of a training the server closes, or answers by the byte. Then it is back,
    and two replays begin at once."""
    dataset = f"lost-{fault}"
    runs = [make_run(v, dataset=dataset) for v in ("v1", "v2")]
    register(settings, runs[1], Status.CHAMPION)
    quick = settings.model_copy(update={"tracking_seconds": 2.0})
    with door(server.url, fault, after) as uri:
        results = track_runs(quick, runs, uri)
    assert [r.where for r in results] == ["file", "file"]
    assert len(runs_of(server.url, dataset)) == 1
    assert is_behind(settings)

    with ThreadPoolExecutor(2) as pool:
        replays = list(pool.map(lambda _: replay_runs(settings, server.url), range(2)))
    assert [r.away for r in replays] == ["", ""]
    assert sum(len(r.tracked) for r in replays) == 2
    assert not is_behind(settings)
    found = {r.info.run_name: r.info.run_id for r in runs_of(server.url, dataset)}
    assert len(runs_of(server.url, dataset)) == 2
    for run in runs:
        assert_holds(server.url, found[run.version], run, tmp_path / run.version)
    versions = client(server.url).search_model_versions(f"name = 'shelfops-{dataset}-production'")
    assert sorted(v.tags["shelfops.version"] for v in versions) == ["v1", "v2"]
    champion = client(server.url).get_model_version_by_alias(f"shelfops-{dataset}-production", "champion")
    assert champion.run_id == found["v2"]


def test_while_mlflow_is_away_a_replay_changes_nothing(settings: Settings, make_run: MakeRun) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    track_run(settings, make_run(), away)
    files = Outbox.of(settings).waiting()
    before = [f.read_bytes() for f in files]
    replay = replay_runs(settings, away)
    assert "refused" in replay.away
    assert replay.waiting == files
    assert [f.read_bytes() for f in files] == before


def test_what_nobody_can_read_is_put_apart_and_the_others_are_sent(
    settings: Settings, make_run: MakeRun, store: str
) -> None:
    outbox = Outbox.of(settings)
    bad, good = outbox.put(make_run(dataset="apart"), None), outbox.put(make_run("v2", dataset="apart"), None)
    bad.write_text("{")
    replay = replay_runs(settings, store)
    assert [r.path for r in replay.refused] == [outbox.refused / bad.name]
    assert len(replay.tracked) == 1
    assert (outbox.tracked / good.name).is_file()
    assert not outbox.waiting()


def test_the_alias_follows_the_registry_now_or_when_mlflow_is_back(
    settings: Settings, make_run: MakeRun, store: str
) -> None:
    runs = [make_run(v, dataset="moves") for v in ("v1", "v2")]
    register(settings, runs[0], Status.CHAMPION)
    register(settings, runs[1], Status.CANDIDATE)
    track_runs(settings, runs, store)
    name = "shelfops-moves-production"

    def pointed() -> dict[str, int]:
        return dict(client(store).get_registered_model(name).aliases)

    assert pointed() == {"champion": 1, "challenger": 2}
    register(settings, runs[0], Status.ARCHIVED)
    register(settings, runs[1], Status.CHAMPION)
    away = f"http://127.0.0.1:{free_port()}"
    assert not set_alias(settings, "moves", "production", "v2", "champion", away)
    assert pointed() == {"champion": 1, "challenger": 2}
    assert is_behind(settings)
    replay_runs(settings, store)
    assert pointed() == {"champion": 2}
    assert not is_behind(settings)
    assert set_alias(settings, "moves", "production", "v2", "champion", store)
    assert not set_alias(settings, "moves", "production", "v9", "champion", store)


def test_a_missing_artifact_folder_is_the_callers_mistake(settings: Settings, make_run: MakeRun) -> None:
    run = make_run(artifacts={"bundle": settings.models / "nowhere"})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        track_run(settings, run)
    assert Outbox.of(settings).waiting() == []


def test_the_training_process_imports_no_mlflow_and_keeps_its_environment(settings: Settings) -> None:
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "from shelfops_pipeline.settings import Settings\n"
        "from shelfops_pipeline.tracking.track import replay_runs\n"
        f"replay_runs(Settings(), 'http://127.0.0.1:{free_port()}')\n"
        "assert dict(os.environ) == before\n"
        "assert 'mlflow' not in sys.modules and 'dagster_mlflow' not in sys.modules"
    )
    environment = os.environ | {"SHELFOPS_HOME": str(settings.root)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
