"""A retailer that plans by the week goes through every stage: the graph once, by the command line, and what it left."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from scipy.stats import nbinom
from sqlalchemy import Engine, text

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import BACKTEST_FORECASTS
from shelfops_pipeline.contracts.columns import Grain, Metric
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.defs.artifacts import artifact_root
from shelfops_pipeline.evaluation.baselines import BASELINES
from shelfops_pipeline.features.create import FeatureRows
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.lifecycle.publish import champion_models
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.models.serve import serving_inputs
from shelfops_pipeline.replenishment.correlation import backtest_correlation
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import for_database, open_engine
from tests.api.support import check_problem, served
from tests.conftest import admin
from tests.stack.weekly_shop import (
    HORIZON,
    ITEMS,
    LEAD_DAYS,
    MINIMUM,
    ORDERED_ON,
    PACK,
    STORES,
    SUPPLIER,
    WEEKS,
    Floats,
    Shop,
    write_shop,
)
from tests.support import shelfops

MONDAYS = [date(2022, 1, 3) + timedelta(days=7 * n) for n in range(WEEKS + HORIZON)]
LAST_SUNDAY = MONDAYS[WEEKS] - timedelta(days=1)
SERIES = [(store, item) for store in STORES for item in ITEMS]
CHARTS = ("training_summary", "forecast_vs_actual", "tier_comparison", "error_distribution", "feature_importance")


@dataclass(frozen=True)
class Run:
    """The retailer, and its home after `shelfops train`."""

    shop: Shop
    folder: Path
    settings: Settings
    engine: Engine
    values: dict[str, object]

    def command(self, name: str, *arguments: str | Path) -> None:
        """A `shelfops` command on the retailer."""
        source = ("--dataset", self.folder / "shop.yaml", "--data", self.folder)
        code, _, err = shelfops(self.values, name, *source, *arguments)
        assert code == 0, err

    @property
    def panel(self) -> Panel:
        return Panel.load(artifact_root(self.settings).folder("panel"))

    def rows(self, query: str) -> pd.DataFrame:
        with self.engine.connect() as connection:
            return pd.DataFrame(connection.execute(text(query)).mappings().all())


@pytest.fixture(scope="module")
def run(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Trained once; tests must not change what it left."""
    admin(postgres_server, "CREATE DATABASE {}", "weekly")
    url = for_database(postgres_server, "weekly")
    base = tmp_path_factory.mktemp("weekly")
    folder, home = base / "data", base / "home"
    shop = write_shop(folder)
    values: dict[str, object] = {"home": home, "database_url": url, "effort": 0.2, "folds": 2}
    settings = Settings.model_validate({"dataset": str(folder / "shop.yaml"), "data": folder, "home": home})
    engine = open_engine(url)
    made = Run(shop, folder, settings, engine, values)
    made.command("train", "--horizon", str(HORIZON))
    yield made
    engine.dispose()


def test_partitions_are_whole_weeks_named_by_their_mondays(run: Run) -> None:
    expected = {f"{monday}.parquet" for monday in MONDAYS[:WEEKS]}
    for asset in ("raw_transactions", "validated_transactions", "raw_inventory"):
        assert artifact_root(run.settings).names(asset) == expected, asset
    last = pd.read_parquet(run.settings.root / "artifacts" / "raw_transactions" / f"{MONDAYS[WEEKS - 1]}.parquet")
    assert last["ts"].max().date() == LAST_SUNDAY  # two days of the week after are in the files


def test_the_warehouse_holds_every_row_of_the_weeks_or_says_why_not(run: Run) -> None:
    stored = run.rows("SELECT period, count(*) AS n, sum(quantity) AS units FROM transactions GROUP BY 1 ORDER BY 1")
    assert stored["period"].tolist() == MONDAYS[:WEEKS]
    assert stored["n"].sum() == run.shop.rows - sum(run.shop.bad_rows.values())
    np.testing.assert_array_equal(stored["units"].astype(float), run.shop.sold[:WEEKS].sum(axis=(1, 2)))
    refused = run.rows("SELECT reason FROM quarantined_transactions")
    assert refused["reason"].value_counts().to_dict() == run.shop.bad_rows
    counted = run.shop.stock["date"] < np.datetime64(MONDAYS[WEEKS])
    assert run.rows("SELECT count(*) AS n FROM inventory")["n"][0] == counted.sum()


