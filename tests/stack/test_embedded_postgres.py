"""The embedded server survives what laptops do to it, and touches nothing that is not its own."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, text

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store import embedded, place
from shelfops_pipeline.store.embedded import embedded_postgres, is_running, remove_embedded
from shelfops_pipeline.store.engine import open_engine, warehouse_url

Homes = Callable[..., Path]

USER_PROCESS = """
import sys
from pathlib import Path
from shelfops_pipeline.store.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def base_of(home: Path) -> Path:
    return place.recorded(home) or home / "postgres"


def server_pid(home: Path) -> int:
    return int(json.loads((base_of(home) / "server.json").read_text())["pid"])


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not psutil.pid_exists(pid)


@contextmanager
def engine_on(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@contextmanager
def other_user(home: Path) -> "Iterator[subprocess.Popen[str]]":
    """Another process that uses the server until its stdin closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER_PROCESS, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("postgresql+psycopg://")
        yield process
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for the tests that only start and stop: its path has a space, and initdb runs once."""
    path = tmp_path_factory.mktemp("a home")
    yield path
    remove_embedded(path)


def test_it_starts_stops_and_keeps_what_was_written(home: Path) -> None:
    with embedded_postgres(home) as url, engine_on(url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT 1 AS x"))
            databases = set(connection.scalars(text("SELECT datname FROM pg_database")))
        assert {"shelfops", "dagster", "mlflow"} <= databases
        pid = server_pid(home)
    assert gone(pid)
    assert not is_running(home)
    with embedded_postgres(home) as url, engine_on(url) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT x FROM kept")) == 1


def test_only_its_owner_can_reach_it(home: Path) -> None:
    with embedded_postgres(home) as url, engine_on(url) as engine, engine.connect() as connection:
        sockets = Path(str(warehouse_url(url).query["host"]))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert connection.scalar(text("SHOW listen_addresses")) == ""
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
        assert connection.scalar(text("SHOW fsync")) == "on"
        listening = psutil.Process(server_pid(home)).net_connections("inet")
        assert listening == []
    assert not sockets.exists()


def test_committed_rows_survive_a_killed_server(home: Path) -> None:
    with embedded_postgres(home) as url, engine_on(url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE rows AS SELECT generate_series(1, 50000) AS x"))
        os.kill(server_pid(home), signal.SIGKILL)
    with embedded_postgres(home) as url, engine_on(url) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM rows")) == 50_000


def test_a_stale_pid_file_harms_nobody(home: Path) -> None:
    """The recorded number now belongs to someone else, here of the very user that the server runs as."""
    owner = base_of(home).stat()
    identity = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    bystander = subprocess.Popen(["sleep", "60"], cwd="/", **identity)  # type: ignore[call-overload]
    (base_of(home) / "data" / "postmaster.pid").write_text(
        f"{bystander.pid}\n{base_of(home) / 'data'}\n1700000000\n5432\n/tmp\n\n 1 1\nready\n"
    )
    with embedded_postgres(home) as url, engine_on(url):
        assert server_pid(home) != bystander.pid
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_processes_share_one_server_and_the_last_one_out_stops_it(home: Path) -> None:
    with other_user(home), embedded_postgres(home) as url, engine_on(url) as engine:
        pid = server_pid(home)
        with other_user(home):
            assert server_pid(home) == pid
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
    assert gone(pid)


def test_the_starter_may_leave_first(home: Path) -> None:
    with other_user(home) as starter:
        pid = server_pid(home)
        with embedded_postgres(home) as url, engine_on(url) as engine:
            assert starter.stdin is not None
            starter.stdin.close()
            assert starter.wait(20) == 0
            with engine.connect() as connection:
                assert connection.scalar(text("SELECT 1")) == 1
            assert server_pid(home) == pid
    assert gone(pid)


def test_a_killed_user_does_not_leave_a_server_behind(home: Path) -> None:
    with other_user(home) as user:
        pid = server_pid(home)
        user.kill()
        assert gone(pid)


def test_a_killed_keeper_takes_the_server_with_it_and_the_next_user_starts_anew(home: Path) -> None:
    with embedded_postgres(home):
        pid = server_pid(home)
        psutil.Process(pid).parent().kill()
        assert gone(pid)
        assert not is_running(home)
        with embedded_postgres(home) as url, engine_on(url):
            assert server_pid(home) != pid


def test_a_terminated_keeper_shuts_down_cleanly(home: Path) -> None:
    """As when the machine goes down: everybody gets SIGTERM."""
    with embedded_postgres(home):
        pid = server_pid(home)
        psutil.Process(pid).parent().terminate()
        assert gone(pid, seconds=5)
        assert "database system is shut down" in (base_of(home) / "server.log").read_text()


def test_a_half_made_cluster_is_made_again(embedded_home: Homes) -> None:
    home = embedded_home()
    spot = place.place_for(home)
    half = spot.base / "data.unfinished"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    os.chown(half, spot.uid, spot.gid)
    with embedded_postgres(home) as url, engine_on(url):
        assert not half.exists()


def test_a_server_that_cannot_start_says_why_in_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded.OPTIONS, "shared_buffers", "a lot")
    with pytest.raises(ShelfOpsError, match='"shared_buffers": "a lot"') as failure, embedded_postgres(home):
        pass
    assert "\n" not in str(failure.value)
    assert not is_running(home)


def test_data_of_another_version_are_left_alone(embedded_home: Homes) -> None:
    home = embedded_home()
    data = place.place_for(home).base / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(ShelfOpsError, match="written by PostgreSQL 16"), embedded_postgres(home):
        pass


def test_a_server_in_use_is_not_removed(home: Path) -> None:
    with embedded_postgres(home), pytest.raises(ShelfOpsError, match="in use"):
        remove_embedded(home)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the user")


@needs_root
def test_for_root_the_server_is_another_user_who_need_not_reach_the_home(embedded_home: Homes) -> None:
    home = embedded_home()
    home.parent.chmod(0o700)
    spot = place.place_for(home)
    assert spot.uid != 0
    assert not spot.base.is_relative_to(home)
    assert stat.S_IMODE(spot.base.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    assert place.place_for(home) == spot


@needs_root
def test_a_squatter_on_the_shared_place_is_refused(embedded_home: Homes) -> None:
    home = embedded_home()
    spot = place.place_for(home)
    os.chown(spot.base, 65534, 65534)
    (home / "postgres.json").unlink()
    with pytest.raises(ShelfOpsError, match="belongs to somebody else"):
        place._own(spot.base, place._account(home))
    (home / "postgres.json").write_text(json.dumps({"directory": str(spot.base)}))


@needs_root
def test_binaries_that_only_root_can_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_SHARED", tmp_path)
    source = tmp_path / "venv" / "bin"
    source.mkdir(parents=True, mode=0o700)
    (source / "postgres").touch(mode=0o700)
    copied = place._copied(source)
    assert stat.S_IMODE((copied / "postgres").stat().st_mode) == 0o755
    assert stat.S_IMODE(copied.stat().st_mode) == 0o755
    assert place._copied(source) == copied
