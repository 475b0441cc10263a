"""Frames by period: what is split, refused, read in blocks and left alone, on a disk and on an object store."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfops_pipeline.contracts.columns import DATE, FILED, ITEM_ID, QUANTITY, STORE_ID, TS, Grain
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.defs.io_managers import PartitionsIOManager
from shelfops_pipeline.defs.partitioned import Partitions
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.settings import Settings
from tests.defs.conftest import files_under

MONDAY = date(2024, 1, 1)


@pytest.fixture(params=["local", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The artifact root of the test, as SHELFOPS_ARTIFACTS."""
    local = request.param == "local"
    url = str(tmp_path) if local else f"{request.getfixturevalue('object_store')}/{uuid.uuid4().hex}"
    with using(url, tmp_path):
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The same, on the disk."""
    with using(str(tmp_path), tmp_path):
        yield tmp_path


@contextmanager
def using(url: str, home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELFOPS_ARTIFACTS", url)
        patch.setenv("SHELFOPS_HOME", str(home))
        yield


def sales(*days: int, first: date = MONDAY) -> pd.DataFrame:
    """A row per given day (counted from `first`), numbered in the order given."""
    at = [np.datetime64(first) + np.timedelta64(day, "D") for day in days]
    return pd.DataFrame(
        {
            TS: np.array(at, dtype="datetime64[ns]"),
            STORE_ID: pd.Categorical(["s"] * len(days)),
            ITEM_ID: pd.Categorical([f"i{n % 3}" for n in range(len(days))]),
            QUANTITY: np.arange(len(days), dtype=float),
        }
    )


def some(n: int, asset: str = "sales", grain: Grain = Grain.DAY) -> Partitions:
    """`n` consecutive periods from the first Monday."""
    width = timedelta(days=7 if grain is Grain.WEEK else 1)
    return Partitions(asset, tuple((MONDAY + k * width).isoformat() for k in range(n)), grain)


def quantities(part: Partitions) -> list[float]:
    return part.rows()[QUANTITY].tolist()


def test_each_period_gets_its_own_rows_in_their_order(root: str) -> None:
    target = some(3)
    target.replace(sales(2, 0, 0, 2, 0))
    assert [quantities(target.at([MONDAY + timedelta(days=n)])) for n in range(3)] == [[1, 2, 4], [], [0, 3]]
    assert quantities(target) == [1, 2, 4, 0, 3]
    assert target.rows()[STORE_ID].dtype == "category"
    assert artifact_root(Settings()).names("sales") == {f"{key}.parquet" for key in target.keys}


def test_a_row_lies_where_it_is_filed_not_where_its_own_date_would_put_it(root: str) -> None:
    frame = sales(0, 0, 1)
    frame[FILED] = frame[TS]
    frame.loc[1, TS] = pd.Timestamp("1899-12-30")
    frame.loc[2, TS] = pd.NaT
    some(2).replace(frame)
    first, second = (some(2).at([MONDAY + timedelta(days=n)]).rows() for n in range(2))
    assert first[QUANTITY].tolist() == [0, 1]
    assert first[TS].tolist() == [pd.Timestamp(MONDAY), pd.Timestamp("1899-12-30")]
    assert second[QUANTITY].tolist() == [2]
    assert second[TS].isna().all()


def test_snapshots_are_split_by_their_date(folder: Path) -> None:
    some(2, "stock").replace(sales(1, 0).rename(columns={TS: DATE}))
    assert some(2, "stock").rows()[QUANTITY].tolist() == [1, 0]


def test_a_snapshot_whose_date_cannot_be_right_lies_where_it_is_filed(folder: Path) -> None:
    stock = sales(0, 1, 1).rename(columns={TS: DATE})
    stock[FILED] = stock[DATE]
    stock.loc[2, DATE] = pd.NaT
    some(2, "stock").replace(stock)
    second = some(2, "stock").at([MONDAY + timedelta(days=1)]).rows()
    assert second[QUANTITY].tolist() == [1, 2]
    assert second[DATE].isna().tolist() == [False, True]


@pytest.mark.parametrize("day", [-1, 3, 1])
def test_rows_of_other_periods_are_refused_and_nothing_is_written(folder: Path, day: int) -> None:
    target = some(3).at([MONDAY, MONDAY + timedelta(days=2)])
    with pytest.raises(ValueError, match=r"sales: 1 rows lie outside of the periods 2024-01-01 to 2024-01-03"):
        target.replace(sales(0, day, 2))
    assert files_under(folder) == {}


def test_a_row_that_is_filed_nowhere_is_refused(folder: Path) -> None:
    frame = sales(0, 1)
    frame.loc[1, TS] = pd.NaT
    with pytest.raises(ValueError, match="1 rows lie outside"):
        some(2).replace(frame)


def test_replacing_a_period_leaves_the_others_as_they_are_and_can_empty_it(folder: Path) -> None:
    some(3).replace(sales(0, 1, 1, 2))
    before = files_under(folder)
    middle = some(3).at([MONDAY + timedelta(days=1)])
    middle.replace(sales(1).iloc[:0])
    after = files_under(folder)
    assert {name for name in before if before[name] != after[name]} == {"sales/2024-01-02.parquet"}
    assert quantities(some(3)) == [0, 3]
    middle.replace(sales(0, 1, 1, 2).iloc[1:3])
    assert files_under(folder) == before


@given(st.lists(st.integers(0, 9), max_size=60), st.sets(st.integers(0, 9), min_size=1))
def test_any_split_is_that_of_a_naive_loop(days: list[int], periods: set[int]) -> None:
    frame = sales(*[day for day in days if day in periods])
    target = some(10).at([MONDAY + timedelta(days=n) for n in sorted(periods)])
    with tempfile.TemporaryDirectory() as at, using(at, Path(at)):
        target.replace(frame)
        for n in sorted(periods):
            expected = [float(q) for q, ts in zip(frame[QUANTITY], frame[TS], strict=True) if ts.day == n + 1]
            assert quantities(target.at([MONDAY + timedelta(days=n)])) == expected
        assert sum(len(part.rows()) for part in target.blocks(rows=7)) == len(frame)


def test_blocks_have_about_as_many_rows_as_asked_and_none_is_left_out(root: str) -> None:
    some(6).replace(sales(*[0] * 4, *[1] * 4, *[2] * 25, *[3] * 2, *[5] * 8))
    blocks = list(some(6).blocks(rows=10))
    assert [[int(key[-2:]) for key in block.keys] for block in blocks] == [[1, 2], [3], [4, 5, 6]]
    assert [len(block.rows()) for block in blocks] == [8, 25, 10]
    assert [key for block in blocks for key in block.keys] == list(some(6).keys)


def test_days_that_were_written_one_by_one_may_have_more_items_than_any_of_them(folder: Path) -> None:
    """As the days of a query are: each has the items of its own sales alone."""
    for n, period in enumerate(some(2).periods):
        frame = sales(*[n] * 100).assign(**{ITEM_ID: pd.Categorical([f"i{100 * n + k}" for k in range(100)])})
        some(2).at([period]).replace(frame)
    assert some(2).rows()[ITEM_ID].nunique() == 200


def test_periods_that_were_never_written_are_skipped_or_named(root: str) -> None:
    some(2).replace(sales(0, 1))
    assert some(4).stored().keys == some(2).keys
    assert [block.keys for block in some(4).blocks()] == [some(2).keys]
    assert some(2).whole() == some(2)
    with pytest.raises(DataError, match=r"2 of the periods 2024-01-01 to 2024-01-04 .* the first is 2024-01-03"):
        some(4).whole()
    assert some(4, "nothing").read() is None
    assert list(some(4, "nothing").blocks()) == []
    with pytest.raises(FileNotFoundError, match="nothing: none of 2024-01-01 to 2024-01-04 was ever written"):
        some(4, "nothing").rows()


def test_the_periods_since_a_day_are_those_that_end_on_it_or_later() -> None:
    assert some(4).since(date(2024, 1, 3)).keys == some(4).keys[2:]
    assert some(3, grain=Grain.WEEK).since(date(2024, 1, 14)).periods == [date(2024, 1, 8), date(2024, 1, 15)]
    assert some(4).since(date(2024, 2, 1)).keys == ()
    assert some(4).since(date(2024, 2, 1)).read() is None


def test_a_week_is_filed_under_its_monday(root: str) -> None:
    target = some(3, grain=Grain.WEEK)
    target.replace(sales(0, 6, 7, 20))
    assert target.periods == [MONDAY, date(2024, 1, 8), date(2024, 1, 15)]
    assert (target.days, target.end) == (7, date(2024, 1, 21))
    assert [quantities(target.at([period])) for period in target.periods] == [[0, 1], [2], [3]]
    with pytest.raises(ValueError, match="1 rows lie outside"):
        target.replace(sales(21))


@pytest.mark.parametrize(
    ("definition", "keys", "grain"),
    [
        (dg.DailyPartitionsDefinition("2024-01-01"), ["2024-01-02", "2024-01-04"], Grain.DAY),
        (dg.WeeklyPartitionsDefinition("2024-01-01", day_offset=1), ["2024-01-08", "2024-01-22"], Grain.WEEK),
    ],
    ids=["days", "weeks"],
)
def test_a_run_over_a_range_hands_its_partitions_to_the_next_step(
    folder: Path, definition: dg.TimeWindowPartitionsDefinition, keys: list[str], grain: Grain
) -> None:
    first, last = map(date.fromisoformat, keys)
    seen: list[Partitions] = []

    @dg.asset(partitions_def=definition, backfill_policy=dg.BackfillPolicy.single_run(), io_manager_key="partitions")
    def written(context: dg.AssetExecutionContext) -> Partitions:
        target = Partitions.of(context, "written")
        target.replace(sales(0, target.days, first=first))
        return target

    @dg.asset(partitions_def=definition, backfill_policy=dg.BackfillPolicy.single_run())
    def taken(written: Partitions) -> None:
        seen.append(written)

    @dg.asset
    def everything(written: Partitions) -> None:
        seen.append(written)

    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[1]}
    resources = {"partitions": PartitionsIOManager()}
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([written, taken], instance=instance, resources=resources, tags=tags).success
        later = dg.materialize([written, everything], selection=[everything], instance=instance, resources=resources)
        assert later.success
    run, whole = seen
    assert (run.asset, run.grain, run.periods[0], run.periods[-1], len(run.keys)) == ("written", grain, first, last, 3)
    assert quantities(run) == [0, 1]
    assert whole.periods[0] == MONDAY
    assert len(whole.keys) > 50
    assert quantities(whole) == [0, 1]
