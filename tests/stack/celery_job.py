"""A job for Celery workers: a light step, and a heavy one that may lose its worker. FOLDER is where it takes notes."""

import os
import signal
import time
from pathlib import Path

import dagster as dg
from sqlalchemy import text

from shelfops_pipeline.defs.executor import celery
from shelfops_pipeline.defs.partitions import ML_QUEUE
from shelfops_pipeline.store.engine import open_engine


def note(name: str) -> int:
    """Write down that a step has begun, and in which process; how often it has by now."""
    file = Path(os.environ["FOLDER"]) / name
    with file.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return len(file.read_text().splitlines())


@dg.op
def light() -> int:
    note("light")
    return 20


@dg.op(tags=ML_QUEUE)
def heavy(light: int) -> int:
    while note("heavy") == 1:  # until its worker is killed
        time.sleep(600)
    return light + 1


@dg.op(tags=ML_QUEUE)
def deadly() -> None:
    """As one that takes more memory than there is."""
    note("deadly")
    os.kill(os.getpid(), signal.SIGKILL)


@dg.op
def severed() -> None:
    """The first time, PostgreSQL ends its connection in the middle of a statement."""
    end = "pg_terminate_backend(pg_backend_pid())" if note("severed") == 1 else "true"
    engine = open_engine(os.environ["SHELFOPS_DATABASE_URL"])
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT {end}"))
    engine.dispose()


@dg.op
def deserted() -> None:
    """There is no PostgreSQL where it looks."""
    note("deserted")
    open_engine("postgresql://nobody@127.0.0.1:1/nothing")


@dg.op
def mistaken() -> None:
    note("mistaken")
    raise ValueError("it would be so again")


@dg.job(executor_def=celery)
def disturbed() -> None:
    severed()
    deserted()
    mistaken()


@dg.job(executor_def=celery)
def divided() -> None:
    heavy(light())


@dg.job(executor_def=celery)
def doomed() -> None:
    deadly()
