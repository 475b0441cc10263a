"""The documents: every command in them can be typed, and a test runs it with every option that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from shelfops_api.main import create_app
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.cli import app
from tests.test_repository import COMMANDS, ROOT, documents

RUN_IN: Final[dict[str, tuple[str, ...]]] = {
    "demo": ("stack/test_readme.py",),
    "up": ("stack/test_up.py", "stack/test_supervisor.py"),
    "onboard": ("stack/test_onboard.py",),
    "ingest": ("stack/test_ingest.py",),
    "quarantine": ("stack/test_ingest.py",),
    "train": ("stack/test_weekly_retailer.py",),
    "forecast": ("stack/test_cli.py", "stack/test_onboard.py"),
    "backtest": ("stack/test_cli.py",),
    "tune": ("stack/test_tune.py",),
    "models": ("stack/test_models.py", "stack/test_mlflow_away.py"),
    "keys": ("stack/test_keys.py",),
    "orders": ("stack/test_orders.py",),
    "flags": ("stack/test_orders.py",),
    "simulate-policy": ("stack/test_simulate_policy.py",),
    "backup": ("stack/test_backup.py",),
    "restore": ("stack/test_backup.py",),
    "migrate": ("stack/test_doctor.py",),
    "doctor": ("stack/test_cli.py", "stack/test_doctor.py"),
    "bench": ("test_benchmarks.py",),
}
"""Files of tests/ that run a command, in `make test` or `make soak`."""
OTHERWISE: Final = {
    ("up", "--dagster-port"): "stack/test_up.py gives `run_up` the ports: it has an asset graph of its own",
    ("bench api", "--home"): "minutes beside `mlflow models serve`, run by hand: its figures are in the README",
}
"""Options that are run in another way."""
ROOT_COMMAND: Final = get_command(app)
BLOCK: Final = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)


def typed() -> Iterator[tuple[str, str]]:
    """(document, command): every line of the blocks of shell commands, and every example of the README's tables."""
    for path in documents():
        content = path.read_text()
        lines = [line for block in BLOCK.findall(content) for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"^\|.*\| `(shelfops [^`]+)` \|$", content, re.MULTILINE)
        yield from ((path.name, line.removeprefix("$ ").removeprefix(".venv/bin/")) for line in lines)


TYPED: Final = list(typed())
OURS: Final = sorted({line for _, line in TYPED if line.startswith("shelfops ")})


def parsed(line: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """(words that name the command, what it is given), by the real parser. Raises what it raises on a mistake."""
    words, path, command = shlex.split(line, comments=True)[1:], [], ROOT_COMMAND
    context = command.make_context("shelfops", words)
    while isinstance(command, TyperGroup):
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        path.append(name)
        context = command.make_context(name, words, parent=context)
    return tuple(path), context.params


def test_commands_are_found_in_the_documents() -> None:
    assert len(OURS) >= 50
    assert {parsed(line)[0][0] for line in OURS} == set(RUN_IN)


@pytest.mark.parametrize("line", OURS)
def test_a_command_of_the_documents_can_be_typed_and_is_run_with_its_options(line: str) -> None:
    path, _ = parsed(line)
    sources = [(ROOT / "tests" / name).read_text() for name in RUN_IN[path[0]]]
    options = re.findall(r"(?<!\S)--[a-z-]+", line.split("#")[0])
    words = [word for word in path if path[0] != "bench"] if len(path) > 1 else []
    missing = [word for word in (*words[1:], *options) if not any(f'"{word}"' in source for source in sources)]
    assert [word for word in missing if (" ".join(path), word) not in OTHERWISE] == []


def test_every_command_named_in_the_text_exists() -> None:
    quoted = {line for path in documents() for line in re.findall(r"`shelfops ([a-z][^`\n]*)`", path.read_text())}
    assert len(quoted) >= 30
    unknown = []
    for line in quoted:
        words = line.split()
        known = next((COMMANDS[tuple(words[:n])] for n in (2, 1) if tuple(words[:n]) in COMMANDS), None)
        options = {option for parameter in known.params for option in parameter.opts} if known else set()
        mistaken = {word for word in words if word.startswith("--")} - options - {"--help", "--debug"}
        unknown += [line] if known is None or mistaken else []
    assert unknown == []


def test_every_make_target_of_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {line.split()[1] for _, line in TYPED if line.startswith("make ")}
    told |= {name for path in documents() for name in re.findall(r"`make ([a-z-]+)", path.read_text())}
    assert told
    assert told <= targets


def requests() -> list[tuple[str, str]]:
    """(method, path) of every curl command."""
    found = []
    for _, line in TYPED:
        if line.startswith("curl "):
            words = shlex.split(line.removesuffix("\\"), comments=True) if line.count("'") % 2 == 0 else line.split()
            [url] = [word for word in words if word.startswith("localhost:8000")]
            method = "POST" if "POST" in words or "-d" in words else "GET"
            found.append((method, url.removeprefix("localhost:8000").partition("?")[0]))
    return found


def test_every_request_of_the_documents_has_a_route(tmp_path: Path) -> None:
    paths = create_app(ApiSettings(home=tmp_path)).openapi()["paths"]
    routes = {
        (method.upper(), re.sub(r"{[^}]+}", "[^/]+", path)) for path, methods in paths.items() for method in methods
    }
    asked = requests()
    assert len(asked) >= 12
    assert [r for r in asked if not any(r[0] == method and re.fullmatch(path, r[1]) for method, path in routes)] == []