def test_only_a_week_that_was_mostly_sold_out_is_censored(run: Run) -> None:
    shop, panel = run.shop, run.panel
    assert list(zip(panel.store_ids, panel.item_ids, strict=True)) == SERIES  # and no series of the unknown item
    sold = shop.sold[:WEEKS].reshape(WEEKS, -1).T
    counts = shop.stock.assign(
        week=(shop.stock["date"] - pd.Timestamp(MONDAYS[0])).dt.days // 7, empty=shop.stock["on_hand"] == 0
    )
    table = counts[counts["week"] < WEEKS].groupby(["store_id", "item_id", "week"])["empty"].agg(["sum", "size"])
    empty, n = (table[name].to_numpy().reshape(len(SERIES), WEEKS) for name in ("sum", "size"))
    censored = (2 * empty >= n) | ((empty > 0) & (sold == 0))
    state, demand = np.asarray(panel.state)[:, :WEEKS], np.asarray(panel.demand)[:, :WEEKS]
    np.testing.assert_array_equal(state == State.STOCKOUT, censored)
    assert set(np.unique(state)) == {State.OBSERVED, State.STOCKOUT}
    assert 3 <= censored.sum() < 0.1 * (empty > 0).sum()  # the others had an empty evening and count all the same
    np.testing.assert_array_equal(demand, np.where(censored, np.nan, sold))


def test_the_panel_knows_prices_promotions_and_holidays_of_the_weeks_to_come(run: Run) -> None:
    panel = run.panel
    assert (panel.grain, panel.n_observed, panel.last_observed) == (Grain.WEEK, WEEKS, MONDAYS[WEEKS - 1])
    ahead = slice(WEEKS, WEEKS + HORIZON)
    assert panel.dates[ahead].astype("datetime64[D]").tolist() == MONDAYS[ahead]
    price, promoted = (np.asarray(panel.channels[name])[:, ahead] for name in (c.PRICE, c.ON_PROMOTION))
    regular = np.nanmax(np.asarray(panel.channels[c.PRICE]), axis=1, keepdims=True)
    np.testing.assert_allclose(price, regular * np.where(promoted > 0, 0.8, 1), atol=0.01)
    assert 0 < promoted.mean() < 0.5
    christmas = MONDAYS.index(date(2024, 12, 23))
    assert np.asarray(panel.channels[c.HOLIDAY])[:, christmas].all()
    assert not np.asarray(panel.channels[c.HOLIDAY])[:, MONDAYS.index(date(2024, 11, 25))].any()


@pytest.mark.parametrize(("version", "windows"), [("v1", (2, 4, 8)), ("v2", (2, 4, 8, 13, 26, 52))])
def test_features_look_back_by_weeks_and_know_no_weekday(run: Run, version: str, windows: tuple[int, ...]) -> None:
    manifest = read_manifest(run.settings.models / version)
    assert (manifest.grain, manifest.horizon, manifest.spec.season) == (Grain.WEEK, HORIZON, 1)
    assert manifest.spec.level_windows == windows
    names = {f.name for f in manifest.features}
    assert {"day_of_year", "month", "promo", "price_to_mean", "until_holiday", "static_region"} <= names
    assert not [f for f in manifest.features if re.search("weekday|payday|day_of_month", f.name + f.definition)]
    folder = artifact_root(run.settings).folder(f"{manifest.tier}_features")
    rows = FeatureRows(**{name: np.load(folder / f"{name}.npy") for name in FeatureRows.__dataclass_fields__})
    assert rows.matrix.shape == (len(rows.demand), len(names))
    order = [f.name for f in manifest.features]
    level, horizon = (rows.matrix[:, order.index(name)] for name in ("level_4", "horizon"))
    assert set(np.unique(horizon)) == set(range(1, HORIZON + 1))
    told = np.isfinite(level)
    assert np.corrcoef(level[told], np.log1p(rows.demand[told]))[0, 1] > 0.8


def test_both_tiers_beat_every_baseline_and_serve(run: Run) -> None:
    for version in ("v1", "v2"):
        table = pd.read_parquet(run.settings.models / version / "backtest_metrics.parquet")
        scores = table[(table["origin"].astype(str) == "all") & (table["metric"] == "mae")].set_index("model")["value"]
        assert scores["ensemble"] < scores[list(BASELINES)].min(), version
    table = table[table["origin"].astype(str) != "all"]
    origins = sorted(pd.to_datetime(table["origin"]).dt.date.unique())
    assert origins == [MONDAYS[WEEKS - 1 - 2 * HORIZON], MONDAYS[WEEKS - 1 - HORIZON]]
    champion = json.loads((run.settings.models / "champion.json").read_text())
    assert (champion["version"], champion["cold_start"]["version"], champion["dataset"]) == ("v2", "v1", "handlare")


