"""One whole run of the graph on a small simulated retailer: what it must leave behind."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, text

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.bundle import DECISION, MODEL_CARD, ChampionPointer
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.contracts.decision import GateDecision
from shelfops_pipeline.contracts.replenishment import AlertKind
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import verify
from shelfops_pipeline.store.alerts import list_alerts
from shelfops_pipeline.store.ingested import period_records
from shelfops_pipeline.store.orders import list_orders, read_order
from shelfops_pipeline.store.reads import latest_release, series_explanations, series_forecast
from shelfops_pipeline.store.reorder import read_plan
from shelfops_pipeline.store.tables import (
    demand_forecasts,
    forecast_explanations,
    inventory,
    items,
    online_features,
    quarantined_transactions,
    stores,
)
from tests.defs.conftest import HORIZON, SIZES, Graph, files_under


def test_every_step_started_and_finished(graph: Graph) -> None:
    started = {step for step, what in graph.steps if what == "started"}
    done = {step for step, what in graph.steps if what == "done"}
    assert started == done
    assert {"raw_transactions", "validate", "panel", "backtest", "champion", "demand_forecasts"} <= done


def test_each_day_has_its_own_file_and_no_row_is_lost(graph: Graph) -> None:
    folder = graph.artifacts
    days = SIZES["simulated_days"]
    raw, valid = (sorted((folder / name).glob("*.parquet")) for name in ("raw_transactions", "validated_transactions"))
    assert len(raw) == len(valid) == days
    rows = [sum(pq.read_metadata(f).num_rows for f in files) for files in (raw, valid)]
    with graph.engine.connect() as connection:
        bad = connection.scalar(select(func.count()).select_from(quarantined_transactions))
    assert bad > 0
    assert rows[0] == rows[1] + bad


def test_a_partition_holds_only_its_own_day(graph: Graph) -> None:
    frame = pd.read_parquet(graph.artifacts / "raw_transactions" / "2024-02-03.parquet")
    assert set(frame[c.TS].dt.strftime("%Y-%m-%d")) == {"2024-02-03"}


def test_the_warehouse_holds_what_was_accepted_and_a_record_of_each_day(graph: Graph) -> None:
    records = period_records(graph.engine, "simulated")
    with graph.engine.connect() as connection:
        rows = dict(connection.execute(text("SELECT period, count(*) FROM transactions GROUP BY period")).all())
        stock = connection.scalar(select(func.count()).select_from(inventory))
        described = [connection.scalar(select(func.count()).select_from(table)) for table in (stores, items)]
    assert [r.period for r in records] == [graph.span[0] + timedelta(days=n) for n in range(SIZES["simulated_days"])]
    assert {r.period: r.accepted for r in records if r.accepted} == rows
    assert all(r.rows == r.accepted + r.quarantined and r.quarantined == sum(r.reasons.values()) for r in records)
    assert all((r.source_checksum is not None) == (r.rows > 0) for r in records)
    assert stock == sum(pq.read_metadata(f).num_rows for f in (graph.artifacts / "raw_inventory").glob("*.parquet"))
    assert described == [SIZES["simulated_stores"], SIZES["simulated_items"]]


def test_each_period_has_its_own_figures_in_the_ui(graph: Graph) -> None:
    key = dg.AssetKey("validated_transactions")
    event = graph.pipeline.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=["2024-02-03"]), limit=1
    ).records[0]
    found = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    record = period_records(graph.engine, "simulated", date(2024, 2, 3), date(2024, 2, 3))[0]
    assert (found["rows"], found["accepted"], found["quarantined"]) == (
        record.rows,
        record.accepted,
        record.quarantined,
    )


def test_checks_say_that_rows_are_good_reconciled_and_complete(graph: Graph) -> None:
    names = {"validated_transactions": "bad_rows", "transactions_table": "reconciled"}
    keys = [dg.AssetCheckKey(dg.AssetKey(a), n) for a, n in (*names.items(), ("transactions_table", "feed_complete"))]
    records = graph.pipeline.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert {k.name: r.evaluation.passed for k, r in records.items() if r.evaluation} == dict.fromkeys(
        ("bad_rows", "reconciled", "feed_complete"), True
    )


def test_ingesting_a_range_again_changes_no_file(graph: Graph) -> None:
    folders = [graph.artifacts / name for name in ("raw_transactions", "validated_transactions")]
    before = [files_under(folder) for folder in folders]
    graph.pipeline.ingest(graph.span[0], graph.span[1], lambda *_: None)
    assert [files_under(folder) for folder in folders] == before


def test_the_champion_pair_is_complete_and_verified(graph: Graph) -> None:
    registry = Registry(graph.settings.models)
    pointer = registry.champion()
    assert isinstance(pointer, ChampionPointer)
    assert {e.feature_tier for e in registry.entries()} == set(Tier)
    for version in pointer.versions:
        folder = graph.settings.models / version
        manifest = verify(folder)
        assert manifest.horizon == HORIZON
        explained = ("shap_summary.png", "feature_importance.json", "lstm_importance.json", "lstm_attribution.png")
        for name in ("xgboost.onnx", "lstm.onnx", "model_card.md", *explained):
            assert (folder / name).stat().st_size > 0, name
        assert len(list(folder.glob("shap_local_*.png"))) == 5
        forecasts = pd.read_parquet(folder / "backtest_forecasts.parquet")
        assert list(forecasts) == list(c.BACKTEST_COLUMNS)
        assert (forecasts["q50"] - forecasts[c.ACTUAL]).abs().mean() == pytest.approx(manifest.metrics["mae"], rel=1e-4)


def test_no_bundle_file_runs_code_when_loaded(graph: Graph) -> None:
    suffixes = {p.suffix for p in graph.settings.models.rglob("*") if p.is_file()}
    assert suffixes <= {".json", ".ubj", ".keras", ".onnx", ".md", ".png", ".parquet", ".lock", ""}


def test_every_series_is_forecast_by_the_tier_that_its_history_allows(graph: Graph) -> None:
    panel, pointer = graph.panel, Registry(graph.settings.models).champion()
    assert pointer is not None
    with graph.engine.connect() as connection:
        table = demand_forecasts
        rows = connection.execute(select(table).where(table.c.release == pointer.release)).all()
    frame = pd.DataFrame(rows)
    assert len(frame) == panel.n_series * HORIZON
    assert frame[c.DATE].min() == panel.last_observed + pd.Timedelta(days=1)
    history = np.isfinite(panel.demand[:, : panel.n_observed]).sum(axis=1)
    tiers = {v: verify(graph.settings.models / v).tier for v in pointer.versions}
    used = frame.drop_duplicates([c.STORE_ID, c.ITEM_ID]).set_index([c.STORE_ID, c.ITEM_ID])["model_version"].map(tiers)
    expected = pd.Series(
        np.where(history >= 84, Tier.PRODUCTION, Tier.COLD_START),
        index=pd.MultiIndex.from_arrays([panel.store_ids, panel.item_ids], names=[c.STORE_ID, c.ITEM_ID]),
    )
    if len(tiers) == 2:
        assert (used.sort_index() == expected.sort_index()).all()
        assert set(used) == set(Tier)


def test_forecasts_are_ordered_non_negative_and_zero_when_closed(graph: Graph) -> None:
    frame = pd.read_parquet(graph.artifacts / "demand_forecasts" / "all.parquet")
    quantiles = frame[list(c.QUANTILE_COLUMNS)].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (quantiles >= 0).all()
    assert (frame[c.MEAN] >= 0).all()
    panel = graph.panel
    future = slice(panel.n_observed, panel.n_observed + HORIZON)
    closed = panel.channels[c.OPEN][:, future] == 0
    keys = list(zip(panel.store_ids, panel.item_ids, strict=True))
    means = frame.set_index([c.STORE_ID, c.ITEM_ID]).loc[keys, c.MEAN].to_numpy().reshape(panel.n_series, HORIZON)
    assert closed.any()
    assert (means[closed] == 0).all()


def test_the_release_is_named_and_readable_by_series(graph: Graph) -> None:
    release = latest_release(graph.engine, "simulated")
    assert release is not None
    panel = graph.panel
    rows = series_forecast(graph.engine, release.release, panel.store_ids[0], panel.item_ids[0])
    assert len(rows) == HORIZON
    with graph.engine.connect() as connection:
        count = connection.scalar(select(func.count()).select_from(online_features))
    assert count == panel.n_series


def test_every_served_forecast_is_explained_in_units_that_add_up_to_it(graph: Graph) -> None:
    release, panel = latest_release(graph.engine, "simulated"), graph.panel
    assert release is not None
    with graph.engine.connect() as connection:
        table = forecast_explanations
        rows = connection.execute(select(table).where(table.c.release == release.release)).mappings().all()
    assert len(rows) == panel.n_series * (HORIZON + 1)  # each period, and all of them
    for row in rows:
        if row["start"] is not None:
            told = row["start"] + sum(reason["units"] for reason in row["reasons"])
            assert told == pytest.approx(row["prediction"], abs=1e-3, rel=1e-5)
    for store, item in list(zip(panel.store_ids, panel.item_ids, strict=True))[:: panel.n_series // 5]:
        over, *daily = series_explanations(graph.engine, release.release, store, item)
        served = series_forecast(graph.engine, release.release, store, item)
        assert [(d.date, d.model_version) for d in daily] == [(f.date, f.model_version) for f in served]
        assert [d.prediction for d in daily] == pytest.approx([f.mean for f in served])
        assert over.prediction == pytest.approx(sum(f.mean for f in served), rel=1e-5)
        assert over.sentence.startswith("Expected ")


def test_stock_alerts_name_a_known_kind_and_an_order(graph: Graph) -> None:
    alerts = list_alerts(graph.engine, "simulated", limit=1000)
    assert {a.kind for a in alerts} <= set(AlertKind)
    assert all(a.details["order_quantity"] >= 0 for a in alerts)
    assert len({(a.store_id, a.item_id, a.kind) for a in alerts}) == len(alerts)


def test_the_plan_has_every_series_and_its_orders_are_proposed_to_suppliers(graph: Graph) -> None:
    release = latest_release(graph.engine, "simulated")
    assert release is not None
    lines = read_plan(graph.engine, release.release, limit=1000)
    assert len(lines) == graph.panel.n_series
    wanted = {(line.store_id, line.item_id): line.quantity for line in lines if line.quantity}
    orders = [read_order(graph.engine, "simulated", o.order_id) for o in list_orders(graph.engine, "simulated")]
    assert {(line.store_id, line.item_id): line.quantity for o in orders for line in o.lines} == wanted
    assert wanted
    assert all(o.supplier_id and o.order_date > graph.panel.last_observed and o.cost for o in orders)


def test_checks_are_recorded_with_the_gates_figures(graph: Graph) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("champion"), "promotion_gate")
    record = graph.pipeline.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    evaluation = record.evaluation
    assert evaluation is not None
    for tier in Tier:
        assert "| MAE of the median |" in evaluation.metadata[tier.value].value
        assert float(evaluation.metadata[f"{tier} MAE ratio"].value) > 0


def test_each_version_has_the_gates_decision_in_its_folder_its_card_and_its_history(graph: Graph) -> None:
    registry = Registry.of(graph.settings)
    for entry in registry.entries():
        folder = graph.settings.models / entry.version
        decision = GateDecision.model_validate_json((folder / DECISION).read_text())
        assert decision.promote is (entry.status is Status.CHAMPION)
        assert {f.by for f in decision.figures} >= {"all", "store"}
        assert entry.history[-1].by == decision.by == "gate (manual)"
        assert entry.reason == decision.reason
        card = (folder / MODEL_CARD).read_text()
        assert decision.reason in card
        assert all(f"\n### {part}\n\n| " in card for part in ("By store", "By category", "By periods ahead"))


def test_a_damaged_champion_stops_publishing_with_one_clear_line(graph: Graph, tmp_path: Path) -> None:
    from shelfops_pipeline.errors import BundleError
    from shelfops_pipeline.lifecycle.publish import champion_models

    models = tmp_path / "models"
    shutil.copytree(graph.settings.models, models)
    version = json.loads((models / "champion.json").read_text())["version"]
    model = models / version / "lstm.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    with pytest.raises(BundleError, match=rf"{version}/lstm.onnx does not match its checksum; restore"):
        champion_models(Registry(models))
