"""A wide M5 sales file with calendar and weekly prices: read, validated row by row, stored by day, and loaded.

`shelfops bench ingest --series 30490 --days 152`. Ours goes the way of the asset graph (`read_blocks`,
`validate_blocks`, Parquet by period, COPY into PostgreSQL, every row read back and compared). Beside it the same job as
one would write it in pandas: `melt`, two merges, checks by `isin`, `duplicated` and the like, Parquet partitioned by
day, `to_sql` with its defaults, and `read_sql` to compare. pandas gets fewer series where the whole would take minutes;
its time is then scaled to all rows, and `rows_measured` says on how many it was taken. The memory is compared with that
of four times the days.
"""

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from m5_files import write_m5
from measure import Check, finish, in_fresh_process, machine, peak_added, say

PANDAS_ROWS = {"parquet": 2_000_000, "postgres": 300_000}
TIMES = 4


@dataclass(frozen=True)
class Stage:
    """One way of doing one stage, in a process of its own."""

    rows: int
    seconds: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


def ours_to_parquet(data: Path, artifacts: Path) -> Stage:
    import os

    os.environ["SHELFOPS_ARTIFACTS"] = str(artifacts)
    from shelfops_pipeline.data.sources.m5 import M5
    from shelfops_pipeline.gate.history import History
    from shelfops_pipeline.ingestion.blocks import read_blocks, validate_blocks
    from shelfops_pipeline.ingestion.sync import periods_between

    with peak_added() as memory:
        began, rows = time.perf_counter(), 0
        source = M5(data)
        periods = periods_between(*source.span(), source.grain)
        blocks = read_blocks(source, periods)
        for block in validate_blocks(blocks, source, source.reference(), History.none()):
            _partitions(block.periods, "raw").replace(block.raw)
            _partitions(block.periods, "valid").replace(block.result.valid)
            rows += len(block.result.valid)
        seconds = time.perf_counter() - began
    return Stage(rows, seconds, memory.peak_mb)


def ours_to_postgres(data: Path, artifacts: Path, url: str) -> Stage:
    import os

    os.environ["SHELFOPS_ARTIFACTS"] = str(artifacts)
    from shelfops_pipeline.data.sources.m5 import M5
    from shelfops_pipeline.ingestion.sync import periods_between
    from shelfops_pipeline.ingestion.warehouse import Loader
    from shelfops_pipeline.store.engine import open_engine
    from shelfops_pipeline.store.migrate import migrate

    source = M5(data)
    reference, periods = source.reference(), periods_between(*source.span(), source.grain)
    engine = open_engine(url)
    migrate(engine)
    with peak_added() as memory:
        began = time.perf_counter()
        loader = Loader(engine, source, reference, "benchmark")
        for part in _partitions(periods, "valid").blocks():
            loader.load(part.periods, _partitions(part.periods, "raw").rows(), part.rows())
        seconds = time.perf_counter() - began
    if loader.mismatches or loader.unaccounted:
        raise SystemExit(f"{len(loader.mismatches)} periods differ from what was sent")
    return Stage(loader.rows, seconds, memory.peak_mb)


def _partitions(periods: Any, asset: str) -> Any:
    from shelfops_pipeline.contracts.columns import Grain
    from shelfops_pipeline.defs.partitioned import Partitions

    return Partitions(asset, tuple(day.isoformat() for day in periods), Grain.DAY)


def pandas_to_parquet(data: Path, out: Path, series: int) -> Stage:
    with peak_added() as memory:
        began = time.perf_counter()
        long = _melted(data, series)
        good = _checked_with_pandas(long)
        good.to_parquet(out, partition_cols=["date"])
        seconds = time.perf_counter() - began
    return Stage(len(good), seconds, memory.peak_mb)


def _checked_with_pandas(long: Any) -> Any:
    """The checks of the row gate that a notebook would make."""
    import pandas as pd

    quantity = pd.to_numeric(long["quantity"], errors="coerce")
    largest_before = quantity.abs().groupby([long["store_id"], long["item_id"]]).cummax().shift(1)
    bad = (
        long[["store_id", "item_id", "date"]].isna().any(axis=1)
        | ~long["store_id"].isin(long["store_id"].unique())
        | ~long["item_id"].isin(long["item_id"].unique())
        | (long["date"] < "1990-01-01")
        | (long["date"] > long["date"].max())
        | quantity.isna()
        | (quantity.abs() > 1e6)
        | (long["sell_price"] < 0)
        | long.duplicated(["date", "store_id", "item_id"])
        | ((quantity > 100 * largest_before) & (quantity > 100))
    )
    return long[~bad]


def pandas_to_postgres(data: Path, url: str, series: int) -> Stage:
    import pandas as pd
    from sqlalchemy import create_engine

    long = _melted(data, series)
    engine = create_engine(url)
    with peak_added() as memory:
        began = time.perf_counter()
        long.to_sql("melted", engine, if_exists="replace", index=False)
        stored = pd.read_sql("SELECT * FROM melted", engine)
        same = (
            stored.groupby("date")["quantity"]
            .agg(["size", "sum"])
            .equals(long.groupby("date")["quantity"].agg(["size", "sum"]))
        )
        seconds = time.perf_counter() - began
    engine.dispose()
    if not same:
        raise SystemExit("pandas did not store what it was given")
    return Stage(len(long), seconds, memory.peak_mb)


