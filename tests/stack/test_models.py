"""`shelfops models`: what a person sees and must know, on versions of stand-in files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.tracking import track
from tests.domain.lifecycle.conftest import write_stand_in

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry of the home that commands work in."""
    monkeypatch.setenv("SHELFOPS_HOME", str(tmp_path / "home"))
    for name in ("DATASET", "DATA", "DATABASE_URL", "USER"):
        monkeypatch.setenv(f"SHELFOPS_{name}", "")
    monkeypatch.setenv("COLUMNS", "200")
    return Registry(tmp_path / "home" / "models")


@pytest.fixture
def aliases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What MLflow was told; the tracker has its own tests."""
    told: list[tuple[str, ...]] = []

    def set_alias(settings: object, *args: str) -> bool:
        told.append(args)
        return len(told) < 3

    monkeypatch.setattr(track, "set_alias", set_alias)
    return told


@pytest.fixture
def run(home: Registry, command: Run) -> Run:
    """`shelfops models`; what it prints, on one line."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code, out, err = command("models", *arguments)
        return code, " ".join(out.split()), err

    return call


def made(home: Registry, tier: Tier = Tier.PRODUCTION, **changes: object) -> str:
    version = home.next_version()
    home.register(write_stand_in(home.models, version, tier, **changes), 2.0, "trained")
    return version


def one_line(err: str) -> str:
    (line,) = (line for line in err.splitlines() if line.startswith("shelfops: "))
    assert "Traceback" not in err
    return line


def test_a_version_is_promoted_by_name_and_the_list_and_mlflow_know(
    run: Run, home: Registry, aliases: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made(home)
    monkeypatch.setenv("SHELFOPS_USER", "anna")
    code, out, _ = run("promote", "v1", "--reason", "agreed [with] all")
    assert code == 0
    assert "champion: v1" in out
    assert aliases == [("shop", "production", "v1", "champion")]
    assert "agreed [with] all" in run("list")[1]
    assert "anna" in run("show", "v1")[1]


def test_rollback_is_one_command(run: Run, home: Registry, aliases: list[tuple[str, ...]]) -> None:
    for version in (made(home), made(home)):
        home.promote(version, "gate")
    code, out, _ = run("rollback", "--reason", "orders too high")
    assert code == 0
    assert "back from v2 to v1" in out
    assert home.champion_of(Tier.PRODUCTION) == "v1"
    assert home.entry("v1").reason == "orders too high (was v2)"
    assert aliases == [("shop", "production", "v1", "champion")]
    code, _, err = run("rollback")
    assert code == 1
    assert "no earlier champion to return to" in one_line(err)


def test_rollback_asks_for_the_tier_where_both_could_be_meant(
    run: Run, home: Registry, aliases: list[tuple[str, ...]]
) -> None:
    for tier in (*Tier, *Tier):
        home.promote(made(home, tier), "gate")
    code, _, err = run("rollback")
    assert code == 1
    assert "cold_start and production both have an earlier champion; say which with --tier" in one_line(err)
    assert run("rollback", "--tier", "cold_start")[0] == 0
    assert home.champion_of(Tier.COLD_START) == "v1"
    assert home.champion_of(Tier.PRODUCTION) == "v4"


def test_an_alias_that_could_not_be_moved_is_said_and_the_promotion_stands(
    run: Run, home: Registry, aliases: list[tuple[str, ...]]
) -> None:
    aliases += [("before",)] * 2
    made(home)
    code, out, _ = run("promote", "v1")
    assert code == 0
    assert "alias champion was not moved to v1" in out
    assert home.champion_of(Tier.PRODUCTION) == "v1"


def test_a_damaged_version_is_refused_in_one_line(run: Run, home: Registry) -> None:
    made(home)
    (home.models / "v1" / "lstm.onnx").unlink()
    code, _, err = run("promote", "v1")
    assert code == 1
    assert "v1/lstm.onnx is missing; restore the bundle from a backup" in one_line(err)
    assert home.champion() is None


def test_verify_passes_on_what_is_whole_and_names_what_is_not(run: Run, home: Registry) -> None:
    code, _, err = run("verify")
    assert code == 1
    assert "no model in" in one_line(err)
    home.promote(made(home), "gate")
    made(home)
    code, out, _ = run("verify")
    assert code == 0
    assert "names v1, as the registry does" in out
    for version in ("v1", "v2"):
        (home.models / version / "lstm.onnx").write_text("changed")
    code, out, err = run("verify")
    assert code == 1
    assert out.count("does not match its checksum") == 2
    assert "v1/lstm.onnx does not match its checksum" in one_line(err)
    assert "(and 1 more)" in one_line(err)


def test_compare_shows_what_two_versions_differ_in(run: Run, home: Registry) -> None:
    made(home, seed=7)
    made(home, seed=8)
    code, out, _ = run("compare", "v1", "v2")
    assert code == 0
    assert "v1: production, candidate v2: production, candidate" in out
    assert "no backtest_metrics.parquet" in out
    assert "seed │ 7 │ 8" in out
    assert "lstm.onnx" in out
    code, _, err = run("compare", "v1", "v9")
    assert code == 1
    assert "no model version 'v9'; known versions: v1, v2" in one_line(err)


@pytest.mark.parametrize("name", ["list", "show", "compare", "promote", "rollback", "verify"])
def test_every_command_gives_an_example(run: Run, name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"shelfops models {name}" in out.split("Example", 1)[1]


def test_sync_tracking_says_in_one_line_that_mlflow_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFOPS_MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    code, _, err = run("sync-tracking")
    assert code == 1
    (line,) = [line for line in err.splitlines() if line.startswith("shelfops: ")]
    assert "MLflow at http://…@127.0.0.1:9 is away" in line
    assert "secret" not in err
