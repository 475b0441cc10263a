"""The binary COPY that numpy assembles is the one that PostgreSQL itself writes."""

import math
from collections.abc import Iterator
from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from shelfops_pipeline.store import binary
from shelfops_pipeline.store.binary import HEADER, TRAILER, encode
from shelfops_pipeline.store.bulk import driver
from shelfops_pipeline.store.copying import copy_in
from shelfops_pipeline.store.engine import open_engine

COLUMNS = "d date, t timestamp, f double precision, n bigint, s text, c text"
KINDS = {
    "d": pa.date32(),
    "t": pa.timestamp("us"),
    "f": pa.float64(),
    "n": pa.int64(),
    "s": pa.string(),
    "c": pa.dictionary(pa.int32(), pa.string()),
}
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
ROW = st.fixed_dictionaries(
    {
        "d": st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        "t": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
        "f": st.none() | st.floats(),
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "s": st.none() | TEXT,
        "c": st.none() | st.sampled_from(["", "a", 'ü"\\.\n', "b" * 40]),
    }
)


def batch(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=pa.schema(KINDS))


def through_postgres(engine: Engine, rows: pa.RecordBatch) -> tuple[list[tuple[object, ...]], bytes]:
    """What is in the table after a COPY, and what PostgreSQL's own binary COPY of it looks like."""
    with engine.connect() as connection:
        cursor = driver(connection).cursor()
        cursor.execute(f"CREATE TEMPORARY TABLE copied ({COLUMNS}) ON COMMIT DROP")
        assert copy_in(driver(connection), "copied", [rows], list(KINDS)) == rows.num_rows
        found = cursor.execute("SELECT * FROM copied").fetchall()
        with cursor.copy("COPY copied TO STDOUT (FORMAT binary)") as copy:
            return found, b"".join(bytes(piece) for piece in copy)


@pytest.fixture(scope="module")
def engine_of_module(postgres_server: str) -> Iterator[Engine]:
    engine = open_engine(postgres_server)
    yield engine
    engine.dispose()


@given(st.lists(ROW, min_size=1, max_size=12), st.integers(0, 3))
def test_any_rows_arrive_as_they_were(engine_of_module: Engine, rows: list[dict[str, object]], skipped: int) -> None:
    part = batch(rows).slice(min(skipped, len(rows) - 1))  # a slice begins within Arrow's buffers
    found, own = through_postgres(engine_of_module, part)
    expected = [tuple(row.values()) for row in part.to_pylist()]
    assert [tuple(map(repr, row)) for row in found] == [tuple(map(repr, row)) for row in expected]
    if not any(isinstance(value, float) and math.isnan(value) for row in expected for value in row):
        assert HEADER + b"".join(encode(part)) + TRAILER == own


def test_a_few_very_long_texts_split_the_batch_instead_of_widening_it(
    engine_of_module: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "MAX_BYTES", 20_000)
    texts = [("x" * 5_000 if k == 37 else f"short {k}") for k in range(100)]
    rows = batch([{**dict.fromkeys(KINDS), "s": text, "n": k} for k, text in enumerate(texts)])
    pieces = [len(piece) for piece in encode(rows)]
    assert len(pieces) > 2
    found, _ = through_postgres(engine_of_module, rows)
    assert [row[4] for row in found] == texts


def test_nothing_is_encoded_as_nothing(engine_of_module: Engine) -> None:
    assert list(encode(batch([]))) == []
    assert through_postgres(engine_of_module, batch([]))[0] == []
