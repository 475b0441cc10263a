"""`shelfops restore`: a backup into an empty home and empty databases. Nothing in them is overwritten.

Every checksum is verified before anything is written. Files come first, then the rows of both databases, each in one
transaction, then the registry; the champion's pointer is the last, so that no API serves from half a home.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from shelfops_pipeline.errors import BundleError, ShelfOpsError
from shelfops_pipeline.lifecycle.audit import audit
from shelfops_pipeline.lifecycle.registry import CHAMPION, REGISTRY, Registry
from shelfops_pipeline.services.backup import DAGSTER_VERSION_TABLE, warehouse_tables
from shelfops_pipeline.services.backup_store import (
    MANIFEST,
    BackupManifest,
    BackupStore,
    StoredDatabase,
    stopped_in_one_line,
)
from shelfops_pipeline.services.console import StepBoard, console, step_progress
from shelfops_pipeline.services.instance import (
    dagster_instance,
    dagster_tables,
    fail_unfinished_runs,
    present_dagster_url,
    warehouse,
)
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.dump import copy_table_in, count_rows, existing, has_rows, take_time
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import downgrade, migrate, revision_of, revisions
from shelfops_pipeline.store.partitions import BY_TIME, ensure_partitions, settle

FOLDERS: Final = ("models", "reports", "tuning", "artifacts")
_HOME: Final = "home/"
_ARTIFACTS: Final = "artifacts/"
_LAST: Final = (f"{_HOME}models/{REGISTRY}", f"{_HOME}models/{CHAMPION}")
_USED: Final = ("runs", "event_logs", "job_ticks")
"""Tables of Dagster's storage that have rows once anything was done."""


def run_restore(settings: Settings, source: str) -> None:
    """Restore the backup at `source`, a directory or fsspec URL, and check the result as `models verify` does."""
    store = BackupStore(source)
    with stopped_in_one_line(f"the restore of {source}", "what it wrote is removed, so that it can be repeated"):
        manifest = store.manifest()
        _check(settings, manifest)
        _restore(settings, store, manifest)
    _tell(settings, manifest)


def _restore(settings: Settings, store: BackupStore, manifest: BackupManifest) -> None:
    with ExitStack() as held, step_progress(f"restore of {manifest.dataset}") as board:
        _verify(store, manifest, board)
        held.enter_context(_removed_on_failure(settings))
        url = held.enter_context(warehouse(settings))
        engine = _opened(url, held)
        _require_empty(engine, warehouse_tables())
        _require_unused_dagster(settings, url)
        _files(settings, store, manifest, board)
        _schema(engine, manifest.warehouse)
        with dagster_instance(settings, url) as instance:
            dagster = _dagster_engine(settings, url, held)
            _rows(store, manifest, engine, dagster, board)
            held.enter_context(_emptied_on_failure(engine, warehouse_tables()))
            if manifest.dagster is not None:
                held.enter_context(_emptied_on_failure(dagster, _USED))
                fail_unfinished_runs(instance, f"It was under way at the backup of {manifest.created_at:%Y-%m-%d}.")
        _settle(engine, manifest.warehouse)
        for path in (path for path in _LAST if path in manifest.files):
            _write(settings.root / path.removeprefix(_HOME), store, path)


def _check(settings: Settings, manifest: BackupManifest) -> None:
    """What can be said without touching anything."""
    if (wanted := Path(settings.dataset).stem) != manifest.dataset:
        raise ShelfOpsError(f"a backup of {manifest.dataset}, not of {wanted}: add --dataset {manifest.dataset}")
    if manifest.warehouse.revision not in revisions():
        raise ShelfOpsError(
            f"the backup was made by ShelfOps {manifest.shelfops}, whose warehouse (revision"
            f" {manifest.warehouse.revision}) this release does not know: install that release or a later one"
        )
    for name in FOLDERS:
        if (folder := settings.root / name).is_dir() and any(path.is_file() for path in folder.rglob("*")):
            raise ShelfOpsError(f"{folder} is not empty; restore into a new home: set SHELFOPS_HOME to a new directory")
    if settings.artifacts is not None and not BackupStore(settings.artifacts).is_empty():
        raise ShelfOpsError(f"SHELFOPS_ARTIFACTS={settings.artifacts} is not empty; choose an empty place")


def _verify(store: BackupStore, manifest: BackupManifest, board: StepBoard) -> None:
    board.report("checksums", "started")
    damaged = [path for path, expected in manifest.files.items() if store.damaged(path, expected)]
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise ShelfOpsError(
            f"the backup is damaged: {damaged[0]}{more} in {store.url} is missing or differs from its checksum in"
            f" {MANIFEST}; nothing was restored. Use another backup"
        )
    board.report("checksums", "done")


def _require_empty(engine: Engine, tables: Sequence[str]) -> None:
    with engine.connect() as connection:
        full = next((name for name in existing(connection, tables) if has_rows(connection, name)), None)
    if full is not None:
        raise ShelfOpsError(
            f"the database is not empty ({full} has rows); restore into a new home, or into new databases:"
            " SHELFOPS_DATABASE_URL, SHELFOPS_DAGSTER_DATABASE_URL"
        )


def _require_unused_dagster(settings: Settings, url: str) -> None:
    found = present_dagster_url(settings, url)
    if found is None:
        return
    engine = open_engine(found)
    try:
        _require_empty(engine, _USED)
    finally:
        engine.dispose()


