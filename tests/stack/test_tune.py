"""`shelfops tune` as it is called: a result in the home, a tracked run, and the next forecast uses it and says so."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.tuning.result import TierTuning, read_tuning, write_tuning
from tests.stack.test_cli import one_line, write_rossmann

# MLflow 3.17's own tables use a loader option that SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
Call = Callable[..., tuple[int, str, str]]
TIER = Tier.COLD_START


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rossmann(tmp_path / "data")


@pytest.fixture
def call(tmp_path: Path, data: Path, command: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A command on a small data set; what it prints, on one line."""
    for name in ("DATASET", "DATA", "HORIZON", "TIER", "SEED", "METRIC"):
        monkeypatch.setenv(f"SHELFOPS_{name}", "")  # what the command sets is taken back
    for name in ("MLFLOW_TRACKING_URI", "SHELFOPS_MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": tmp_path / "home", "EFFORT": 0.05, "FOLDS": 1}.items():
        monkeypatch.setenv(f"SHELFOPS_{name}", str(value))

    def run(name: str, *arguments: str | Path) -> tuple[int, str, str]:
        code, out, err = command(name, "--dataset", "rossmann", "--data", data, "--horizon", "14", *arguments)
        return code, " ".join(out.split()), err

    return run


def test_a_search_leaves_a_result_and_a_tracked_run_and_goes_on_when_repeated(call: Call, tmp_path: Path) -> None:
    code, out, err = call("tune", "--trials", "2", "--minutes", "30", "--tier", TIER)
    assert code == 0, err
    assert "2 (2 new" in out
    result = read_tuning(tmp_path / "home" / "tuning")[TIER]
    assert (result.dataset, result.horizon, str(result.cutoff)) == ("rossmann", 14, "2014-04-21")
    assert result.members["xgboost"].trials == 2
    code, out, err = call("tune", "--trials", "1", "--tier", TIER)
    assert code == 0, err
    assert "3 (1 new" in out
    runs = _tracked(tmp_path / "home")
    assert [run.data.metrics["trials"] for run in runs] == [3, 2]
    assert {run.data.params["member"] for run in runs} == {"xgboost"}
    assert (runs[0].data.tags["trigger"], runs[0].data.tags["kind"]) == ("manual", "tuning")
    trials = json.loads((tmp_path / "home" / "tuning" / result.members["xgboost"].study / "trials.json").read_text())
    assert [trial["number"] for trial in trials] == [0, 1, 2]


def _tracked(home: Path) -> list:  # type: ignore[type-arg]
    """Runs in the home's MLflow store, newest first."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    return client.search_runs([client.get_experiment_by_name("shelfops/rossmann").experiment_id])


def test_a_forecast_uses_what_was_found_and_says_so(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFOPS_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # away: the run is a file
    assert call("tune", "--trials", "1", "--tier", TIER)[0] == 0
    assert list((tmp_path / "home" / "reports").glob("run_*.json"))
    folder = tmp_path / "home" / "tuning"
    write_tuning(folder, _better(read_tuning(folder)[TIER]))
    code, out, err = call("forecast", "--tier", TIER, "--out", tmp_path / "f.parquet")
    assert code == 0, err
    assert "cold_start: tuned parameters (xgboost: 20.0% better than the defaults up to 2014-04-21)" in out


def _better(found: TierTuning) -> TierTuning:
    """As if a trial had been far better than the defaults."""
    member = found.members["xgboost"]
    best = member.model_copy(
        update={
            "best": member.best | {"max_depth": 3},
            "score": 0.8,
            "best_losses": [0.8 * loss for loss in member.default_losses],
        }
    )
    return found.model_copy(update={"members": {"xgboost": best}})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--models", "prophet"), "--models: xgboost, lstm or both, not 'prophet'"),
        (("--as-of", "2014-02-16"), "tuning the cold_start tier needs 35 periods before the first fold that is scored"),
        (("--tier", "production", "--as-of", "2014-05-03"), "tuning the production tier needs 105 periods"),
        (("--tier", "gold"), "--tier"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(call: Call, arguments: tuple[str, ...], told: str) -> None:
    code, _, err = call("tune", "--trials", "1", *arguments)
    assert code == 1
    assert told in one_line(err)
