"""Loading the definitions imports these rooms; the heavy libraries must wait until something is drawn or logged."""

import subprocess
import sys

MODULES = (
    "charts.theme",
    "charts.write",
    "charts.index",
    "charts.forecast_vs_actual",
    "charts.feature_importance",
    "charts.error_distribution",
    "charts.tier_comparison",
    "charts.training_summary",
    "charts.accuracy_by_horizon",
    "charts.accuracy_by_group",
    "charts.quantile_reliability",
    "charts.eda",
    "lifecycle.run_page",
    "explain.shap_values",
    "explain.plots",
    "explain.importance",
    "explain.words",
    "explain.publish",
    "explain.version",
    "explain.sample",
    "tracking.track",
    "lifecycle.card",
)
HEAVY = ("plotly", "kaleido", "matplotlib", "seaborn", "shap", "xgboost", "mlflow", "tensorflow", "keras")


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    imports = "".join(f"import shelfops_pipeline.{m}\n" for m in MODULES)
    code = f"{imports}import sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
