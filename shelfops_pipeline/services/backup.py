"""`shelfops backup`: warehouse, Dagster's storage, model versions, reports and artifacts, as of one moment.

Everything goes on meanwhile. The registry is read, and both databases' snapshots begin, under the registry's lock; the
files that they speak of are copied afterwards, and are as they were or newer.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.markup import escape
from sqlalchemy import Connection, text

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.lifecycle.audit import audit
from shelfops_pipeline.lifecycle.registry import CHAMPION, REGISTRY, Registry
from shelfops_pipeline.lifecycle.succession import pointer_of
from shelfops_pipeline.services.backup_store import (
    BackupManifest,
    BackupStore,
    StoredDatabase,
    StoredTable,
    stopped_in_one_line,
)
from shelfops_pipeline.services.console import StepBoard, console, step_progress
from shelfops_pipeline.services.instance import dagster_tables, present_dagster_url, warehouse
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.dump import copy_table_out, existing, snapshot
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import VERSION_TABLE
from shelfops_pipeline.store.partitions import BY_TIME, months_in_use
from shelfops_pipeline.store.schema import metadata

if TYPE_CHECKING:
    from shelfops_pipeline.defs.artifacts import ArtifactRoot

DAGSTER_VERSION_TABLE: Final = "alembic_version"
FILES: Final = ("simulated_clock.json", "dagster/dagster.yaml", "dagster/.dagster.yaml.shipped")
"""What counts in a home beside its folders."""
_TRIES: Final = 5
_RUNS: Final = "runs"


@dataclass(frozen=True)
class _Moment:
    """What a backup is made of, as it was at one moment."""

    registry: bytes | None
    pointer: bytes | None
    versions: frozenset[str]
    champion: str | None
    warehouse: Connection
    dagster: Connection | None


def run_backup(settings: Settings, target: str, artifacts: bool = True) -> None:
    """Write a backup to `target`, an empty directory or fsspec URL, and say what is in it.

    Without `artifacts`, of these only what no source can give again.
    """
    store = BackupStore(target)
    with stopped_in_one_line(f"the backup to {target}", "what it wrote is no backup: remove it first"):
        _check(settings, store)
        manifest = _write(settings, store, artifacts)
    _tell(settings, store, manifest)


def _write(settings: Settings, store: BackupStore, artifacts: bool) -> BackupManifest:
    created_at = datetime.now(UTC)
    with ExitStack() as held, step_progress(f"backup of {settings.dataset}") as board:
        moment = _begin(settings, held)
        warehoused, dagster = _databases(store, moment, board)
        _home(settings, store, moment, board)
        _artifacts(settings, store, board, everything=artifacts)
        for name, content in ((REGISTRY, moment.registry), (CHAMPION, moment.pointer)):
            if content is not None:
                store.copy(f"home/models/{name}", io.BytesIO(content))
        manifest = BackupManifest(
            dataset=Path(settings.dataset).stem,
            shelfops=version("shelfops"),
            created_at=created_at,
            champion=moment.champion,
            warehouse=warehoused,
            dagster=dagster,
            artifacts=artifacts,
            files=store.files,
        )
        store.finish(manifest)
    return manifest


def warehouse_tables() -> list[str]:
    """All tables of the warehouse, parents before their children."""
    return [table.name for table in metadata.sorted_tables]


def _check(settings: Settings, store: BackupStore) -> None:
    if settings.database_url is None and not settings.root.is_dir():
        raise ShelfOpsError(f"nothing to back up: there is no {settings.root}; set SHELFOPS_HOME, or --dataset")
    if store.is_local and settings.root in (Path(store.path), *Path(store.path).parents):
        raise ShelfOpsError(f"{store.path} lies inside of the home {settings.root}; choose a directory outside of it")
    if not store.is_empty():
        raise ShelfOpsError(f"{store.url} is not empty; a backup is never written over another: choose a new directory")


def _begin(settings: Settings, held: ExitStack) -> _Moment:
    """The registry and both databases as they are now; the snapshots last as long as `held`."""
    url = held.enter_context(warehouse(settings))
    at = present_dagster_url(settings, url)
    registry = Registry.of(settings)
    if registry.entries():
        registry.champion()  # a pointer that is behind the registry is written again
    with registry.lock():
        entries = registry.entries()
        pointer = pointer_of(entries)
        dagster = None if at is None else _snapshot(at, [*dagster_tables(), DAGSTER_VERSION_TABLE], held)
        return _Moment(
            registry=_content(registry.models / REGISTRY),
            pointer=_content(registry.models / CHAMPION),
            versions=frozenset(entry.version for entry in entries),
            champion=None if pointer is None else pointer.release,
            warehouse=_snapshot(url, [*warehouse_tables(), VERSION_TABLE], held),
            dagster=dagster,
        )


def _snapshot(url: str, tables: Sequence[str], held: ExitStack) -> Connection:
    engine = open_engine(url, application="shelfops backup")
    held.callback(engine.dispose)
    with engine.connect() as connection:
        present = existing(connection, tables)
    if tables[-1] not in present:
        raise ShelfOpsError(f"the database has no table {tables[-1]}: it was never set up; `shelfops ingest` does it")
    return held.enter_context(snapshot(engine, present))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _databases(store: BackupStore, moment: _Moment, board: StepBoard) -> tuple[StoredDatabase, StoredDatabase | None]:
    """The warehouse, and Dagster's storage where there is one."""
    warehoused = _database(store, moment.warehouse, "warehouse", warehouse_tables(), VERSION_TABLE, board)
    by_time = [table for table in BY_TIME if table.name in warehoused.tables]
    months = {table.name: tuple(months_in_use(moment.warehouse, table)) for table in by_time}
    warehoused = warehoused.model_copy(update={"months": months})
    if moment.dagster is None:
        return warehoused, None
    return warehoused, _database(store, moment.dagster, "dagster", dagster_tables(), DAGSTER_VERSION_TABLE, board)


def _database(
    store: BackupStore, connection: Connection, name: str, tables: Sequence[str], version_table: str, board: StepBoard
) -> StoredDatabase:
    board.report(name, "started")
    revision = connection.scalar(text(f"SELECT version_num FROM {version_table}"))  # noqa: S608
    stored = {}
    for table in existing(connection, tables):
        board.report(name, table)
        with store.writing_table(f"{name}/{table}.gz") as write:
            dumped = copy_table_out(connection, table, write)
        stored[table] = StoredTable(columns=dumped.columns, rows=dumped.rows)
    board.report(name, "done")
    return StoredDatabase(revision=str(revision), tables=stored)


def _home(settings: Settings, store: BackupStore, moment: _Moment, board: StepBoard) -> None:
    """Files of the home. Of model versions those that were registered: what is written just now is not yet one."""
    board.report("files", "started")
    for path in _home_files(settings, moment.versions):
        try:
            stream = path.open("rb")
        except FileNotFoundError:  # replaced or removed meanwhile, as reports of the latest run are
            continue
        with stream:
            store.copy(f"home/{path.relative_to(settings.root)}", stream)
    board.report("files", "done")


def _home_files(settings: Settings, versions: frozenset[str]) -> Iterator[Path]:
    runs = settings.reports / _RUNS
    for version_ in sorted(versions):
        yield from _files(settings.models / version_)
        yield from _files(runs / version_)
    yield from (path for path in _files(settings.reports) if runs not in path.parents)
    yield from _files(settings.tuning)
    yield from (path for name in FILES if (path := settings.root / name).is_file())


def _files(folder: Path) -> Iterator[Path]:
    """Every file below, without drafts."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _artifacts(settings: Settings, store: BackupStore, board: StepBoard, *, everything: bool) -> None:
    """What assets stored; if not `everything`, the forecasts as they were issued alone: no source has them."""
    from shelfops_pipeline.defs.artifacts import artifact_root
    from shelfops_pipeline.monitoring.archive import FOLDER

    board.report("artifacts", "started")
    root = artifact_root(settings)
    files, folders = root.contents()
    if not everything:
        files, folders = [path for path in files if path.startswith(f"{FOLDER}/")], []
    for path in files:
        try:
            with root.open(path) as stream:
                store.copy(f"artifacts/{path}", stream)
        except FileNotFoundError:  # removed since
            continue
    for folder in folders:
        _artifact_folder(root, store, folder)
    board.report("artifacts", "done")


def _artifact_folder(root: "ArtifactRoot", store: BackupStore, folder: str) -> None:
    """The folder as one run left it; begun again when a run replaces it meanwhile."""
    from shelfops_pipeline.defs.artifacts import CURRENT

    for _ in range(_TRIES):
        version, copied = root.version_of(folder), []
        try:
            for name in sorted(root.names(f"{folder}/{version}")):
                with root.open(f"{folder}/{version}/{name}") as stream:
                    store.copy(f"artifacts/{folder}/{version}/{name}", stream)
                copied.append(name)
            replaced = root.version_of(folder) != version
        except FileNotFoundError:
            replaced = True
        if not replaced:
            store.copy(f"artifacts/{folder}/{CURRENT}", io.BytesIO(version.encode()))
            return
        for name in copied:
            store.forget(f"artifacts/{folder}/{version}/{name}")
    raise ShelfOpsError(f"the artifact {folder} is being replaced all the time; back up when fewer runs are under way")


def _tell(settings: Settings, store: BackupStore, manifest: BackupManifest) -> None:
    rows = sum(table.rows for table in manifest.warehouse.tables.values())
    size = sum(file.size for file in manifest.files.values()) / 1e6
    console.print(
        f"{store.url}: {rows:,} rows of the warehouse, {'with' if manifest.dagster else 'without'} Dagster's storage,"
        f" {len(manifest.files):,} files, {size:,.1f} MB; champion: {manifest.champion or 'none yet'}",
        highlight=False,
    )
    for finding in audit(Registry.of(settings)):
        if not finding.ok:
            console.print(f"[yellow]{finding.what} is damaged, and so it is in the backup[/]: {escape(finding.detail)}")