@contextmanager
def _removed_on_failure(settings: Settings) -> Iterator[None]:
    """What a restore that failed has put into folders that were empty goes again, so that it can be repeated."""
    try:
        yield
    except BaseException:
        for name in FOLDERS:
            shutil.rmtree(settings.root / name, ignore_errors=True)
        if settings.artifacts is not None:
            BackupStore(settings.artifacts).clear()
        raise


@contextmanager
def _emptied_on_failure(engine: Engine, tables: Sequence[str]) -> Iterator[None]:
    """The same of tables, which were empty as well, once their rows are committed."""
    try:
        yield
    except BaseException:
        with engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(existing(connection, tables))} CASCADE"))
        raise


def _files(settings: Settings, store: BackupStore, manifest: BackupManifest, board: StepBoard) -> None:
    from shelfops_pipeline.defs.artifacts import CURRENT, artifact_root

    board.report("files", "started")
    root = artifact_root(settings)
    for path in (path for path in manifest.files if path not in _LAST):
        if path.startswith(_HOME):
            _write(settings.root / path.removeprefix(_HOME), store, path)
        elif path.startswith(_ARTIFACTS):
            root.write(path.removeprefix(_ARTIFACTS), _writer(store, path))
            if path.endswith(f"/{CURRENT}"):
                root.keep_folder(path.removeprefix(_ARTIFACTS).removesuffix(f"/{CURRENT}"))
    board.report("files", "done")


def _writer(store: BackupStore, path: str) -> Callable[[Any], object]:
    return lambda stream: stream.writelines(store.chunks(path))


def _write(target: Path, store: BackupStore, path: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    with draft.open("wb") as stream:
        stream.writelines(store.chunks(path))
    draft.replace(target)


def _schema(engine: Engine, stored: StoredDatabase) -> None:
    """Tables as they were when the backup was made, with the months that its rows lie in."""
    if revision_of(engine) not in (None, stored.revision):
        downgrade(engine)  # its tables are empty: this was looked at
    migrate(engine, stored.revision)
    for table in BY_TIME:
        ensure_partitions(engine, table, stored.months.get(table.name, ()))


def _dagster_engine(settings: Settings, url: str, held: ExitStack) -> Engine:
    found = present_dagster_url(settings, url)
    if found is None:
        raise ShelfOpsError("Dagster's storage was not made; see SHELFOPS_DAGSTER_DATABASE_URL")
    return _opened(found, held)


def _opened(url: str, held: ExitStack) -> Engine:
    engine = open_engine(url, application="shelfops restore")
    held.callback(engine.dispose)
    return engine


def _rows(store: BackupStore, manifest: BackupManifest, warehoused: Engine, dagster: Engine, board: StepBoard) -> None:
    """Both databases at once: all rows, or none."""
    with warehoused.begin() as here, dagster.begin() as there:
        for connection in (here, there):
            take_time(connection)
        _load(here, store, "warehouse", manifest.warehouse, warehouse_tables(), board)
        if manifest.dagster is not None:
            now = there.scalar(text(f"SELECT version_num FROM {DAGSTER_VERSION_TABLE}"))  # noqa: S608
            if now != manifest.dagster.revision:
                raise ShelfOpsError(
                    f"the backup's Dagster storage is of revision {manifest.dagster.revision}, this Dagster"
                    f" makes {now}: restore with ShelfOps {manifest.shelfops}, then upgrade"
                )
            there.execute(text(f"TRUNCATE {', '.join(existing(there, dagster_tables()))}"))
            _load(there, store, "dagster", manifest.dagster, dagster_tables(), board)


def _load(
    connection: Connection,
    store: BackupStore,
    name: str,
    stored: StoredDatabase,
    ours: Sequence[str],
    board: StepBoard,
) -> None:
    board.report(name, "started")
    for table, expected in stored.tables.items():
        if table not in ours:
            raise ShelfOpsError(f"the backup has rows of {table}, which is no table of {name}; nothing was restored")
        board.report(name, table)
        copy_table_in(connection, table, expected.columns, store.table_chunks(f"{name}/{table}.gz"))
        if (found := count_rows(connection, table)) != expected.rows:
            raise ShelfOpsError(f"{table} has {found:,} rows, the backup says {expected.rows:,}; nothing was restored")
    board.report(name, "done")


def _settle(engine: Engine, stored: StoredDatabase) -> None:
    """To the present schema, with statistics: a planner without them finds nothing quickly."""
    migrate(engine)
    for table in BY_TIME:
        settle(engine, table, stored.months.get(table.name, ()))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in existing(connection, stored.tables):
            connection.execute(text(f"ANALYZE {name}"))


def _tell(settings: Settings, manifest: BackupManifest) -> None:
    """Say what is there; raises BundleError when a model version is not what was registered."""
    rows = sum(table.rows for table in manifest.warehouse.tables.values())
    found = audit(Registry.of(settings))
    console.print(
        f"{settings.root}: {rows:,} rows in {len(manifest.warehouse.tables)} tables, as counted in the backup of"
        f" {manifest.created_at:%Y-%m-%d %H:%M} UTC; {sum(f.ok for f in found)} of {len(found)} findings about models"
        f" are well; champion: {manifest.champion or 'none yet'}",
        highlight=False,
    )
    if not manifest.artifacts:
        console.print("artifacts were not in the backup: `shelfops ingest --full` makes them again from the source")
    if settings.database_url is not None:
        console.print("roles and their rights are not in a backup: docs/warehouse.md#roles")
    bad = [finding for finding in found if not finding.ok]
    if bad:
        raise BundleError(f"everything was restored, but {bad[0].what}: {bad[0].detail}")