def test_forecasts_are_eight_mondays_per_series_and_better_than_the_last_weeks(run: Run) -> None:
    stored = run.rows("SELECT * FROM demand_forecasts ORDER BY store_id, item_id, date")
    assert list(stored.groupby(["store_id", "item_id"]).groups) == SERIES
    dates = stored["date"].to_numpy().reshape(len(SERIES), HORIZON)
    assert dates.tolist() == [MONDAYS[WEEKS : WEEKS + HORIZON]] * len(SERIES)
    wanted = run.shop.wanted[WEEKS : WEEKS + HORIZON].reshape(HORIZON, -1).T
    mean = stored["mean"].to_numpy().reshape(wanted.shape)
    recent = run.shop.sold[WEEKS - 4 : WEEKS].mean(axis=0).reshape(-1, 1)
    error, plain = np.abs(mean - wanted).sum(), np.abs(recent - wanted).sum()
    assert error < 0.75 * plain, (error / wanted.sum(), plain / wanted.sum())
    assert abs(mean.sum() / wanted.sum() - 1) < 0.1
    covered = (stored["q05"].to_numpy() <= wanted.ravel()) & (wanted.ravel() <= stored["q95"].to_numpy())
    assert covered.mean() > 0.7
    inputs = run.rows("SELECT * FROM online_features ORDER BY store_id, item_id")
    assert list(zip(inputs["store_id"], inputs["item_id"], strict=True)) == SERIES
    assert set(inputs["origin"]) == {MONDAYS[WEEKS - 1]}


def over(mean: Floats, spread: Floats, days: float, late: float, together: float = 0) -> tuple[float, float]:
    """(mean, standard deviation) of demand over so many days of weekly forecasts; `late`: the deviation of `days`;
    `together`: correlation of errors of neighbouring weeks."""
    parts = [min(max(days / 7 - h, 0), 1) for h in range(HORIZON)]
    total = sum(m * p for m, p in zip(mean, parts, strict=True))
    variance = 0.0
    for h, k in itertools.product(range(HORIZON), repeat=2):
        variance += spread[h] * spread[k] * (parts[h] * parts[k]) ** 0.5 * together ** abs(h - k)
    return float(total), float((variance + (total / max(days, 1e-6) * late) ** 2) ** 0.5)


def counted(mean: float, deviation: float) -> tuple[float, float]:
    """(size, probability) of the negative binomial distribution with this mean and deviation."""
    excess = max(deviation**2 - mean, 1e-6 * mean)
    return mean**2 / excess, mean / (mean + excess)


def plain_alert(
    weeks: pd.DataFrame, held: pd.Series, wait: int, level: float, together: float
) -> tuple[str, float, float]:
    """(kind, or nothing; order-up-to level; days of supply) of one series, day by day; `wait` days until the supplier
    takes an order."""
    mean, width = weeks[c.MEAN].to_numpy(), 2 * NormalDist().inv_cdf(0.95)
    spread = np.maximum((weeks["q95"] - weeks["q05"]).to_numpy() / width, np.sqrt(mean))
    late = 1.5 if held["lead"] == 5 else 0.0
    demand, deviation = over(
        mean, spread, wait + 7 + held["lead"], late, together
    )  # the order after it is a week later
    up_to = float(nbinom(*counted(demand, deviation)).ppf(level)) if demand else 0.0
    position = held["on_hand"] + held["on_order"]
    soon, unsure = over(mean, spread, wait + held["lead"], late, together)
    chance = float(nbinom(*counted(soon, unsure)).sf(position)) if soon else 0.0
    kind = "overstock" if position > max(4 * max(up_to, 1), up_to + MINIMUM) else ""
    kind = "stockout_risk" if chance > 0.5 else "reorder_now" if chance > 1 - level else kind
    lasting = [over(mean, spread, days, 0)[0] <= held["on_hand"] for days in range(1, 7 * HORIZON + 1)]
    return kind, up_to, float(sum(lasting))


