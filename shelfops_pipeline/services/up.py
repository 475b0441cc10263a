"""`shelfops up`: the whole stack on one laptop, in one process tree, until Ctrl-C."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from shelfops_pipeline.contracts.queues import DEFAULT, ML
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.instance import dagster_environment, is_embedded, warehouse
from shelfops_pipeline.services.stack import API, CODE_SERVER, DEFINITIONS, HOST, Ports, Stack, require_free
from shelfops_pipeline.services.supervisor import (
    POLL_SECONDS,
    Service,
    ServiceDiedError,
    Supervisor,
    clear_leftovers,
)
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.embedded import embedded_postgres, is_running
from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.keeper import open_lock, try_lock
from shelfops_pipeline.store.migrate import migrate

_WATCH_SECONDS: Final = 0.5
_RUN_PREFIX: Final = "shelfops-up-"


class _StoppedError(Exception):
    """Ctrl-C or SIGTERM while starting."""


@dataclass
class _Board:
    """Status lines: live on a terminal, one line per change elsewhere."""

    console: Console
    live: Live | None = None
    rows: dict[str, tuple[str, str]] = field(default_factory=dict)

    def show(self, name: str, state: str, note: str = "") -> None:
        self.rows[name] = (state, note)
        if self.live is None:
            self.console.print(f"{name}: {state} {note}".rstrip(), highlight=False)
        else:
            self.live.update(self._table())

    def restarted(self, name: str) -> None:
        """Of a service that was started again; whether it is ready yet is not looked at."""
        self.show(name, "restarted", f"at {datetime.now(UTC):%H:%M:%S} UTC")

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, (state, note) in self.rows.items():
            colour = "green" if state == "ready" else "yellow"
            table.add_row(name, f"[{colour}]{state}[/]", note)
        return table


def run_up(
    settings: Settings,
    ports: Ports | None = None,
    *,
    definitions: str = DEFINITIONS,
    api: str = API,
    workers: bool = False,
) -> int:
    """Start everything, print where it is, and wait for Ctrl-C or SIGTERM; returns the exit status.

    0 after a signal; 1 if a service ended by itself, after printing which one and the end of its log. With `workers`
    it is as on a server: steps go to two Celery workers, and a service that ends is started again.
    Everything is stopped either way, in the order API, daemon, webserver, workers, code server, MLflow, Redis,
    PostgreSQL. Raises ShelfOpsError for what can be said before anything starts: a taken port, another `up`
    on the same home. Call it from the main thread.
    """
    console = Console()
    ports = ports or Ports()
    settings.root.mkdir(parents=True, exist_ok=True)
    state = settings.root / "services.json"
    with _only_one(settings.root), _signals() as stop:
        for name in clear_leftovers(state):
            console.print(f"stopped a leftover of an earlier run: {name}", highlight=False)
        require_free(ports)
        supervisor = Supervisor(settings.root / "logs", state)
        with _board(console) as board:
            try:
                queues = (DEFAULT, ML) if workers else ()
                return _run(settings, ports, supervisor, board, stop, definitions, api, queues)
            except _StoppedError:
                return 0
            except ServiceDiedError as error:
                console.print(f"[red]{escape(f'{error}')}[/]\n{escape(error.tail)}", highlight=False)
                return 1


def _run(
    settings: Settings,
    ports: Ports,
    supervisor: Supervisor,
    board: _Board,
    stop: threading.Event,
    definitions: str,
    api: str,
    queues: tuple[str, ...],
) -> int:
    board.show("postgres", "starting")
    with warehouse(settings) as url, _run_directory(settings.root) as run:
        try:
            stack = Stack(settings, url, run, ports, dagster_environment(settings, url), definitions, api, queues)
            _migrate(url)
            board.show("postgres", "ready", "embedded" if settings.database_url is None else "")
            _start_all(stack, supervisor, board, stop, clear_runs=is_embedded(settings))
            _announce(board.console, ports, settings.root)
            (_mend if queues else _watch)(stack, supervisor, board, stop)
        finally:
            supervisor.stop_all(lambda name: board.show(name, "stopping"))
            board.show("postgres", "stopping")
    return 0


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


def _start_all(stack: Stack, supervisor: Supervisor, board: _Board, stop: threading.Event, *, clear_runs: bool) -> None:
    """MLflow is the slowest and Dagster does not wait for it: it starts first and is waited for last."""
    notes = {
        "mlflow": f"http://{HOST}:{stack.ports.mlflow}",
        "webserver": f"http://{HOST}:{stack.ports.webserver}",
        "api": f"http://{HOST}:{stack.ports.api}/docs",
    }

    def start(service: Service) -> None:
        board.show(service.name, "starting")
        supervisor.start(service)

    def wait(*names: str) -> None:
        for name in names:
            while not supervisor.is_ready(name):
                supervisor.check_all()
                if stop.wait(POLL_SECONDS):
                    raise _StoppedError
            board.show(name, "ready", notes.get(name, ""))

    start(stack.redis())
    start(stack.mlflow())
    _prepare(stack, supervisor, clear_runs=clear_runs)
    start(stack.code_server())
    wait("redis", "code-server")
    workers = [stack.worker(queue) for queue in stack.workers]
    for service in (*workers, stack.webserver(), stack.daemon(), stack.api()):
        start(service)
    wait(*(each.name for each in workers), "webserver", "daemon", "api", "mlflow")


def _prepare(stack: Stack, supervisor: Supervisor, *, clear_runs: bool) -> None:
    log = supervisor.log_of("prepare")
    with log.open("wb") as output:
        status = subprocess.run(  # noqa: S603
            stack.prepare(fail_dead_runs=clear_runs),
            env={**os.environ, **stack.environment()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status:
        raise ServiceDiedError("prepare", status, log)


def _watch(stack: Stack, supervisor: Supervisor, board: _Board, stop: threading.Event) -> None:
    """Until told to stop; the end of one is the end of all."""
    while not stop.wait(_WATCH_SECONDS):
        supervisor.check_all()
        if stack.settings.database_url is None and not is_running(stack.settings.root):
            raise ShelfOpsError("The embedded PostgreSQL ended by itself; see server.log in its directory")


def _mend(stack: Stack, supervisor: Supervisor, board: _Board, stop: threading.Event) -> None:
    """Until told to stop; what ends is started again."""
    with ExitStack() as servers:
        while not stop.wait(_WATCH_SECONDS):
            if stack.settings.database_url is None and not is_running(stack.settings.root):
                board.show("postgres", "restarting")
                servers.enter_context(embedded_postgres(stack.settings.root))
                board.restarted("postgres")
            for name in supervisor.dead():
                board.show(name, "restarting")
                supervisor.clear(name)
                if name == CODE_SERVER:
                    stack.code_socket.unlink(missing_ok=True)
                supervisor.restart(name)
                board.restarted(name)


def _announce(console: Console, ports: Ports, home: Path) -> None:
    console.print(f"Dagster UI  http://{HOST}:{ports.webserver}", highlight=False)
    console.print(f"Planner     http://{HOST}:{ports.api}/", highlight=False)
    console.print(f"API         http://{HOST}:{ports.api}/docs", highlight=False)
    console.print(f"MLflow      http://{HOST}:{ports.mlflow}", highlight=False)
    console.print(f"logs in {home / 'logs'}; Ctrl-C stops everything", highlight=False)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    descriptor = open_lock(home / "up.lock")
    try:
        if not try_lock(descriptor, fcntl.LOCK_EX):
            raise ShelfOpsError(f"shelfops up already runs on {home}; stop it first, or use another home")
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, in place of their usual effect."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _board(console: Console) -> Iterator[_Board]:
    if not console.is_terminal:
        yield _Board(console)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield _Board(console, live)


@contextmanager
def _run_directory(home: Path) -> Iterator[Path]:
    """Short, for socket paths have a limit; private, for sockets have no password.

    `<home>/run` links to it; that is how the directory of a killed run is found and removed.
    """
    link = home / "run"
    _remove_linked(link)
    folder = Path(tempfile.mkdtemp(prefix=_RUN_PREFIX))
    link.symlink_to(folder)
    try:
        yield folder
    finally:
        _remove_linked(link)


def _remove_linked(link: Path) -> None:
    if not link.is_symlink():
        return
    folder = link.readlink()
    if folder.name.startswith(_RUN_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    link.unlink()
