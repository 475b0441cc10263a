"""Promotions that are cut short, and promotions at once: always one valid champion per tier."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.errors import BundleError, PromotionError, ShelfOpsError
from shelfops_pipeline.lifecycle.lock import registry_lock
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.store.engine import advisory_lock, open_engine

Candidate = Callable[..., str]
PRODUCTION = Tier.PRODUCTION


def one_champion(registry: Registry, tier: Tier = PRODUCTION) -> str:
    """The tier's only champion: whole, and the one that champion.json names once the registry has been asked."""
    (held,) = (e for e in registry.entries() if e.status is Status.CHAMPION and e.feature_tier is tier)
    registry.check(held)
    pointer = registry.champion()
    on_disk = ChampionPointer.model_validate_json((registry.models / "champion.json").read_bytes())
    assert pointer == on_disk
    assert held.version in pointer.versions
    return held.version


# Between the two writes.


@pytest.fixture
def behind(registry: Registry, candidate: Candidate) -> tuple[str, str]:
    """(old, new): the process that promoted `new` was killed after the registry was written, before the pointer."""
    old, new = candidate(), candidate()
    registry.promote(old, "first")
    before = (registry.models / "champion.json").read_bytes()
    registry.promote(new, "better")
    (registry.models / "champion.json").write_bytes(before)
    return old, new


def test_a_pointer_that_is_behind_is_written_by_whoever_asks_next(registry: Registry, behind: tuple[str, str]) -> None:
    assert not registry.is_settled()
    pointer = registry.champion()
    assert pointer is not None
    assert pointer.version == behind[1]
    assert registry.is_settled()


@pytest.mark.parametrize("left", [b"", b'{"version": "v1"', b"\xff\xfe"], ids=["empty", "half", "not text"])
def test_a_pointer_that_cannot_be_read_is_written_again(
    registry: Registry, behind: tuple[str, str], left: bytes
) -> None:
    (registry.models / "champion.json").write_bytes(left)
    assert one_champion(registry) == behind[1]
    (registry.models / "champion.json").unlink()
    assert one_champion(registry) == behind[1]


def test_the_next_promotion_starts_from_the_registry_not_from_a_pointer_that_is_behind(
    registry: Registry, behind: tuple[str, str], candidate: Candidate
) -> None:
    newest = candidate()
    registry.promote(newest, "best", over=behind[1])
    assert one_champion(registry) == newest
    assert registry.predecessor(PRODUCTION) == behind[1]


def test_a_pointer_is_the_same_whoever_derives_it(registry: Registry, candidate: Candidate) -> None:
    pointer = registry.promote(candidate(), "first")
    (registry.models / "champion.json").unlink()
    assert registry.champion() == pointer


def test_what_killed_writers_left_is_cleared_away_under_the_lock(registry: Registry, candidate: Candidate) -> None:
    version = candidate()
    for name in (".registry.json.x8k2", ".champion.json.9s0d"):
        (registry.models / name).write_text('{"half": ')
    registry.promote(version, "first")
    assert {p.name for p in registry.models.iterdir()} == {version, "registry.json", "champion.json", ".registry.lock"}


def test_a_damaged_registry_says_so_and_is_not_written_over(registry: Registry, candidate: Candidate) -> None:
    version = candidate()
    path = registry.models / "registry.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(BundleError, match=r"registry.json is damaged \(.*\); restore it from a backup"):
        registry.promote(version, "first")


# Killed at any moment.

LOOP = """
import itertools, sys
from pathlib import Path
from shelfops_pipeline.lifecycle.registry import Registry
registry = Registry(Path(sys.argv[1]))
for k, version in enumerate(itertools.cycle(sys.argv[2:])):
    if k == 2: print("promoting", flush=True)
    registry.promote(version, "next")
"""


def kill_promotions(registry: Registry, versions: list[str], kills: int, seed: int) -> dict[str, int]:
    """Promote in a loop in a process that is killed after a random time; after each, the state must be valid."""
    rng = random.Random(seed)  # noqa: S311
    seen = {"kills": 0, "pointer behind": 0, "draft left": 0}
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", LOOP, str(registry.models), *versions], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "promoting\n"
        time.sleep(rng.uniform(0, 0.1))
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        seen["kills"] += 1
        seen["pointer behind"] += not registry.is_settled()
        seen["draft left"] += any(registry.models.glob(".*.json.*"))
        assert one_champion(registry) in versions
        last = registry.promote(rng.choice(versions), "by hand")
        assert one_champion(registry) == last.version
    return seen


def test_a_promotion_killed_at_any_moment_leaves_a_valid_champion(registry: Registry, candidate: Candidate) -> None:
    kill_promotions(registry, [candidate() for _ in range(3)], kills=3, seed=1)


