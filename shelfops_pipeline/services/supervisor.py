"""Child processes that start together, are watched, and leave nothing behind.

Each child leads its own session, so that a signal to its group reaches what it spawned, and asks the kernel
to be told when its parent dies. What even that misses, such as a step that runs on after kill -9, is found at
the next start by the group ids kept in a file; a process is only touched if it carries this stack's mark.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.store.keeper import die_with_parent

MARK: Final = "SHELFOPS_STACK_ID"
POLL_SECONDS: Final = 0.1
_RESTARTS, _RESTART_SECONDS = 5, 60.0


@dataclass(frozen=True)
class Service:
    """One child: how to start it, how to know that it is ready, how long it may take to stop."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 120.0
    stop_seconds: float = 10.0


class ServiceDiedError(ShelfOpsError):
    """A child ended by itself; `tail` is the end of its log."""

    def __init__(self, name: str, status: int, log: Path) -> None:
        self.name = name
        self.tail = _tail(log)
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        super().__init__(f"{name} {how}; its log is {log}")


class Supervisor:
    """Starts services, watches them, and stops them in the reverse order. Use it from the main thread only:
    the kernel's parent-death signal follows the thread that started a child."""

    def __init__(self, logs: Path, state: Path) -> None:
        self.logs = logs
        self.state = state
        self.mark = uuid.uuid4().hex
        self._running: dict[str, tuple[Service, subprocess.Popen[bytes], float]] = {}
        self._restarts: list[tuple[str, float]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, service: Service) -> None:
        """Start a child; its output goes to `<logs>/<name>.log`, that of an earlier stack to `.log.1`."""
        log = self.log_of(service.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        self._start(service)

    def _start(self, service: Service) -> None:
        with self.log_of(service.name).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **service.environment, MARK: self.mark},
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            )
        self._running[service.name] = (service, process, time.monotonic())
        self._save()

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def pid_of(self, name: str) -> int:
        return self._running[name][1].pid

    def is_ready(self, name: str) -> bool:
        """One look. Raises ServiceDiedError if it ended, ShelfOpsError if it takes too long."""
        service, process, started = self._running[name]
        self.check(name)
        if service.ready():
            return True
        if time.monotonic() - started > service.start_seconds:
            raise ShelfOpsError(
                f"{name} (pid {process.pid}) is not ready after {service.start_seconds:.0f} s; "
                f"its log is {self.log_of(name)}"
            )
        return False

    def check(self, name: str) -> None:
        """Raises ServiceDiedError if the child ended."""
        status = self._running[name][1].poll()
        if status is not None:
            raise ServiceDiedError(name, status, self.log_of(name))

    def check_all(self) -> None:
        for name in self._running:
            self.check(name)

    def dead(self) -> list[str]:
        """Children that ended by themselves."""
        return [name for name, (_, process, _) in self._running.items() if process.poll() is not None]

    def clear(self, name: str) -> None:
        """Kill what is left of a dead child's group, as the end of a container does. A run that is told to stop would
        fail at once, while the code server is away without which nobody can start it again."""
        process = self._running[name][1]
        _signal(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self, name: str) -> None:
        """Start a dead child again, as a container's restart policy does; its log goes on.

        Raises ServiceDiedError when that was tried too often within a minute.
        """
        service, now = self._running[name][0], time.monotonic()
        self._restarts = [(other, at) for other, at in self._restarts if now - at < _RESTART_SECONDS]
        if sum(other == name for other, _ in self._restarts) >= _RESTARTS:
            self.check(name)
        self._restarts.append((name, now))
        self._start(service)

    def stop_all(self, stopping: Callable[[str], None] = lambda name: None) -> None:
        """Stop every child, last started first: SIGTERM to its group, SIGKILL after its deadline."""
        for name, (service, process, _) in reversed(self._running.items()):
            stopping(name)
            stop_group(process.pid, service.stop_seconds, process)
        self._running.clear()
        self.state.unlink(missing_ok=True)

    def _save(self) -> None:
        groups = {
            name: {"pid": process.pid, "started": _started(process.pid), "mark": self.mark}
            for name, (_, process, _) in self._running.items()
        }
        unfinished = self.state.with_suffix(".tmp")
        unfinished.write_text(json.dumps(groups, indent=1) + "\n")
        unfinished.replace(self.state)


def clear_leftovers(state: Path, seconds: float = 10.0) -> list[str]:
    """Stop what an earlier stack left running, as `state` lists it; returns the names.

    A group is ours if its leader has the recorded start time, or, the leader being gone, if its members carry
    the recorded mark in their environment. Anything else got the number later, and is left alone.
    """
    if not state.exists():
        return []
    found = []
    for name, entry in json.loads(state.read_text()).items():
        group = int(entry["pid"])
        if _same_start(group, entry["started"]) or _marked(group, entry["mark"]):
            found.append(name)
            stop_group(group, seconds)
    state.unlink(missing_ok=True)
    return found


def stop_group(group: int, seconds: float, leader: "subprocess.Popen[bytes] | None" = None) -> None:
    """SIGTERM to the process group; SIGKILL to what is left of it after `seconds`."""
    _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if leader is not None:
            leader.poll()
        if not _members(group):
            break
        time.sleep(POLL_SECONDS / 2)
    else:
        _signal(group, signal.SIGKILL)
    if leader is not None:
        leader.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _members(group: int) -> list[psutil.Process]:
    """Living processes of the group; a zombie no longer counts."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def _marked(group: int, mark: str) -> bool:
    for process in _members(group):
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                return True
    return False


def _same_start(pid: int, recorded: float | None) -> bool:
    """Start times come from the boot time, which clock corrections move a little."""
    now = _started(pid)
    return now is not None and recorded is not None and abs(now - recorded) < 2


def _started(pid: int) -> float | None:
    """When the process started; None if it is gone, or a zombie that nobody has buried yet."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