def test_alerts_protect_the_days_of_the_lead_time_and_the_week_until_the_next_look(run: Run) -> None:
    forecast = run.rows("SELECT * FROM demand_forecasts ORDER BY date").groupby(["store_id", "item_id"])
    stock = run.shop.stock[run.shop.stock["date"] < np.datetime64(MONDAYS[WEEKS])]
    held = stock.drop_duplicates(["store_id", "item_id"], keep="last").set_index(["store_id", "item_id"])
    # Forecasts begin on a Monday; the supplier takes orders on that day, or on Wednesdays.
    waits = {item: ORDERED_ON[supplier][0] for item, supplier in zip(ITEMS, SUPPLIER, strict=True)}
    level = run.settings.service_level
    together = backtest_correlation(pd.read_parquet(run.settings.models / "v2" / BACKTEST_FORECASTS), 7)
    assert 0 < together < 0.9
    plain = {key: plain_alert(weeks, held.loc[key], waits[key[1]], level, together) for key, weeks in forecast}
    raised = run.rows("SELECT * FROM stock_alerts WHERE kind <> 'phantom_stock'")
    found = {
        (row.store_id, row.item_id): (row.kind, row.details["order_up_to"], row.details["days_of_supply"])
        for row in raised.itertuples()
    }
    assert found == {key: alert for key, alert in plain.items() if alert[0]}
    # The last store counts no stock on Sundays: its alert comes from Saturday's count.
    assert found[(STORES[5], ITEMS[4])][0] == "stockout_risk"
    assert {days % 7 for _, _, days in found.values()} - {0}
    assert {item for _, item in found} & {item for item, lead in zip(ITEMS, LEAD_DAYS, strict=True) if lead == 5}


def test_orders_go_to_each_supplier_on_its_day_in_whole_packs(run: Run) -> None:
    orders = run.rows("SELECT * FROM purchase_orders JOIN purchase_order_lines USING (order_id)")
    days = {supplier: MONDAYS[WEEKS] + timedelta(days=weekdays[0]) for supplier, weekdays in ORDERED_ON.items()}
    assert len(orders) > 0
    assert all(o.order_date == days[o.supplier_id] for o in orders.itertuples())
    assert set(orders["status"]) == {"proposed"}
    assert (orders["quantity"] >= MINIMUM).all()
    assert (orders["quantity"] % PACK == 0).all()
    plan = run.rows("SELECT * FROM reorder_plan")
    assert len(plan) == len(SERIES)
    assert plan["quantity"].sum() == orders["quantity"].sum()


def test_the_card_and_the_pages_speak_of_weeks(run: Run) -> None:
    card = (run.settings.models / "v2" / "model_card.md").read_text()
    for said in ("8 weeks ahead", f"from 2022-01-03 to {LAST_SUNDAY} (150 weeks)", "| Periods ahead |", "4-week mean"):
        assert said in card
    pages = {name: (run.settings.reports / f"{name}.html").read_text() for name in CHARTS}
    drawn = {name: page.split("const figure = ")[1].split(";\nconst draw")[0] for name, page in pages.items()}
    index = (run.settings.reports / "index.html").read_text().split("<body>")[1]
    index = re.sub(r'src="data:[^"]*"', "", index)
    assert f"trained on data to {LAST_SUNDAY}" in index
    for name, shown in {**drawn, "index": index, "card": card}.items():
        for said in ("day_of_year", "day of the year", "holiday_days", "days of the target"):  # a week has such days
            shown = shown.replace(said, "")
        assert not re.search(r"weekday|\bdays?\b", shown, re.IGNORECASE), name
    assert "units per week" in drawn["forecast_vs_actual"]
    assert "weeks after the origin" in drawn["error_distribution"]


def test_the_run_is_in_mlflow(run: Run) -> None:
    from mlflow.tracking import MlflowClient

    from shelfops_pipeline.tracking.aliases import model_name
    from shelfops_pipeline.tracking.probe import tracking_uri

    uri = tracking_uri(run.settings)
    client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias(model_name("handlare", "production"), "champion")
    tracked = client.get_run(version.run_id)
    assert (tracked.data.tags["dataset"], tracked.data.tags["version"]) == ("handlare", "v2")
    assert (tracked.data.params["grain"], tracked.data.params["horizon"]) == ("week", str(HORIZON))
    assert tracked.data.metrics["mae"] == pytest.approx(read_manifest(run.settings.models / "v2").metrics["mae"])


