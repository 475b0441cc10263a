"""A warehouse for `bench api`: the home's release, with its series repeated until there are as many as M5 has."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from load import request_bytes
from measure import say
from psycopg import sql
from redis import Redis
from redis.exceptions import RedisError

from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.services.stack import redis_binary
from shelfops_pipeline.store.api_keys import issue_key
from shelfops_pipeline.store.embedded import embedded_postgres
from shelfops_pipeline.store.engine import for_database, open_engine, warehouse_url
from shelfops_pipeline.store.migrate import migrate

ROWS: Final = 16
_DATABASE: Final = "shelfops_bench_api"
_COPIED: Final = ("releases", "online_features", "demand_forecasts")


@dataclass(frozen=True)
class Retailer:
    """What there is to ask for."""

    series: list[tuple[str, str]]
    dates: list[str]
    rows: list[list[float]]
    """Sixteen rows of the champion's own XGBoost inputs."""

    def rows_request(self, path: str) -> bytes:
        columns = [f"f{k}" for k in range(len(self.rows[0]))]
        frame = {"dataframe_split": {"columns": columns, "data": self.rows}}
        body: Any = self.rows if path == "/predict" else frame
        return request_bytes("POST", path, {}, body)


@contextmanager
def copied_release(home: Path, pointer: ChampionPointer, least: int) -> Iterator[tuple[str, Retailer, str]]:
    """The URL of a database with the release, its series repeated to `least`; what is in it; and an API key."""
    with embedded_postgres(home) as source:
        url = for_database(source, _DATABASE)
        with _connect(source) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {_DATABASE} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {_DATABASE}")
        try:
            engine = open_engine(url)
            migrate(engine)
            with _connect(source) as old, _connect(url) as new:
                for table in _COPIED:
                    _copy(old, new, table, pointer.release)
                _repeat(new, least)
                retailer = _retailer(new, home, pointer)
            key = issue_key(engine, pointer.dataset, "bench", [Scope.READ, Scope.PREDICT], by="bench").text
            engine.dispose()
            yield url, retailer, key
        finally:
            with _connect(source) as admin:
                admin.execute(f"DROP DATABASE {_DATABASE} WITH (FORCE)")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of its own; its URL."""
    socket = folder / "redis.sock"
    command = [redis_binary(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        url, deadline = f"unix://{socket}", time.monotonic() + 20
        while not _redis_answers(url):
            if time.monotonic() > deadline:
                raise ShelfOpsError("Redis did not start")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def _redis_answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _connect(url: str) -> "psycopg.Connection[Any]":
    parsed = warehouse_url(url)
    host = str(parsed.query["host"])
    return psycopg.connect(host=host, user=parsed.username, dbname=parsed.database, autocommit=True)


def _copy(old: "psycopg.Connection[Any]", new: "psycopg.Connection[Any]", table: str, release: str) -> None:
    columns = [row[0] for row in old.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]  # noqa: S608
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    where = sql.SQL("COPY (SELECT {} FROM {} WHERE release = {}) TO STDOUT (FORMAT binary)")
    taken = where.format(names, sql.Identifier(table), sql.Literal(release))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), names)
    with old.cursor().copy(taken) as source, new.cursor().copy(into) as target:
        for block in source:
            target.write(block)


def _repeat(connection: "psycopg.Connection[Any]", least: int) -> None:
    """The same forecasts under other items."""
    (series,) = connection.execute("SELECT count(DISTINCT (store_id, item_id)) FROM demand_forecasts").fetchone() or (
        0,
    )
    if not series:
        raise ShelfOpsError("the champion's forecasts are not in the warehouse of the home; run its graph first")
    times = max(least // series - 1, 0)
    say(f"{series} series, and {times} times as many like them")
    columns = ", ".join(("date", "model_version", *FORECAST_COLUMNS[3:]))
    connection.execute(
        f"INSERT INTO demand_forecasts (release, store_id, item_id, {columns}) "  # noqa: S608
        f"SELECT release, store_id, item_id || '~' || k, {columns} FROM demand_forecasts, generate_series(1, %s) k",
        [times],
    )
    connection.execute("VACUUM ANALYZE demand_forecasts")


def _retailer(connection: "psycopg.Connection[Any]", home: Path, pointer: ChampionPointer) -> Retailer:
    manifest = read_manifest(home / "models" / pointer.version)
    found = connection.execute(
        "SELECT store_id, item_id, origin, payload FROM online_features WHERE model_version = %s LIMIT 200",
        [pointer.version],
    ).fetchall()
    payload = [bytes(found[0][3])]
    state = SeriesState.unpack(manifest.spec, np.datetime64(found[0][2]), payload)
    rows = np.nan_to_num(model_matrix(manifest.spec, state)[0])[:ROWS]
    rows = np.resize(rows, (ROWS, rows.shape[1]))
    dates = [str(day) for day in state.target_dates.tolist()]
    return Retailer([(row[0], row[1]) for row in found], dates, rows.astype(float).tolist())
