"""PostgreSQL and Redis with the files of deploy/, and an S3 server, for what scripts/images_at_work.py does."""

import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import s3fs

from shelfops_pipeline.services.stack import redis_binary
from shelfops_pipeline.store.place import place_for

ROOT: Final = Path(__file__).parents[1]
HOST: Final = "127.0.0.1"
BUCKET: Final = "shelf"
PASSWORD_OF: Final = {
    "shelfops": "WAREHOUSE_PASSWORD",
    "shelfops_api": "API_DB_PASSWORD",
    "dagster": "DAGSTER_DB_PASSWORD",
    "mlflow": "MLFLOW_DB_PASSWORD",
}
NEIGHBOURS: Final = {"shelfops": "dagster", "shelfops_api": "mlflow", "dagster": "shelfops", "mlflow": "dagster"}
"""Roles, and a database of another's."""


class CheckError(Exception):
    """Something did not do what it should; the text has the end of its log."""


@contextmanager
def databases(folder: Path, port: int, passwords: dict[str, str]) -> Iterator[None]:
    """A PostgreSQL server by TCP with passwords, on which deploy/timescaledb/databases.sql was run."""
    place = place_for(folder / "server")
    as_owner: dict[str, Any] = {"user": place.uid, "group": place.gid, "cwd": "/", "env": {"PATH": os.defpath}}
    data, secret = place.base / "data", place.base / "password"
    secret.write_text(passwords["POSTGRES_PASSWORD"])
    os.chown(secret, place.uid, place.gid)
    command = [str(place.binaries / "initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **as_owner)
    command = [str(place.binaries / "postgres"), "-D", str(data), "-p", str(port), "-c", f"listen_addresses={HOST}"]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen([*command, "-k", ""], stdout=log, stderr=log, **as_owner)
    try:
        # Its port accepts before it does: asked too early, it says that it is starting up.
        asked = [str(place.binaries / "pg_isready"), "--quiet", "--host", HOST, "--port", str(port)]
        wait_for(lambda: subprocess.run(asked, check=False).returncode == 0, server, "PostgreSQL")
        environment = os.environ | passwords | {"PGPASSWORD": passwords["POSTGRES_PASSWORD"]}
        client = [str(place.binaries / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--host", HOST]
        client += ["--port", str(port), "--username", "postgres", "--dbname", "postgres"]
        script = ROOT / "deploy" / "timescaledb" / "databases.sql"
        subprocess.run([*client, "--file", str(script)], env=environment, check=True)
        for role, other in NEIGHBOURS.items():
            words = [*client[:-3], role, "--dbname", other, "--command", "SELECT 1"]
            secret = passwords[PASSWORD_OF[role]]
            done = subprocess.run(words, env=os.environ | {"PGPASSWORD": secret}, capture_output=True, check=False)
            if b"permission denied for database" not in done.stderr:
                raise CheckError(f"the role {role} was not refused by the database {other}: {done.stderr!r}")
        print("databases made, each with a role of its own, which no other database lets in", flush=True)
        yield
    finally:
        stop_tree(server.pid)
        shutil.rmtree(place.base)


@contextmanager
def redis(folder: Path, port: int, password: str) -> Iterator[None]:
    """Redis with deploy/redis/redis.conf."""
    secret = folder / "redis-secret.conf"
    secret.write_text(f"requirepass {password}\n")
    command = [redis_binary(), str(ROOT / "deploy" / "redis" / "redis.conf"), "--include", str(secret)]
    command += ["--dir", str(folder), "--bind", HOST, "--port", str(port)]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: accepts(port), server, "Redis")
        yield
    finally:
        stop_tree(server.pid)


def wait_for(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", name: str) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise CheckError(f"{name} did not start")
        time.sleep(0.2)


@contextmanager
def object_store() -> Iterator[tuple[dict[str, str], s3fs.S3FileSystem]]:
    """An S3 server with a bucket: what its clients have in their environment, and a client."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for each request
    server = ThreadedMotoServer(ip_address=HOST, port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        client = s3fs.S3FileSystem(endpoint_url=url, key="check", secret="check")  # noqa: S106
        client.mkdir(BUCKET)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        yield dict.fromkeys(names, "check") | {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1"}, client
    finally:
        server.stop()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def stop_tree(pid: int) -> None:
    """SIGTERM, then SIGKILL, for a process of ours and what it started."""
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        if process.is_running():
            process.terminate()
    _, alive = psutil.wait_procs(family, timeout=20)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=10)
