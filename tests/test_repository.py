"""The repository as a whole: nothing of one machine in it, locks that fit, light imports, commands that exist."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from shelfops_pipeline.cli import app

ROOT = Path(__file__).parents[1]
PACKAGES = ("shelfops_pipeline", "shelfops_api")
# In pieces, so that this file does not contain what it looks for.
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
REGISTRIES += [".".join(parts) for parts in (("deb", "debian", "org"), ("archive", "ubuntu", "com"))]
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("work", "farm", "root")) + r")/")
HEAVY = ("tensorflow", "keras", "shap", "xgboost")
RUNS_CODE = {"pickle", "joblib", "dill", "cloudpickle"}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$")


def repository_files() -> list[Path]:
    """Files that are tracked, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """(name, content) of every text file."""
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield str(path.relative_to(ROOT)), content.decode()


def test_no_file_names_a_package_registry() -> None:
    named = [f"{name}: {host}" for name, text in texts() for host in REGISTRIES if host in text]
    assert named == []


def test_no_file_names_a_place_on_one_machine() -> None:
    named = [f"{name}: {m.group()}" for name, text in texts() for m in MACHINE_PATH.finditer(text)]
    assert named == []


def test_the_packages_load_nothing_that_could_run_code() -> None:
    found = []
    for path in (p for package in PACKAGES for p in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            found += [
                f"{path}: {m}" for m in modules if {"pickle", "joblib", "dill", "cloudpickle"} & set(m.split("."))
            ]
    assert found == []


def pins(name: str) -> dict[str, str]:
    matches = (PIN.match(line) for line in (ROOT / name).read_text().splitlines() if not line.startswith("#"))
    return {m[1]: m[2] for m in matches if m is not None}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-ml.txt", "requirements-dev.txt"])
def test_a_lock_file_is_made_of_pins_alone(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if PIN.match(line) is None] == []


@pytest.mark.parametrize(("name", "extras"), [("requirements.txt", ["api"]), ("requirements-ml.txt", ["ml", "s3"])])
def test_the_lock_files_fit_the_project_and_each_other(name: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    locked, whole = pins(name), pins("requirements-dev.txt")
    wanted = [Requirement(text) for group in groups for text in group]
    unmet = [str(r) for r in wanted if locked.get(canonicalize_name(r.name), "0") not in r.specifier]
    assert unmet == [], "run `make lock`"
    assert locked.items() <= whole.items()


def test_the_development_lock_fits_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    locked = pins("requirements-dev.txt")
    wanted = [Requirement(text) for group in groups for text in group]
    unmet = [str(r) for r in wanted if locked.get(canonicalize_name(r.name), "0") not in r.specifier]
    assert unmet == [], "run `make lock`"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.argv = ['shelfops', '--help']\ntry: main()\nexcept SystemExit as end: assert not end.code",
        "from shelfops_pipeline.definitions import defs; defs()",
    ],
    ids=["shelfops --help", "definitions"],
)
def test_loading_imports_no_training_library(code: str) -> None:
    check = f"import sys; found = set({HEAVY!r}) & set(sys.modules); assert not found, found"
    code = f"from shelfops_pipeline.cli import main\n{code}\n{check}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def commands(
    command: TyperGroup | TyperCommand, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperGroup | TyperCommand]]:
    """Every command that can be typed, with the words that name it."""
    if words:
        yield words, command
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from commands(below, (*words, name))


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert (COMMANDS[words].help or "").strip()


def documents() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def test_every_link_in_the_documents_leads_somewhere() -> None:
    broken = []
    for path in documents():
        for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)#\s]+)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []
