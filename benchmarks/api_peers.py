"""What else would serve the same models: MLflow's own server, and a route with nothing around it."""

import os
import sys
from pathlib import Path
from typing import Final

from shelfops_pipeline.contracts.bundle import XGBOOST_NATIVE

_HERE: Final = Path(__file__).parent


def floor(version: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Command and environment of the bare FastAPI + ONNX route."""
    command = [sys.executable, "-m", "uvicorn", "onnx_floor:app", "--port", str(port), "--no-access-log"]
    return [*command, "--log-level", "warning", "--app-dir", str(_HERE)], {"SHELFOPS_FLOOR": str(version)}


def mlflow_server(version: Path, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Command and environment of `mlflow models serve` on the version's XGBoost model, one worker."""
    import mlflow.xgboost
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(version / XGBOOST_NATIVE)
    model = folder / "mlflow_model"
    mlflow.xgboost.save_model(booster, str(model), model_format="ubj")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # mlflow calls uvicorn by its name
    return [*command, "--env-manager", "local", "--port", str(port), "--workers", "1"], {"PATH": path}