@pytest.fixture(scope="module")
def api(run: Run) -> Iterator[httpx.Client]:
    values = {
        "dataset": "handlare",
        "home": run.settings.root,
        "database_url": run.values["database_url"],
    }
    with served(ApiSettings.model_validate(values)) as client:
        yield client


@pytest.mark.usefixtures("whole_totals")  # those of the command, which is another process
def test_the_api_serves_weeks_and_its_what_if_is_predict_demand(run: Run, api: httpx.Client) -> None:
    told = api.get("/v1/champion").json()
    assert (told["grain"], told["horizon"], told["training_cutoff"]) == ("week", HORIZON, str(MONDAYS[WEEKS - 1]))
    stored = run.rows("SELECT * FROM demand_forecasts WHERE store_id = 'S4' AND item_id = '3001' ORDER BY date")
    answer = api.get("/v1/forecasts/S4/3001").json()["forecast"]
    assert [row["date"] for row in answer] == [str(monday) for monday in MONDAYS[WEEKS : WEEKS + HORIZON]]
    np.testing.assert_allclose([row["q95"] for row in answer], stored["q95"], rtol=1e-6)

    manifests = champion_models(Registry(run.settings.models))
    (part,) = [p for p in serving_inputs(run.panel, manifests) if len(p.rows)]
    state = replace(part.state, channels=part.state.channels.copy())
    rng, asked = np.random.default_rng(3), []
    for s, (store, item) in enumerate(SERIES):
        h, price = int(rng.integers(1, HORIZON + 1)), round(float(rng.uniform(5, 30)), 2)
        state.override(s, {c.ON_PROMOTION: [(h, 1.0)], c.PRICE: [(h, price)]})
        change = {"date": str(MONDAYS[WEEKS + h - 1]), c.ON_PROMOTION: True, c.PRICE: price}
        asked.append({"store_id": store, "item_id": item, "overrides": [change]})
    expected = predict_demand(ServedModel.load_native(run.settings.models / part.version), state, Metric.MAE)
    answered = api.post("/v1/predict", json={"series": asked, "metric": "mae"}).json()["series"]
    for name, values in ((c.MEAN, expected.mean), (c.POINT, expected.point), ("q95", expected.quantiles[..., -1])):
        got = [[row[name] for row in series["forecast"]] for series in answered]
        np.testing.assert_allclose(got, values, rtol=1e-4, atol=1e-4, err_msg=name)


def test_a_day_inside_a_week_is_no_date_of_a_weekly_forecast(run: Run, api: httpx.Client) -> None:
    wednesday = MONDAYS[WEEKS] + timedelta(days=2)
    series = {"store_id": "S1", "item_id": "1001", "overrides": [{"date": str(wednesday), c.ON_PROMOTION: True}]}
    answer = api.post("/v1/predict", json={"series": [series]})
    detail = check_problem(api, answer, 422, "date_outside_horizon")["detail"]
    assert f"it has {MONDAYS[WEEKS]} to {MONDAYS[WEEKS + HORIZON - 1]}, every 7 days" in detail


@pytest.mark.soak
def test_a_forecast_as_of_the_middle_of_a_week_begins_with_that_week(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "forecast.parquet"
    wednesday = MONDAYS[WEEKS - 5] + timedelta(days=2)
    run.command("forecast", "--horizon", "4", "--as-of", str(wednesday), "--out", out)
    frame = pd.read_parquet(out)
    assert list(frame.groupby(["store_id", "item_id"]).groups) == SERIES
    assert sorted(frame["date"].unique()) == MONDAYS[WEEKS - 5 : WEEKS - 1]


@pytest.mark.soak
def test_a_backtest_scores_the_same_folds_as_the_graph(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "backtest"
    run.command("backtest", "--horizon", str(HORIZON), "--folds", "2", "--out", out)
    graph = pd.read_parquet(run.settings.models / "v2" / "backtest_metrics.parquet")
    alone = pd.read_parquet(out / "metrics.parquet")
    alone = alone[(alone["tier"] == "production") & alone["by"].isin(["all", "origin"])]
    keys = ["model", "origin", "metric"]
    both = graph.merge(alone.rename(columns={"group": "origin"}), on=keys, suffixes=("", "_alone"))
    assert len(both) == len(graph)
    np.testing.assert_allclose(both["value"], both["value_alone"], rtol=1e-5)