@pytest.mark.soak
def test_fifty_promotions_killed_at_random_leave_a_valid_champion(
    registry: Registry, candidate: Candidate, record_property: Callable[[str, object], None]
) -> None:
    for name, count in kill_promotions(registry, [candidate() for _ in range(5)], kills=50, seed=2).items():
        record_property(name, count)


# At once.

CROWD = """
import multiprocessing, os, sys
from pathlib import Path
from pydantic import SecretStr
from shelfops_pipeline.lifecycle.registry import Registry
url = os.environ.get("URL")
registry = Registry(Path(sys.argv[1]), "shop", SecretStr(url) if url else None)
fork = multiprocessing.get_context("fork")  # this process has one thread: twenty of them start within milliseconds
together = fork.Barrier(len(sys.argv) - 2)
def promote(version):
    together.wait()
    registry.promote(version, "race")
children = [fork.Process(target=promote, args=(v,)) for v in sys.argv[2:]]
for child in children: child.start()
for child in children: child.join()
sys.exit(sum(child.exitcode != 0 for child in children))
"""


@pytest.mark.parametrize("shared", [False, True], ids=["file lock", "database"])
def test_twenty_promotions_at_once_leave_exactly_one_champion(
    registry: Registry, candidate: Candidate, postgres_server: str, shared: bool
) -> None:
    versions = [candidate() for _ in range(20)]
    environment = os.environ | ({"URL": postgres_server} if shared else {})
    command = [sys.executable, "-c", CROWD, str(registry.models), *versions]
    assert subprocess.run(command, env=environment, timeout=120, check=False).returncode == 0
    winner = one_champion(registry)
    entries = {e.version: e for e in registry.entries()}
    assert {v: e.status for v, e in entries.items()} == {
        v: Status.CHAMPION if v == winner else Status.ARCHIVED for v in versions
    }
    assert all([c.status for c in e.history].count(Status.CHAMPION) == 1 for e in entries.values())


def test_a_promotion_waits_for_a_host_that_holds_the_shared_lock(
    registry: Registry, candidate: Candidate, postgres_server: str
) -> None:
    """Whose file lock this host does not see."""
    version = candidate()
    shared = Registry(registry.models, "shop", SecretStr(postgres_server))
    engine: Engine = open_engine(postgres_server)
    done = threading.Event()

    def promote() -> None:
        shared.promote(version, "first")
        done.set()

    with advisory_lock(engine, "registry:shop"):
        thread = threading.Thread(target=promote)
        thread.start()
        assert not done.wait(0.5)
    assert done.wait(30)
    thread.join()
    engine.dispose()
    assert one_champion(registry) == version


@pytest.mark.parametrize("shared", [False, True], ids=["file lock", "database"])
def test_a_lock_that_is_never_free_is_one_clear_line(tmp_path: Path, postgres_server: str, shared: bool) -> None:
    database = SecretStr(postgres_server) if shared else None
    other = tmp_path / "elsewhere" if shared else tmp_path  # where there is a database, a path of its own does not help
    with (
        registry_lock(tmp_path, "shop", database),
        pytest.raises(PromotionError, match=r"other processes have been changing the registry of .* for 0.2 s; try"),
        registry_lock(other, "shop", database, seconds=0.2),
    ):
        pass


def test_locks_of_other_retailers_are_others(tmp_path: Path, postgres_server: str) -> None:
    database = SecretStr(postgres_server)
    with (
        registry_lock(tmp_path / "a", "shop", database),
        registry_lock(tmp_path / "b", "fair", database, seconds=0.2),
    ):
        pass


def test_a_gate_does_not_promote_over_a_champion_that_it_did_not_compare(
    registry: Registry, candidate: Candidate
) -> None:
    first, second, third = (candidate() for _ in range(3))
    registry.promote(first, "first", over="")
    registry.promote(second, "by hand, while the gate was at work")
    with pytest.raises(PromotionError, match=r"v3 was compared with v1, but v2 serves the production tier by now"):
        registry.promote(third, "gate", over=first)
    with pytest.raises(PromotionError, match=r"v3 was compared with the baselines, but v2 serves"):
        registry.promote(third, "gate", over="")
    assert one_champion(registry) == second


def test_a_shared_database_that_is_away_is_one_clear_line(registry: Registry, candidate: Candidate) -> None:
    version = candidate()
    away = Registry(registry.models, "shop", SecretStr("postgresql://me@127.0.0.1:1/none"))
    with pytest.raises(ShelfOpsError, match="Cannot open the database"):
        away.promote(version, "first")
    assert registry.champion() is None
