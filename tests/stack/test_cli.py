"""The command line as other programs call it: exit codes, one clear line for bad input, files whole or absent."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import typer

from shelfops_pipeline.cli import app
from shelfops_pipeline.contracts.columns import BACKTEST_COLUMNS, FORECAST_COLUMNS, SCORE_COLUMNS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, command: Run) -> Run:
    """The console script on a home of its own, keywords as SHELFOPS_ variables."""

    def call(*arguments: str | Path, **variables: str) -> tuple[int, str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHELFOPS_HOME", str(tmp_path / "home"))
            for name in ("DATASET", "DATA", "HORIZON", "METRIC", "TIER", "SEED", "FOLDS"):
                patch.setenv(f"SHELFOPS_{name}", "")  # ignored, and what the command sets is taken back
            patch.setenv("SHELFOPS_EFFORT", "0.05")
            patch.setenv("SHELFOPS_FOLDS", "1")
            for name, value in variables.items():
                patch.setenv(f"SHELFOPS_{name}", value)
            return command(*arguments)

    return call


def write_rossmann(folder: Path, days: int = 120, stores: int = 6) -> Path:
    """A small data set in Rossmann's format: official names, plain and gzipped."""
    folder.mkdir(parents=True)
    dates = pd.date_range("2014-01-06", periods=days + 14)
    rows = pd.MultiIndex.from_product([range(1, stores + 1), dates], names=["Store", "Date"]).to_frame(index=False)
    rows["DayOfWeek"] = rows["Date"].dt.dayofweek + 1
    rows["Open"] = (rows["DayOfWeek"] < 7).astype(int)
    rows["Promo"] = (rows["Date"].dt.isocalendar().week % 2).astype(int)
    rows["StateHoliday"], rows["SchoolHoliday"] = "0", 0
    rows["Sales"] = (1000 + 300 * rows["Store"] + 400 * rows["Promo"] - 50 * rows["DayOfWeek"]) * rows["Open"]
    rows["Customers"] = rows["Sales"] // 10
    known, future = rows[rows["Date"] < dates[days]], rows[rows["Date"] >= dates[days]]
    known.to_csv(folder / "train.csv.gz", index=False)
    future.drop(columns=["Sales", "Customers"]).reset_index(names="Id").to_csv(folder / "test.csv", index=False)
    pd.DataFrame(
        {
            "Store": range(1, stores + 1),
            "StoreType": "a",
            "Assortment": ["a", "c"] * (stores // 2),
            "CompetitionDistance": 500.0,
            "CompetitionOpenSinceMonth": 1.0,
            "CompetitionOpenSinceYear": 2012.0,
            "Promo2": 0,
            "Promo2SinceWeek": None,
            "Promo2SinceYear": None,
            "PromoInterval": None,
        }
    ).to_csv(folder / "store.csv", index=False)
    return folder


def one_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith("shelfops: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


FORECAST = ("forecast", "--dataset", "rossmann", "--horizon", "14")


def test_help_names_the_commands_and_gives_examples(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(
        name in out for name in ("demo", "up", "ingest", "train", "forecast", "backtest", "models", "doctor", "bench")
    )
    assert "Example: shelfops forecast" in run("forecast", "--help")[1]


def test_the_demo_takes_its_size_from_the_environment_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    command = typer.main.get_command(app).commands["demo"]  # type: ignore[attr-defined]
    names = ("stores", "items", "days", "effort")

    def sizes(*arguments: str) -> tuple[object, ...]:
        parameters = command.make_context("demo", list(arguments)).params
        return tuple(parameters[name] for name in names)

    for variable, value in (("STORES", "3"), ("ITEMS", "7"), ("DAYS", "200")):
        monkeypatch.setenv(f"SHELFOPS_SIMULATED_{variable}", value)
    monkeypatch.setenv("SHELFOPS_EFFORT", "0.1")
    assert sizes() == (3, 7, 200, 0.1)
    assert sizes("--items", "9", "--effort", "0.2") == (3, 9, 200, 0.2)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from shelfops_pipeline import cli; sys.argv = ['shelfops', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('dagster', 'pandas', 'tensorflow', 'xgboost', 'shap') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_forecast_writes_every_series_and_day_with_all_columns(run: Run, tmp_path: Path) -> None:
    data, out = write_rossmann(tmp_path / "data"), tmp_path / "forecast.parquet"
    code, _, err = run(*FORECAST, "--data", data, "--out", out)
    assert code == 0, err
    table = pq.read_table(out)
    assert tuple(table.column_names) == FORECAST_COLUMNS
    assert [str(table.schema.field(name).type) for name in ("store_id", "item_id", "date")] == [
        "string",
        "string",
        "date32[day]",
    ]
    frame = table.to_pandas()
    assert len(frame) == 6 * 14
    closed = pd.to_datetime(frame["date"]).dt.dayofweek == 6
    assert (frame.loc[closed, "mean"] == 0).all()
    assert (frame.loc[~closed, "mean"] > 0).all()


def test_backtest_writes_forecasts_and_metrics(run: Run, tmp_path: Path) -> None:
    data, out = write_rossmann(tmp_path / "data"), tmp_path / "bt"
    small = ("--dataset", "rossmann", "--horizon", "14", "--folds", "1", "--tier", "cold_start")
    code, text, err = run("backtest", *small, "--data", data, "--out", out)
    assert code == 0, err
    frame = pd.read_parquet(out / "forecasts.parquet")
    assert set(frame.columns) == set(BACKTEST_COLUMNS)
    assert {"ensemble", "xgboost", "lstm", "seasonal_naive"} <= set(frame["model"])
    metrics = pd.read_parquet(out / "metrics.parquet")
    assert tuple(metrics.columns) == SCORE_COLUMNS
    assert {"mae", "wape", "coverage_90"} <= set(metrics["metric"])
    assert {"all", "origin", "horizon", "block", "class", "store", "store x block"} <= set(metrics["by"])
    assert set(metrics.loc[metrics["by"] == "store", "group"]) == set(frame["store_id"])
    own = frame[(frame["model"] == "ensemble") & (frame["store_id"] == "3")]
    keys = {"by": "store", "group": "3", "model": "ensemble", "metric": "mae"}
    (mae,) = metrics.loc[(metrics[list(keys)] == pd.Series(keys)).all(axis=1), "value"]
    assert mae == pytest.approx((own["y"] - own["q50"]).abs().mean(), rel=1e-5)
    assert "ensemble" in text
    assert "store: largest WAPE" in text
    for chart in ("accuracy_by_horizon", "accuracy_by_group", "quantile_reliability"):
        assert "Plotly.newPlot" in (out / f"{chart}.html").read_text()
    assert not list(out.glob(".*.draft"))


def test_one_seed_gives_one_forecast_in_every_process_and_another_seed_another(run: Run, tmp_path: Path) -> None:
    data = write_rossmann(tmp_path / "data", days=100, stores=4)
    tables = {}
    for name, seed in (("first", 7), ("other", 8)):
        code, _, err = run(*FORECAST, "--data", data, "--seed", str(seed), "--out", tmp_path / f"{name}.parquet")
        assert code == 0, err
        tables[name] = pq.read_table(tmp_path / f"{name}.parquet")
    out = tmp_path / "again.parquet"
    arguments = [*FORECAST, "--data", str(data), "--seed", "7", "--out", str(out)]
    script = "from shelfops_pipeline import cli; cli.main()"
    environment = os.environ | {
        "SHELFOPS_HOME": str(tmp_path / "home"),
        "SHELFOPS_EFFORT": "0.05",
        "SHELFOPS_FOLDS": "1",
    }
    subprocess.run([sys.executable, "-c", script, *arguments], env=environment, check=True)
    assert pq.read_table(out).equals(tables["first"])
    assert not tables["other"].equals(tables["first"])
    for column in ("mean", "q50", "q95"):
        assert tables["other"][column] != tables["first"][column], column


def test_one_seed_gives_one_backtest_and_another_seed_another(run: Run, tmp_path: Path) -> None:
    data = write_rossmann(tmp_path / "data", days=100, stores=4)
    frames = {}
    for name, seed in (("first", 7), ("again", 7), ("other", 8)):
        out = tmp_path / name
        small = ("--horizon", "7", "--folds", "1", "--tier", "cold_start", "--seed", str(seed))
        code, _, err = run("backtest", "--dataset", "rossmann", *small, "--data", data, "--out", out)
        assert code == 0, err
        frames[name] = [pd.read_parquet(out / f) for f in ("forecasts.parquet", "metrics.parquet")]
    for mine, again in zip(frames["first"], frames["again"], strict=True):
        pd.testing.assert_frame_equal(mine, again, check_exact=True)
    forecasts, metrics = ([frames[name][i] for name in ("first", "other")] for i in (0, 1))
    models = {"xgboost": False, "lstm": False, "ensemble": False, "seasonal_naive": True}
    for model, same in models.items():  # a baseline draws nothing by chance
        mine, other = (f.loc[f["model"] == model, "mean"].to_numpy() for f in forecasts)
        assert (mine == other).all() == same, model
    assert not metrics[0].equals(metrics[1])


def _broken(folder: Path, what: str) -> None:
    train = folder / "train.csv.gz"
    if what == "missing file":
        train.unlink()
    elif what == "empty file":
        train.write_bytes(gzip.compress(b""))
    elif what == "truncated file":
        train.write_bytes(train.read_bytes()[:2000])
    elif what == "not gzip":
        train.write_bytes(b"Store,Date\n1,2014-01-06\n")
    else:
        frame = pd.read_csv(train, dtype=str)
        if what == "missing column":
            frame = frame.drop(columns=["Promo"])
        elif what == "bad date":
            frame.loc[7, "Date"] = "06/31/2014"
        elif what == "bad number":
            frame.loc[7, "Sales"] = "many"
        frame.to_csv(train, index=False)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("missing file", ["train.csv"]),
        ("empty file", ["train.csv.gz"]),
        ("truncated file", ["train.csv.gz"]),
        ("not gzip", ["train.csv.gz"]),
        ("missing column", ["train.csv.gz", "Promo"]),
    ],
)
def test_a_broken_file_is_one_line_naming_it_and_nothing_is_written(
    run: Run, tmp_path: Path, what: str, told: Sequence[str]
) -> None:
    data, out = write_rossmann(tmp_path / "data"), tmp_path / "forecast.parquet"
    _broken(data, what)
    code, _, err = run(*FORECAST, "--data", data, "--out", out)
    assert code == 1
    line = one_line(err)
    assert all(word in line for word in told), line
    assert not list(tmp_path.glob("*.parquet*")) + list(tmp_path.glob(".*.draft"))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("bad date", ["impossible_date 1", "train.csv.gz:9", "06/31/2014"]),
        ("bad number", ["quantity_not_a_number 1", "train.csv.gz:9", "many"]),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_the_others_are_used(
    run: Run, tmp_path: Path, what: str, told: Sequence[str]
) -> None:
    data, out = write_rossmann(tmp_path / "data"), tmp_path / "forecast.parquet"
    _broken(data, what)
    code, text, err = run(*FORECAST, "--data", data, "--out", out)
    assert code == 0, err
    shown = " ".join(text.split())
    assert "rows refused" in shown
    assert all(word in shown for word in told), shown
    assert out.is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--data", "{tmp}/nowhere"), "no such directory"),
        ((), "--data DIR"),
        (("--data", "{data}", "--metric", "r2"), "metric"),
        (("--data", "{data}", "--tier", "gold"), "tier"),
        (("--data", "{data}", "--as-of", "2030-01-01"), "outside the history"),
        (("--data", "{data}", "--tier", "production", "--as-of", "2014-03-10"), "production tier needs"),
        (("--data", "{data}", "--as-of", "2014-01-12"), "periods"),
    ],
)
def test_a_bad_argument_is_one_line_saying_what_to_do(
    run: Run, tmp_path: Path, arguments: Sequence[str], told: str
) -> None:
    data = write_rossmann(tmp_path / "data")
    filled = [a.format(tmp=tmp_path, data=data) for a in arguments]
    code, _, err = run(*FORECAST, *filled, "--out", tmp_path / "x.parquet")
    assert code == 1
    assert told in one_line(err)