def _melted(data: Path, series: int) -> Any:
    """What a notebook does with M5: long, with dates and prices, only what is on sale."""
    import pandas as pd

    names = ["sales_train_evaluation.csv", "sales_train_validation.csv"]
    path = next(p for n in names for p in (data / n, data / f"{n}.gz") if p.exists())
    wide = pd.read_csv(path, nrows=series)
    keys = ["id", "item_id", "dept_id", "cat_id", "store_id", "state_id"]
    long = wide.melt([k for k in keys if k in wide], var_name="d", value_name="quantity")
    calendar = pd.read_csv(_plain_or_gz(data, "calendar.csv"), usecols=["date", "wm_yr_wk", "d"], parse_dates=["date"])
    prices = pd.read_csv(_plain_or_gz(data, "sell_prices.csv"))
    long = long.merge(calendar, on="d").merge(prices, on=["store_id", "item_id", "wm_yr_wk"])
    return long[["date", "store_id", "item_id", "quantity", "sell_price"]]


def _plain_or_gz(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).exists() else folder / f"{name}.gz"


def database(url: str, name: str) -> str:
    """A fresh database on the server of `url`."""
    from shelfops_pipeline.services.instance import ensure_database
    from shelfops_pipeline.store.engine import for_database

    ensure_database(url, name)
    return for_database(url, name)


def measure(folder: Path, data: Path, series: int, days: int, url: str) -> tuple[dict[str, Any], list[Check]]:
    """All contenders' figures, and the checks on them."""
    ours = {"parquet": in_fresh_process(ours_to_parquet, data, folder / "artifacts")}
    say(f"ours to Parquet: {ours['parquet'].rate:,.0f} rows/s; now into PostgreSQL")
    ours["postgres"] = in_fresh_process(ours_to_postgres, data, folder / "artifacts", database(url, "ours"))
    say(f"ours into PostgreSQL: {ours['postgres'].rate:,.0f} rows/s; now pandas")
    few = {name: max(1, min(series, rows // days)) for name, rows in PANDAS_ROWS.items()}
    peers = {
        "parquet": in_fresh_process(pandas_to_parquet, data, folder / "melted", few["parquet"]),
        "postgres": in_fresh_process(pandas_to_postgres, data, database(url, "pandas"), few["postgres"]),
    }
    rows = ours["parquet"].rows
    together = {"ours": sum(s.seconds for s in ours.values()), "pandas": sum(rows / s.rate for s in peers.values())}
    say(f"memory of {TIMES} times the days")
    write_m5(folder / "one", series, days)
    write_m5(folder / "more", series, TIMES * days)
    one = in_fresh_process(ours_to_parquet, folder / "one", folder / "one_artifacts")
    more = in_fresh_process(ours_to_parquet, folder / "more", folder / "more_artifacts")
    ratios = {
        "pandas / ours, Parquet": rows / peers["parquet"].rate / ours["parquet"].seconds,
        "pandas / ours, PostgreSQL": rows / peers["postgres"].rate / ours["postgres"].seconds,
        "pandas / ours, both": together["pandas"] / together["ours"],
        f"peak of {TIMES} x the rows / peak": more.peak_mb / one.peak_mb,
    }
    figures = {
        "rows": rows,
        "seconds": together["ours"],
        "peak_mb": max(s.peak_mb for s in ours.values()),
        "rows_per_second": {name: s.rate for name, s in ours.items()},
        "stages": {name: asdict(s) for name, s in ours.items()},
        "memory": {"once": asdict(one), f"{TIMES} times": asdict(more)},
        "peers": {f"pandas, {name}": asdict(s) | {"rows_measured": s.rows} for name, s in peers.items()},
        "ratios": ratios,
    }
    return figures, [
        Check("rows/s of validated output up to Parquet", ours["parquet"].rate, "at least", 400_000),
        Check("rows/s into PostgreSQL", ours["postgres"].rate, "at least", 150_000),
        Check("pandas seconds / ours", ratios["pandas / ours, both"], "at least", 10),
        Check(f"peak of {TIMES} x the rows / peak", ratios[f"peak of {TIMES} x the rows / peak"], "at most", 1.2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=30_490)
    parser.add_argument("--days", type=int, default=152)
    parser.add_argument("--data", type=Path, help="folder with the real M5 files; without, files like them are made")
    args = parser.parse_args()
    where = machine()
    from shelfops_pipeline.store.embedded import embedded_postgres, remove_embedded

    with tempfile.TemporaryDirectory(prefix="shelfops-bench-") as made:
        folder, data = Path(made), args.data
        if data is None:
            data = folder / "m5"
            say(f"making files like M5's: {args.series:,} series × {args.days:,} days")
            write_m5(data, args.series, args.days)
        with embedded_postgres(folder / "home") as url:
            figures, checks = measure(folder, data, args.series, args.days, url)
        remove_embedded(folder / "home")
    task = {
        "benchmark": "ingest",
        "series": args.series,
        "days": args.days,
        "data": "made" if args.data is None else "real",
    }
    finish(task | {"machine": where} | figures, checks)


if __name__ == "__main__":
    main()
