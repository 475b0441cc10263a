"""Which room may import which (DESIGN, section 2), and that the API runs without any ML package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.support import DATASET

ROOT = Path(__file__).parents[2]
PIPELINE, API = "shelfops_pipeline", "shelfops_api"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What the API's image does not have.
ML_ONLY = _words(
    "dagster pandas pandera xgboost tensorflow keras sklearn shap mlflow plotly pyarrow kaleido matplotlib seaborn "
    "onnx onnxmltools skl2onnx tf2onnx alembic fsspec filelock holidays psutil typer optuna"
)

# One layer: these may import each other.
DOMAIN = _words(
    "schemas data gate ingestion onboarding features models evaluation tuning lifecycle tracking explain charts "
    "monitoring replenishment"
)
LEAVES = frozenset({"errors", "shipped"})
BELOW_INFERENCE = LEAVES | {"contracts"}
BELOW_DOMAIN = BELOW_INFERENCE | {"inference", "store", "settings"}
BELOW_DEFS = BELOW_DOMAIN | DOMAIN
EVERYTHING = BELOW_DEFS | {"services", "defs", "definitions"}
ALLOWED = {
    **dict.fromkeys(LEAVES, frozenset[str]()),
    "contracts": LEAVES,
    "settings": BELOW_INFERENCE,
    "logs": BELOW_INFERENCE | {"settings"},
    "inference": BELOW_INFERENCE,
    "store": BELOW_INFERENCE,
    **dict.fromkeys(DOMAIN, BELOW_DEFS),
    "defs": BELOW_DEFS,
    "definitions": BELOW_DEFS | {"defs"},
    "services": EVERYTHING,  # runs the graph, and gives it its connections
    "cli": EVERYTHING,
    API: {"errors", "contracts", "inference", "store"},
}


def imported_modules(file: Path) -> Iterator[str]:
    """Every module that `file` imports, also within functions and for type checkers only."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    """The room of a module of ours; None for other people's."""
    package, *rest = module.split(".")
    if package == API:
        return API
    return rest[0] if package == PIPELINE and rest else None


def files_of(room: str) -> list[Path]:
    if room == API:
        return sorted((ROOT / API).rglob("*.py"))
    return sorted((ROOT / PIPELINE / room).rglob("*.py")) + list((ROOT / PIPELINE).glob(f"{room}.py"))


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {
        path.stem for path in (ROOT / PIPELINE).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} - set(ALLOWED) == set(), "say in ALLOWED what a new room may import"


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_run_one_way(room: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in files_of(room)
        for module in imported_modules(file)
        if (other := room_of(module)) not in (None, room) and other not in ALLOWED[room]
    ]
    assert wrong == []


def run_without_ml(code: str) -> "subprocess.CompletedProcess[str]":
    """Run `code` in a fresh interpreter in which no ML package can be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(ML_ONLY)!r}))\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_api_imports_no_ml_package() -> None:
    # redis takes the SDK of OpenTelemetry along where that is installed, and it psutil; the API image has neither.
    code = f"""
import sys
sys.modules["opentelemetry.sdk"] = None
import shelfops_api.main
found = set({sorted(ML_ONLY)!r}) & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_a_champion_is_loaded_and_asked_where_no_ml_package_is_installed(retailer) -> None:  # type: ignore[no-untyped-def]
    done = run_without_ml(
        f"""
from pathlib import Path
import shelfops_api.main
from shelfops_api.champion import Champion
from shelfops_api.snapshot import blank_state
from shelfops_pipeline.inference.predict import predict_demand
champion = Champion(Path({str(retailer.models)!r}), {DATASET!r}, published_at=lambda release: None)
assert champion.refresh()
for model in champion.snapshot.models.values():
    assert predict_demand(model, blank_state(model.spec)).mean.shape == (1, model.spec.horizon)
"""
    )
    assert done.returncode == 0, done.stderr
