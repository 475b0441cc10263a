"""A retailer in a layout that no adapter knows is onboarded and forecast by the command line alone."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import holidays
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from shelfops_pipeline.data.mapping import load_mapping
from tests.support import shelfops

HORIZON = 8
YEARS = 3
STATES = ("Wien", "Wien", "Steiermark", "Tirol", "Salzburg", "Kärnten", "Oberösterreich", "Vorarlberg")
GROUPS = ("Süßwaren", "Getränke", "Käse", "Grillgut", "Backwaren")
PEAKS = {"Süßwaren": 0.5, "Getränke": 0.3, "Käse": 0.15, "Grillgut": 0.1, "Backwaren": 0.25}

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`shelfops onboard` in an empty directory; (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return partial(shelfops, {}, "onboard")


def write_shop(folder: Path, bad: str = "") -> Path:
    """Two months of one small shop, with a plan; `bad` damages something."""
    folder.mkdir()
    days = pd.date_range("2024-01-01", periods=60)
    rows = [f"{d:%d.%m.%Y};{i};{3 + n % 4};{2 + n % 2},50" for n, d in enumerate(days) for i in ("Brot", "Milch")]
    if bad == "quantities":
        rows = [row if n % 5 else row.rsplit(";", 2)[0] + ";viel;2,50" for n, row in enumerate(rows)]
    (folder / "absatz.csv").write_text("\n".join(["Tag;Artikel;Menge;Preis", *rows]) + "\n")
    plan = [f"{d:%d.%m.%Y};Brot;{n % 2}" for n, d in enumerate(pd.date_range("2024-01-01", periods=74))]
    (folder / "aktionen.csv").write_text("\n".join(["Tag;Artikel;Aktion", *plan]) + "\n")
    return folder


def one_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith("shelfops: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_a_check_names_the_day_at_which_an_ingest_would_stop(call: Call, tmp_path: Path) -> None:
    """An export sorted by its dates gathers those that are wrong at its ends: there they are most of the rows."""
    (tmp_path / "shop").mkdir()
    rows = [f"{d:%Y-%m-%d},K{i},{3 + i % 4}" for d in pd.date_range("2024-01-01", periods=60) for i in range(10)]
    wrong = [f"1899-12-30,K{i},{3 + i % 4}" for i in range(10)] * 2
    (tmp_path / "shop" / "sales.csv").write_text("\n".join(["date,item,units", *wrong, *rows]) + "\n")
    assert call("shop")[0] == 0
    code, _, err = call("--check", "shop.yaml", "--data", "shop")
    assert code == 1
    assert "2024-01-01: 20 of 30 transactions are bad (66.7%): impossible_date 20; allowed are 5.0%" in one_line(err)


def test_it_shows_what_it_found_and_writes_the_mapping_here(call: Call, tmp_path: Path) -> None:
    write_shop(tmp_path / "dorfladen")
    code, out, err = call("dorfladen", "--country", "AT", "--region", "9")
    assert code == 0, err
    for told in ("absatz.csv  sales", "aktionen.csv  plan", "First rows, as they will be read", "Quality of all rows"):
        assert told in out
    assert ["Menge", "quantity", "3", "100%", "its", "name"] in [line.split() for line in out.splitlines()]
    assert "on_promotion 14 days" in out
    assert "shelfops forecast --dataset dorfladen.yaml --data dorfladen --horizon 28" in out
    assert all(len(line) <= 120 for line in out.splitlines())
    text = (tmp_path / "dorfladen.yaml").read_text()
    assert "value: dorfladen  # no column of stores was found: one store" in text
    mapping = load_mapping(tmp_path / "dorfladen.yaml")
    assert (mapping.holidays[0].country, mapping.holidays[0].region) == ("AT", "9")


def test_a_mapping_is_never_overwritten_without_force(call: Call, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop")
    kept = tmp_path / "kept.yaml"
    kept.write_text("mine")
    code, _, err = call("shop", "--out", kept)
    assert code == 1
    assert "--force" in one_line(err)
    assert kept.read_text() == "mine"
    assert call("shop", "--out", kept, "--force")[0] == 0
    assert load_mapping(kept).name == "shop"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what to look at"),
        (("shop", "--check", "shop.yaml"), "say what to look at"),
        (("shop", "--region", "9"), "--region needs --country"),
        (("nowhere",), "no such directory: nowhere"),
        (("shop", "--out", "no/such/m.yaml"), "create it first"),
        (("shop", "--country", "Atlantis"), "--country Atlantis"),
        (("shop", "--sales", "x.csv"), "--sales x.csv: no such table"),
        (("--check", "none.yaml"), "none.yaml: cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    write_shop(tmp_path / "shop")
    code, _, err = call(*arguments)
    assert code == 1
    assert told in one_line(err)
    assert not list(tmp_path.rglob("*.yaml"))


def test_what_the_mapping_cannot_read_is_told_after_it_was_written(call: Call, tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    (folder / "aktionen.csv").write_text(
        "Artikel;Aktion von;Aktion bis\nBrot;01.02.2024;07.02.2024\nMilch;09.03.2024;01.03.2024\n"
    )
    code, _, err = call("shop")
    assert code == 1
    line = one_line(err)
    assert (
        "shop.yaml is written, but the files cannot be read by it: known_future.0: a row holds from 2024-03-09" in line
    )
    assert line.endswith("correct it, then: shelfops onboard --check shop.yaml --data shop")
    assert load_mapping(tmp_path / "shop.yaml").known_future[0].columns["until"] == "Aktion bis"


def test_a_quantity_with_many_bad_cells_is_recognised_and_its_share_shown(call: Call, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", bad="quantities")
    code, out, err = call("shop")
    assert code == 0, err
    assert "quantity_not_a_number 24 (20.0%)" in out


def test_check_says_everything_that_is_wrong_a_line_each(call: Call, tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    assert call("shop")[0] == 0
    code, out, _ = call("--check", "shop.yaml", "--data", "shop")
    assert code == 0
    assert "✓ shop.yaml is fine: 120 rows, 2024-01-01 to 2024-02-29, 60 days, 2 series" in out

    text = (tmp_path / "shop.yaml").read_text()
    (tmp_path / "shop.yaml").write_text(
        text.replace("on_promotion: Aktion", "on_promotion: Werbung")
        + "stores:\n  files: filialen.csv\n  columns: {store_id: Nr}\n"
        + "holidays:\n- country: XX\n"
    )
    code, _, err = call("--check", "shop.yaml", "--data", "shop")
    assert code == 1
    faults = [line for line in err.splitlines() if line.startswith("✗")]
    assert len(faults) == 3
    assert any("filialen.csv" in fault for fault in faults)
    assert any("Werbung" in fault for fault in faults)
    assert any("XX" in fault for fault in faults)
    assert "3 faults" in one_line(err)

    (tmp_path / "shop.yaml").write_text(text)
    write_shop(tmp_path / "worse", bad="quantities")
    (tmp_path / "worse" / "absatz.csv").replace(folder / "absatz.csv")
    code, _, err = call("--check", "shop.yaml", "--data", "shop")
    assert code == 1
    assert "20.0% of the rows would go to quarantine (quantity_not_a_number 24); allowed are 5.0%" in one_line(err)


def turnover(rng: np.random.Generator, weeks: pd.DatetimeIndex, promoted: np.ndarray) -> np.ndarray:
    """[weeks, stores, groups] of money: level, trend, yearly season, weeks of Austrian holidays, promotions, noise."""
    season = np.sin(2 * np.pi * (np.asarray(weeks.dayofyear)[:, None] / 365.25 + np.linspace(0, 0.8, len(GROUPS))))
    days = holidays.country_holidays("AT", years=range(2021, 2026))
    festive = np.array([sum(d.date() in days for d in pd.date_range(w, periods=7)) for w in weeks])
    trend = np.exp(np.linspace(0, 0.15, len(weeks)))[:, None, None]
    level = rng.uniform(2000, 30000, (len(STATES), len(GROUPS)))
    lift = np.exp(np.array([PEAKS[g] for g in GROUPS]) * festive[:, None])[:, None, :] * (1 + 0.5 * promoted)
    noise = rng.lognormal(0, 0.06, promoted.shape)
    return np.asarray(level * trend * np.exp(0.25 * season)[:, None, :] * lift * noise)


def write_grocer(folder: Path) -> pd.DataFrame:
    """Three years of weeks, and a plan that reaches past them; returns [date, store_id, item_id, y]."""
    folder.mkdir()
    rng = np.random.default_rng(11)
    weeks = pd.date_range("2021-01-04", periods=52 * YEARS + HORIZON + 4, freq="W-MON")
    shape = (len(weeks), len(STATES), len(GROUPS))
    promoted = rng.random(shape) < 0.12
    money = turnover(rng, weeks, promoted)
    sold = 52 * YEARS + HORIZON
    cells = [(w, s, g) for w in range(len(weeks)) for s in range(len(STATES)) for g in range(len(GROUPS))]

    def amount(value: float) -> str:
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))

    rows = [f"{weeks[w]:%d.%m.%Y};M{s + 1:03d};{GROUPS[g]};{amount(money[w, s, g])}" for w, s, g in cells if w < sold]
    text = "\n".join(["Auswertung Warenwirtschaft", "", "Woche ab;Markt Nr.;WGR-Bez;Erlös brutto", *rows])
    (folder / "erloese_export.csv").write_text(text + "\n", encoding="cp1252")
    plan = [f"{weeks[w]:%d.%m.%Y};M{s + 1:03d};{GROUPS[g]};{'NJ'[int(promoted[w, s, g])]}" for w, s, g in cells]
    text = "\n".join(["Kalenderwoche (Montag);Markt;Warengruppe;Handzettel J/N", *plan])
    (folder / "handzettel.csv").write_text(text + "\n", encoding="cp1252")
    shops = [f"M{s + 1:03d};{state};{300 + 50 * s}" for s, state in enumerate(STATES)]
    (folder / "maerkte.csv").write_text("\n".join(["Markt;Land;m²", *shops]) + "\n", encoding="cp1252")
    index = [(weeks[w], f"M{s + 1:03d}", GROUPS[g], money[w, s, g]) for w, s, g in cells if w < sold]
    return pd.DataFrame(index, columns=["date", "store_id", "item_id", "y"])


def naive_errors(actual: pd.DataFrame, first: date) -> tuple[float, float]:
    """MAE over the scored weeks of (the same week last year, the last eight weeks again)."""
    wide = actual.pivot(index="date", columns=["store_id", "item_id"], values="y")
    scored = wide.loc[pd.Timestamp(first) :]
    year = wide.shift(52).loc[scored.index]
    recent = wide.shift(HORIZON).loc[scored.index]
    return float((scored - year).abs().mean(axis=None)), float((scored - recent).abs().mean(axis=None))


def test_an_unknown_layout_is_onboarded_and_forecast_without_code_and_beats_seasonal_naive(
    call: Call, tmp_path: Path
) -> None:
    actual = write_grocer(tmp_path / "grocer")
    code, out, err = call("grocer")
    assert code == 0, err
    assert "a row per week" in out
    mapping = load_mapping(tmp_path / "grocer.yaml")
    assert (mapping.grain, mapping.target) == ("week", "revenue")
    assert mapping.holidays[0].country == "AT"
    assert mapping.known_future[0].columns["on_promotion"] == "Handzettel J/N"

    code, out, err = call("--check", "grocer.yaml", "--data", "grocer")
    assert code == 0, err
    assert "on_promotion 4 weeks" in out

    as_of = actual["date"].max().date() - timedelta(days=7 * HORIZON)
    source = ("--dataset", "grocer.yaml", "--data", "grocer")
    asked = ("--horizon", str(HORIZON), "--as-of", str(as_of), "--out", "forecast.parquet")
    code, _, err = shelfops({"home": tmp_path / "home", "effort": 0.3}, "forecast", *source, *asked)
    assert code == 0, err

    forecast = pq.read_table(tmp_path / "forecast.parquet").to_pandas()
    forecast["date"] = pd.to_datetime(forecast["date"])
    joined = forecast.merge(actual, on=["date", "store_id", "item_id"])
    assert len(joined) == len(forecast) == HORIZON * len(STATES) * len(GROUPS)
    error = float((joined["point"] - joined["y"]).abs().mean())
    last_year, last_weeks = naive_errors(actual, joined["date"].min().date())
    assert error < 0.85 * min(last_year, last_weeks), (error, last_year, last_weeks)
    covered = ((joined["y"] >= joined["q05"]) & (joined["y"] <= joined["q95"])).mean()
    assert covered > 0.7
