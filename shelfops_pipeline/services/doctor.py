"""What is reachable, what is missing, and how to get it. Every check looks; none changes or starts anything.

But one: a place for artifacts that is no directory is tried with a small object, which is deleted again.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from pydantic import SecretStr, ValidationError

from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.errors import BundleError, PromotionError, ShelfOpsError
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.doctor_stack import Check, artifacts, database_checks, existing_part, workers
from shelfops_pipeline.services.stack import redis_binary
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.embedded import is_running
from shelfops_pipeline.store.engine import describe, open_engine, warehouse_url
from shelfops_pipeline.store.place import find_binaries, recorded
from shelfops_pipeline.tracking.outbox import Outbox
from shelfops_pipeline.tracking.probe import is_remote, tracking_uri, why_away, without_password

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MINIMUM_FREE_GB: Final = 5.0
_EXTRAS: Final = {
    "ml": (
        *("dagster", "dagster_webserver", "dagster_postgres", "pandas", "pandera", "pyarrow", "xgboost", "keras"),
        *("tensorflow", "sklearn", "mlflow", "shap", "onnx", "onnxmltools", "plotly", "kaleido", "alembic"),
    ),
    "api": ("fastapi", "uvicorn", "onnxruntime", "redis"),
}


def checks(settings: Settings) -> list[Check]:
    """All findings, in the order in which a person would fix them."""
    return [
        _python(),
        *_packages(),
        _home(settings),
        _disk(settings),
        artifacts(settings),
        _database(settings),
        *database_checks(settings),
        _redis(settings.redis_url),
        workers(settings),
        _mlflow(settings),
        _browser(),
        _champion(settings),
        _gpu(),
    ]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", sys.version_info[:2] == (3, 11), version, "Use Python 3.11: uv venv --python 3.11")


def _packages() -> Iterator[Check]:
    for extra, names in _EXTRAS.items():
        missing = [name for name in names if find_spec(name) is None]
        detail = f"missing: {', '.join(missing)}" if missing else f"all {len(names)} found"
        yield Check(f"Packages [{extra}]", not missing, detail, f"pip install 'shelfops[{extra}]'")


def _home(settings: Settings) -> Check:
    existing = existing_part(settings.root)
    ok = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    detail = f"{settings.root}{'' if settings.root.exists() else ' (will be made)'}"
    return Check("Home", ok, detail, f"Make {existing} writable, or set SHELFOPS_HOME")


def _disk(settings: Settings) -> Check:
    place = recorded(settings.root) or settings.root
    free = shutil.disk_usage(existing_part(place)).free / 1e9
    return Check(
        "Free disk",
        free >= MINIMUM_FREE_GB,
        f"{free:.1f} GB",
        f"Free {MINIMUM_FREE_GB:.0f} GB, or set SHELFOPS_HOME",
    )


def _database(settings: Settings) -> Check:
    try:
        if settings.database_url is None:
            detail = f"embedded PostgreSQL, {find_binaries().parent}"
            running = settings.root.exists() and is_running(settings.root)
            return Check("Database", True, f"{detail}{' (running)' if running else ''}")
        url = settings.database_url.get_secret_value()
        open_engine(url).dispose()
    except ShelfOpsError as error:
        return Check("Database", False, str(error), "Start the server, or correct SHELFOPS_DATABASE_URL")
    return Check("Database", True, describe(warehouse_url(url)))


def _redis(url: SecretStr | None) -> Check:
    if url is None:
        try:
            return Check("Redis", True, f"embedded, {redis_binary()}", required=False)
        except ShelfOpsError as error:
            return Check("Redis", False, str(error), "pip install 'shelfops[ml]', or set SHELFOPS_REDIS_URL", False)
    import redis

    try:
        with redis.Redis.from_url(url.get_secret_value(), socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        remedy = "Start Redis, or correct SHELFOPS_REDIS_URL; the API serves without it, only slower"
        return Check("Redis", False, type(error).__name__, remedy, required=False)
    return Check("Redis", True, "answers", required=False)


def _mlflow(settings: Settings) -> Check:
    uri, waiting = tracking_uri(settings), len(Outbox.of(settings).waiting())
    shown = without_password(uri) if is_remote(uri) else "a database file in home; no server needed"
    if (why := why_away(settings)) is not None:
        remedy = "Start it, or unset SHELFOPS_MLFLOW_TRACKING_URI; until then runs are kept as JSON and replayed"
        return Check("MLflow", False, f"{shown}: {why}", remedy, required=False)
    detail = f"{shown}; runs that wait for it: {waiting}" if waiting else shown
    return Check("MLflow", not waiting, detail, "shelfops models sync-tracking", required=False)


def _browser() -> Check:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    remedy = "Install Chromium for PNG and PDF charts (apt install chromium); HTML charts need none"
    return Check("Browser for PNG", found is not None, found or "none found", remedy, required=False)


def _champion(settings: Settings) -> Check:
    file = settings.models / "champion.json"
    remedy = "Train one: shelfops demo, or shelfops train"
    if not file.exists():
        return Check("Champion", False, "none yet", remedy, required=False)
    try:
        pointer = ChampionPointer.model_validate_json(file.read_bytes())
    except ValidationError as error:
        return Check("Champion", False, f"{file}: {error.error_count()} errors", "shelfops models verify")
    missing = [version for version in pointer.versions if not (settings.models / version).is_dir()]
    detail = f"{pointer.release}, MAE {pointer.mae:.4g}"
    if missing:
        return Check("Champion", False, f"{detail}; no directory for {', '.join(missing)}", "shelfops models rollback")
    try:
        registry = Registry.of(settings)
        for version in pointer.versions:
            registry.check(registry.entry(version))
    except (BundleError, PromotionError) as error:
        return Check("Champion", False, f"{detail}; {error}", "shelfops models verify, then models rollback")
    return Check("Champion", True, f"{detail}; every file matches its checksum", required=False)


def _gpu() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("GPU", False, "none found", "Not needed; training uses the CPU", required=False)
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Check("GPU", False, "nvidia-smi does not answer", "Check the driver", required=False)
    lines = listed.stdout.strip().splitlines()
    ok = listed.returncode == 0 and bool(lines)
    return Check("GPU", ok, "; ".join(lines) or "nvidia-smi failed", "Check the driver", required=False)
