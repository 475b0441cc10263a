"""The definitions: what is in the graph, how it is described, and what loading it must not do."""

import subprocess
import sys
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from shelfops_pipeline.definitions import defs

EXPECTED = {
    "ingestion": {
        "raw_transactions",
        "raw_inventory",
        "raw_reference",
        "validated_transactions",
        "quarantined_transactions",
    },
    "warehouse": {"transactions_table", "inventory_table", "reference_tables"},
    "features": {"training_data", "panel", "cold_start_features", "production_features"},
    "models": {"cold_start_xgboost", "cold_start_lstm", "production_xgboost", "production_lstm"},
    "evaluation": {"backtest", "totals_calibration"},
    "lifecycle": {"model_candidates", "champion", "model_card", "experiment_run"},
    "explain": {"shap_summary", "feature_importance", "shap_local", "lstm_attribution"},
    "reports": {
        "forecast_vs_actual",
        "feature_importance_chart",
        "error_distribution",
        "tier_comparison",
        "training_summary",
        "accuracy_by_horizon",
        "accuracy_by_group",
        "quantile_reliability",
        "eda_seasonality",
        "eda_promotion_lift",
        "eda_intermittency",
        "eda_missingness",
        "backtest_report",
    },
    "serving": {"online_features", "demand_forecasts", "forecast_explanations", "forecast_totals"},
    "replenishment": {"reorder_plan", "purchase_orders", "stock_alerts"},
    "monitoring": {"shadow_forecasts", "forecast_scores", "drift_report", "drift_over_time"},
}


@pytest.fixture(scope="module")
def definitions() -> Any:
    return defs()


@pytest.fixture(scope="module")
def specs(definitions: Any) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_the_graph_has_every_node_in_its_group(specs: list[dg.AssetSpec]) -> None:
    found: dict[str, set[str]] = {}
    for spec in specs:
        found.setdefault(str(spec.group_name), set()).add(spec.key.to_user_string())
    assert found == EXPECTED


def test_every_asset_says_what_it_is_who_owns_it_and_what_it_is_made_with(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        name = spec.key.to_user_string()
        assert len(spec.description or "") > 20, name
        assert spec.owners, name
        assert spec.kinds, name


def test_what_comes_by_period_is_partitioned_and_nothing_below_is(definitions: Any) -> None:
    graph = definitions.resolve_asset_graph()
    partitioned = {k.to_user_string() for k in graph.get_all_asset_keys() if graph.get(k).is_partitioned}
    assert partitioned == {
        "raw_transactions",
        "raw_inventory",
        "validated_transactions",
        "quarantined_transactions",
        "transactions_table",
        "inventory_table",
    }


def test_gates_are_attached_as_dagster_types(definitions: Any) -> None:
    jobs = {name: definitions.resolve_job_def(name) for name in ("ingest", "train")}
    types = {
        out.dagster_type.display_name
        for job in jobs.values()
        for node in job.nodes
        for out in node.definition.output_defs
    }
    assert {
        "RawTransactions",
        "TrainingDataSchema",
        "ColdStartFeatures",
        "ProductionFeatures",
        "PredictionInput",
    } <= types


def test_everything_resolves_and_no_two_things_have_one_name(definitions: Any) -> None:
    dg.Definitions.validate_loadable(definitions)


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars` is deprecated")
def test_the_code_server_can_send_the_definitions_to_the_ui(definitions: Any) -> None:
    assert len(serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))) > 1000


# Nothing that reads data, trains or forecasts of its own accord: they finish what somebody has begun, and keep records.
ON = {"champion_changed", "retrain_requests", "run_failures", "run_recoveries", "dead_runs", "replay_tracking"}


def test_what_starts_by_itself_is_explained_and_off_until_somebody_turns_it_on(definitions: Any) -> None:
    repository = definitions.get_repository_def()
    schedules, sensors = repository.schedule_defs, repository.sensor_defs
    assert {s.name: s.cron_schedule for s in schedules} == {
        "daily_sync": "0 5 * * *",
        "weekly_retrain": "0 3 * * 1",
        "monthly_backtest": "0 1 1 * *",
        "nightly_maintenance": "0 2 * * *",
    }
    assert {s.name for s in sensors} >= {
        "new_data",
        "feed_gap",
        "carry_forward",
        "drift",
        *ON,
    }
    for each in (*schedules, *sensors):
        assert len(each.description or "") > 20, each.name
        assert each.default_status.value == ("RUNNING" if each.name in ON else "STOPPED"), each.name


def test_conditions_never_train(definitions: Any) -> None:
    graph = definitions.resolve_asset_graph()
    carried = {k.to_user_string() for k in graph.get_all_asset_keys() if graph.get(k).automation_condition is not None}
    trained = {k.to_user_string() for k in dg.AssetSelection.groups("models", "evaluation", "lifecycle").resolve(graph)}
    assert carried >= {"training_data", "panel", "online_features", "demand_forecasts", "stock_alerts"}
    assert carried & trained == set()


def test_loading_imports_no_model_library() -> None:
    script = (
        "import sys;"
        "from shelfops_pipeline.definitions import defs; defs();"
        "heavy = [m for m in ('tensorflow', 'keras', 'xgboost', 'shap', 'mlflow', 'dagster_celery', 'dagster_mlflow')"
        " if m in sys.modules];"
        "print(heavy)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
