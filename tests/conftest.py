"""Fixtures that every room may use: a real PostgreSQL, started once per session."""

import gc
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

if "PYTEST_XDIST_WORKER" in os.environ:
    # One process per core: threads of two that wait for each other by spinning cost several times what they do.
    os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")}

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from sqlalchemy import Engine

from shelfops_pipeline import cli
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.explain import version
from shelfops_pipeline.models import totals
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.store.embedded import embedded_postgres, remove_embedded
from shelfops_pipeline.store.engine import for_database, open_engine, warehouse_url
from shelfops_pipeline.store.migrate import migrate

# On shared machines a deadline fails by chance; a fixed seed makes a red build red for everybody.
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None, max_examples=25)
settings.load_profile("ci" if "CI" in os.environ else "dev")

_TOGETHER: Final = {
    "tests/api": "tests/api",
    "tests/defs": "tests/defs",
    **{
        f"tests/domain/{room}": "fitted"
        for room in ("evaluation", "explain", "inference", "lifecycle", "models", "monitoring")
    },
}
"""Directories whose files share fixtures that take a while to make: they run in one process."""
_FIRST: Final = ("fitted", "tests/stack", "tests/test_benchmarks.py", "tests/defs", "tests/domain/tuning", "tests/api")
"""What takes longest begins first, so that no process waits long for the last one."""
_APART: Final = ("tests/defs/test_automation.py", "tests/defs/test_sensors.py")
"""These have retailers of their own."""
_COUNTED: Final = ("tests/domain/", "tests/api/", "tests/defs/test_sensors.py", "tests/defs/test_tracking.py")
"""Their lines are counted (`--cov`)."""

_MLFLOW_PLACES: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")

_WHOLE_TOTALS: Final = totals.totals_recipe

_numbers = itertools.count()
_TEMPLATE = "shelfops_template"


def _scope(nodeid: str) -> str:
    file = nodeid.split("::")[0]
    return file if file in _APART else _TOGETHER.get(str(Path(file).parent), file)


def _rank(item: pytest.Item) -> int:
    return next((n for n, prefix in enumerate(_FIRST) if _scope(item.nodeid).startswith(prefix)), len(_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which directories are shared out (`-n`)."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_rank)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share out whole files, or whole directories where they share costly fixtures (`-n`)."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFixtures(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid)

    config.option.loadscopereorder = False  # by number of tests: a few long ones would come last
    return ByFixtures(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Lines are counted (`--cov`) while the tests of the domain and the API run, their fixtures included, and the two
    of the graph that read sales and track runs: elsewhere it would cost half as much again for lines that these run as
    well."""
    counting = coverage.Coverage.current() if (coverage := sys.modules.get("coverage")) else None
    if counting is None or item.nodeid.startswith(_COUNTED):
        return (yield)
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()


def admin(url: str, statement: str, *names: str) -> None:
    """Run one statement with quoted `names` on the server's own database."""
    host = str(warehouse_url(url).query["host"])
    with psycopg.connect(host=host, user="shelfops", dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session", autouse=True)
def light_work() -> Iterator[None]:
    """What no setting makes smaller and every training or forecast does anew, done with less (as recipes are here).

    Totals are fitted with sixty trees, a thousand otherwise (`whole_totals` puts them back); a version's network is
    explained on 32 rows against 4, otherwise 128 against 16.
    """
    light = {"rounds": 60, "learning_rate": 0.1, "trees_per_round": 1, "max_depth": 5, "max_leaves": 24, "max_bin": 64}

    def recipe(panel: Panel, horizon: int) -> Recipe:
        whole = _WHOLE_TOTALS(panel, horizon)
        return whole.model_copy(update={"xgboost": whole.xgboost.model_copy(update=light)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "totals_recipe", recipe)
        patch.setattr(version, "ROWS", 32)
        patch.setattr(version, "BACKGROUND", 4)
        yield


@pytest.fixture
def whole_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Totals are fitted as they are for a user."""
    monkeypatch.setattr(totals, "totals_recipe", _WHOLE_TOTALS)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Calls `shelfops` in this process, with the settings of the environment; returns (exit code, stdout, stderr)."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["shelfops", *map(str, arguments)])
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        out, err = capfd.readouterr()
        return int(code or 0), out, err

    return call


@pytest.fixture(autouse=True)
def no_tracking_server_left_behind() -> Iterator[None]:
    """MLflow keeps the server that it was told of, in its modules and in the environment; later tests would find it."""
    before = {name: os.environ[name] for name in _MLFLOW_PLACES if name in os.environ}
    yield
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    for name in _MLFLOW_PLACES:
        os.environ.pop(name, None)
    os.environ |= before


def make_databases(server: str, name: str) -> dict[str, str]:
    """A warehouse and a storage of Dagster that no other test's retailer shares, as settings."""
    storage = f"{name}_dagster"
    for database in (name, storage):
        admin(server, "CREATE DATABASE {}", database)
    return {"database_url": for_database(server, name), "dagster_database_url": for_database(server, storage)}


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's embedded server; the URL of a database that no test writes to."""
    home = tmp_path_factory.mktemp("postgres")
    with embedded_postgres(home) as url:
        # Tests make and drop hundreds of databases; durability has its own tests, on their own servers.
        admin(url, "ALTER SYSTEM SET fsync = off")
        admin(url, "SELECT pg_reload_conf()")
        yield url
    remove_embedded(home)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """The name of a database with the warehouse's tables, to make others from."""
    admin(postgres_server, "CREATE DATABASE {}", _TEMPLATE)
    engine = open_engine(for_database(postgres_server, _TEMPLATE))
    migrate(engine)
    engine.dispose()
    return _TEMPLATE


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    yield from _database(postgres_server, "template1")


@pytest.fixture
def warehouse_url_of_test(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """The URL of a fresh database with the warehouse's tables."""
    yield from _database(postgres_server, migrated_template)


@pytest.fixture
def warehouse(warehouse_url_of_test: str) -> Iterator[Engine]:
    """An engine on a fresh database with the warehouse's tables."""
    engine = open_engine(warehouse_url_of_test)
    yield engine
    engine.dispose()


@pytest.fixture
def embedded_home(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes homes whose embedded server is removed again (as root it lies outside of pytest's directory)."""
    made: list[Path] = []

    def make(name: str = "home") -> Path:
        home = tmp_path / name
        home.mkdir()
        made.append(home)
        return home

    yield make
    for home in made:
        remove_embedded(home)


def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    admin(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    yield for_database(server, name)
    admin(server, "DROP DATABASE {} WITH (FORCE)", name)
