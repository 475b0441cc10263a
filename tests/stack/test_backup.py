"""`shelfops backup` and `restore`, on a real warehouse, a real Dagster storage and versions of stand-in files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import insert, select

from shelfops_pipeline.contracts.columns import Tier
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.backup import run_backup
from shelfops_pipeline.services.backup_store import MANIFEST
from shelfops_pipeline.services.console import console
from shelfops_pipeline.services.instance import dagster_instance
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.dump import count_rows
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import migrate
from shelfops_pipeline.store.partitions import ensure_partitions
from shelfops_pipeline.store.schema import metadata
from shelfops_pipeline.store.tables import stores, transactions
from tests.conftest import make_databases
from tests.domain.lifecycle.conftest import write_stand_in
from tests.stack.test_instance import started_run

DAYS = (date(2025, 1, 31), date(2025, 2, 1))
ISSUED = "issued_forecasts/2025-01-31.champion.parquet"


@dataclass
class Shop:
    """A deployment that has been in use, and an empty one beside it."""

    settings: Settings
    fresh: Settings
    backup: Path
    run_id: str
    shelfops: Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop(
    postgres_server: str, tmp_path: Path, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> Shop:
    monkeypatch.setattr(console, "width", 300)

    def call(name: str, path: Path | str, settings: Settings, *flags: str, **changes: str) -> tuple[int, str, str]:
        """`shelfops` in this process; (exit code, stdout, stderr)."""
        values = {"HOME": str(settings.root), "DATASET": "", "DATA": "", "ARTIFACTS": ""}
        values["DATABASE_URL"] = settings.database_url.get_secret_value()  # type: ignore[union-attr]
        values["DAGSTER_DATABASE_URL"] = settings.dagster_database_url.get_secret_value()  # type: ignore[union-attr]
        for variable, value in (values | changes).items():
            monkeypatch.setenv(f"SHELFOPS_{variable}", value)
        return command(name, path, "--dataset", "shop", *flags)

    old, new = (
        Settings(dataset="shop", home=tmp_path / name, **make_databases(postgres_server, f"{tmp_path.name}_{name}"))
        for name in ("old", "new")
    )
    return Shop(old, new, tmp_path / "backup", _use(old), call)


def _use(settings: Settings) -> str:
    """Rows, runs, versions, reports and artifacts; returns the id of a run that is under way."""
    url = settings.database_url.get_secret_value()  # type: ignore[union-attr]
    engine = open_engine(url)
    migrate(engine)
    ensure_partitions(engine, transactions, DAYS)
    line = {"dataset": "shop", "ts": datetime(2025, 1, 31), "store_id": "s", "item_id": "i", "quantity": 0.1 + 0.2}
    with engine.begin() as connection:
        connection.execute(insert(transactions), [line | {"period": day} for day in DAYS])
        connection.execute(insert(stores), {"dataset": "shop", "store_id": "s", "attributes": {"city": "Graz"}})
    engine.dispose()
    registry = Registry(settings.models)
    for version in ("v1", "v2"):
        registry.register(write_stand_in(settings.models, version, Tier.PRODUCTION), 2.0, "trained")
    registry.promote("v1", "first")
    (settings.models / "v3").mkdir()
    (settings.models / "v3" / "xgboost.ubj").write_text("half a version that is being written")
    (settings.reports / "runs" / "v1").mkdir(parents=True)
    (settings.reports / "runs" / "v1" / "index.html").write_text("<p>v1")
    root = artifact_root(settings)
    root.write("raw/2025-01-31.parquet", lambda stream: stream.write(b"rows"))
    root.write(ISSUED, lambda stream: stream.write(b"forecasts"))
    for content in ("old", "new"):
        with root.replace_folder("panel") as folder:
            (folder / "demand.npy").write_text(content)
    with root.replace_folder("model_of_no_tier"):
        pass
    with dagster_instance(settings, url) as instance:
        return started_run(instance, None)


def _content(settings: Settings) -> dict[str, list[Any]]:
    engine = open_engine(settings.database_url.get_secret_value())  # type: ignore[union-attr]
    with engine.connect() as connection:
        rows = {table.name: list(connection.execute(select(table)).all()) for table in metadata.sorted_tables}
    engine.dispose()
    return {name: sorted(found, key=repr) for name, found in rows.items()}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / MANIFEST).read_text()))


def test_all_comes_back_and_what_was_being_written_is_absent(shop: Shop) -> None:
    code, out, err = shop.shelfops("backup", shop.backup, shop.settings)
    assert code == 0, err
    assert "champion: v1" in out
    code, out, err = shop.shelfops("restore", shop.backup, shop.fresh)
    assert code == 0, err
    assert "3 rows in" in out
    assert "champion: v1" in out
    assert _content(shop.fresh) == _content(shop.settings)
    for name in ("v1", "v2", "registry.json", "champion.json"):
        old, new = shop.settings.models / name, shop.fresh.models / name
        assert (_files(new) == _files(old)) if old.is_dir() else (new.read_bytes() == old.read_bytes())
    assert {path.name for path in shop.fresh.models.glob("v*")} == {"v1", "v2"}
    assert _files(shop.fresh.reports) == {"runs/v1/index.html": b"<p>v1"}
    root = artifact_root(shop.fresh)
    assert (root.folder("panel") / "demand.npy").read_text() == "new"
    assert list(root.folder("model_of_no_tier").iterdir()) == []
    assert root.open("raw/2025-01-31.parquet").read() == b"rows"
    with dagster_instance(shop.fresh, shop.fresh.database_url.get_secret_value()) as instance:  # type: ignore[union-attr]
        run = instance.get_run_by_id(shop.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE, "nothing can be under way in what was restored"
    assert shop.shelfops("restore", shop.backup, shop.fresh)[0] == 1, "a second time it is not empty"


def test_without_artifacts_it_has_what_no_source_gives_again_and_says_how_to_make_the_rest(shop: Shop) -> None:
    code, _, err = shop.shelfops("backup", shop.backup, shop.settings, "--no-artifacts")
    assert code == 0, err
    assert list(_files(shop.backup / "artifacts")) == [ISSUED]
    code, out, _ = shop.shelfops("restore", shop.backup, shop.fresh)
    assert code == 0
    assert "shelfops ingest --full" in out
    assert artifact_root(shop.fresh).open(ISSUED).read() == b"forecasts"


def _backed_up(shop: Shop) -> None:
    run_backup(shop.settings, str(shop.backup))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda shop: (shop.backup / MANIFEST).unlink(), "no complete backup"),
        (lambda shop: (shop.backup / MANIFEST).write_text("{"), "damaged, or of a newer release"),
        (lambda shop: (shop.backup / "home/models/v1/xgboost.onnx").write_text("x"), "home/models/v1/xgboost.onnx"),
        (lambda shop: (shop.backup / "warehouse/stores.gz").unlink(), "warehouse/stores.gz in"),
        (lambda shop: _edit(shop.backup, warehouse={"revision": "9999", "tables": {}}), "this release does not know"),
        (lambda shop: _edit(shop.backup, dataset="rossmann"), "add --dataset rossmann"),
        (lambda shop: _also(shop.backup, "home/../../notes.txt"), "leads out of the backup"),
        (lambda shop: _also(shop.backup, "home//notes.txt"), "leads out of the backup"),
        (lambda shop: _occupy(shop.fresh), "models is not empty"),
    ],
)
def test_what_cannot_be_restored_is_one_line_and_nothing_is_touched(
    shop: Shop, damage: Callable[[Shop], object], says: str
) -> None:
    _backed_up(shop)
    damage(shop)
    before = _files(shop.fresh.root) if shop.fresh.root.exists() else {}
    code, _, err = shop.shelfops("restore", shop.backup, shop.fresh)
    assert code == 1
    (line,) = (line for line in err.splitlines() if line.startswith("shelfops: "))
    assert says in line
    assert (_files(shop.fresh.root) if shop.fresh.root.exists() else {}) == before


def _edit(folder: Path, **changes: Any) -> None:
    (folder / MANIFEST).write_text(json.dumps(_manifest(folder) | changes))


def _also(folder: Path, path: str) -> None:
    files = _manifest(folder)["files"]
    _edit(folder, files=files | {path: next(iter(files.values()))})


def _occupy(settings: Settings) -> None:
    settings.models.mkdir(parents=True)
    (settings.models / "notes.txt").write_text("mine")


def test_a_database_in_use_is_never_written_over(shop: Shop) -> None:
    _backed_up(shop)
    before = _content(shop.settings)
    mixed = Settings(
        dataset="shop",
        home=shop.fresh.root,
        database_url=shop.settings.database_url,
        dagster_database_url=shop.fresh.dagster_database_url,
    )
    code, _, err = shop.shelfops("restore", shop.backup, mixed)
    assert (code, "is not empty" in err) == (1, True)
    assert _content(shop.settings) == before
    assert not shop.fresh.models.exists()


def _of_a_newer_dagster(shop: Shop) -> None:
    _edit(shop.backup, dagster=_manifest(shop.backup)["dagster"] | {"revision": "of a newer Dagster"})


def _with_a_foreign_table(shop: Shop) -> None:
    stored = _manifest(shop.backup)["warehouse"]
    _edit(shop.backup, warehouse=stored | {"tables": stored["tables"] | {"pg_authid": stored["tables"]["stores"]}})


def _no_room_for_the_registry(shop: Shop) -> None:
    """It is written when all rows are committed."""
    (shop.fresh.models / "registry.json").mkdir(parents=True)


@pytest.mark.parametrize(
    ("hindrance", "says"),
    [
        (_of_a_newer_dagster, "of a newer Dagster"),
        (_with_a_foreign_table, "pg_authid, which is no table of warehouse"),
        (_no_room_for_the_registry, "was stopped: [Errno 21] Is a directory"),
    ],
)
def test_a_restore_that_fails_half_way_leaves_nothing_and_can_be_repeated(
    shop: Shop, hindrance: Callable[[Shop], None], says: str, tmp_path: Path
) -> None:
    _backed_up(shop)
    whole, elsewhere = (shop.backup / MANIFEST).read_text(), tmp_path / "elsewhere"
    hindrance(shop)
    code, _, err = shop.shelfops("restore", shop.backup, shop.fresh, ARTIFACTS=str(elsewhere))
    (line,) = (line for line in err.splitlines() if line.startswith("shelfops: "))
    assert (code, says in line) == (1, True), line
    assert not shop.fresh.models.exists()
    assert _files(elsewhere) == {}
    engine = open_engine(shop.fresh.database_url.get_secret_value())  # type: ignore[union-attr]
    with engine.connect() as connection:
        assert count_rows(connection, "stores") == 0
    engine.dispose()
    (shop.backup / MANIFEST).write_text(whole)
    code, _, err = shop.shelfops("restore", shop.backup, shop.fresh, ARTIFACTS=str(elsewhere))
    assert code == 0, err
    assert _content(shop.fresh) == _content(shop.settings)
    assert (elsewhere / ISSUED).read_bytes() == b"forecasts"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (lambda shop: shop.settings.root / "backup", "choose a directory outside of it"),
        (lambda shop: _file(shop.backup) / "monday", "was stopped: [Errno 20] Not a directory"),
        (lambda shop: "nowhere://monday", "cannot be opened: Protocol not known: nowhere"),
    ],
)
def test_a_place_that_cannot_hold_a_backup_is_one_line(
    shop: Shop, place: Callable[[Shop], Path | str], says: str
) -> None:
    code, _, err = shop.shelfops("backup", place(shop), shop.settings)
    (line,) = (line for line in err.splitlines() if line.startswith("shelfops: "))
    assert (code, says in line) == (1, True), line


def _file(path: Path) -> Path:
    path.write_text("a file where a directory should be")
    return path


def test_a_backup_is_never_written_over_another(shop: Shop) -> None:
    _backed_up(shop)
    before = _files(shop.backup)
    code, _, err = shop.shelfops("backup", shop.backup, shop.settings)
    assert (code, "is not empty" in err) == (1, True)
    assert _files(shop.backup) == before


def test_a_damaged_version_is_told(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    (shop.settings.models / "v2" / "lstm.onnx").write_text("x")
    _backed_up(shop)
    assert "v2 is damaged, and so it is in the backup" in capfd.readouterr().out
    code, _, err = shop.shelfops("restore", shop.backup, shop.fresh)
    assert (code, "everything was restored, but v2" in err) == (1, True)


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_help_gives_an_example(name: str, command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = command(name, "--help")
    assert code == 0
    assert f"shelfops {name} /backups" in " ".join(out.split())