def test_an_unknown_data_set_lists_the_known_ones(run: Run, tmp_path: Path) -> None:
    code, _, err = run(
        "forecast", "--dataset", "walmart", "--data", tmp_path, "--horizon", "7", "--out", tmp_path / "x.parquet"
    )
    assert code == 1
    assert all(
        name in one_line(err) for name in ("walmart", "favorita", "rossmann", "m5", "online_retail", "simulated")
    )


def test_a_missing_output_directory_is_said_before_any_work(run: Run, tmp_path: Path) -> None:
    code, _, err = run(*FORECAST, "--data", tmp_path, "--out", tmp_path / "no" / "x.parquet")
    assert code == 1
    assert "create it first" in one_line(err)


def test_a_table_that_is_no_parquet_is_refused_before_any_work(run: Run, tmp_path: Path) -> None:
    code, _, err = run(*FORECAST, "--data", tmp_path, "--out", tmp_path / "x.csv")
    assert code == 1
    assert "forecasts are written as Parquet; name it" in one_line(err)
    assert "x.parquet" in one_line(err)


@pytest.mark.parametrize(("name", "value"), [("METRIC", "wape"), ("TIER", "all"), ("HORIZON", "0")])
def test_a_setting_of_the_environment_counts_where_no_option_is_given(
    name: str, value: str, run: Run, tmp_path: Path
) -> None:
    """A value that nobody may give is refused, so it was read."""
    out = tmp_path / "x.parquet"
    code, _, err = run(
        "forecast", "--dataset", "rossmann", "--data", tmp_path, "--out", out,
        **({"HORIZON": "7"} | {name: value}),
    )  # fmt: skip
    assert code != 0
    assert name.lower() in err.lower()


def test_models_list_and_show_say_how_to_get_a_model(run: Run) -> None:
    code, _, err = run("models", "list")
    assert code == 1
    assert "shelfops train" in one_line(err)
    code, _, err = run("models", "show", "v9")
    assert code == 1
    assert "no model version 'v9'" in one_line(err)


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no such directory"):
        run(*FORECAST, "--data", tmp_path / "nowhere", "--out", tmp_path / "x.parquet", "--debug")


def test_doctor_lists_what_is_there_and_what_to_do(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert "Champion" in out
    assert "shelfops demo" in out
