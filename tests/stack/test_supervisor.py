"""Children start, are watched, stop in order, and leave nothing behind, whatever happens to their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.stack import Ports
from shelfops_pipeline.services.supervisor import (
    Service,
    ServiceDiedError,
    Supervisor,
    clear_leftovers,
    stop_group,
)
from shelfops_pipeline.services.twin import Twin

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Ignores SIGTERM, and has a child of its own that does too.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(c.pid, flush=True);"
    "time.sleep(60)",
]
# Starts a child that survives SIGTERM in the same group, says its number, and waits.
PARENT = """
import json, sys, time
from pathlib import Path
from shelfops_pipeline.services.supervisor import Service, Supervisor
home = Path(sys.argv[1])
supervisor = Supervisor(home / "logs", home / "services.json")
supervisor.start(Service("polite", json.loads(sys.argv[2]), ready=lambda: True))
supervisor.start(Service("stubborn", json.loads(sys.argv[3]), ready=lambda: True))
while not (home / "logs/stubborn.log").read_text():
    time.sleep(0.02)
print(supervisor.pid_of("polite"), supervisor.pid_of("stubborn"), flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def eventually_gone(pid: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def wait_for_text(file: Path) -> str:
    deadline = time.monotonic() + 10
    while not (text := file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return text


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path / "logs", tmp_path / "services.json")


def service(name: str, command: list[str] = SLEEP, stop_seconds: float = 10) -> Service:
    return Service(name, command, ready=lambda: True, stop_seconds=stop_seconds)


def test_children_stop_in_the_reverse_order(supervisor: Supervisor) -> None:
    for name in ("first", "second", "third"):
        supervisor.start(service(name))
    pids = [supervisor.pid_of(name) for name in ("first", "second", "third")]
    assert all(map(alive, pids))
    order: list[str] = []
    supervisor.stop_all(order.append)
    assert order == ["third", "second", "first"]
    assert not any(map(alive, pids))
    assert not supervisor.state.exists()


def test_a_child_that_ignores_the_signal_is_killed_with_its_children(supervisor: Supervisor) -> None:
    supervisor.start(service("stubborn", STUBBORN, stop_seconds=0.3))
    grandchild = int(wait_for_text(supervisor.log_of("stubborn")))
    child = supervisor.pid_of("stubborn")
    supervisor.stop_all()
    assert eventually_gone(child)
    assert eventually_gone(grandchild)


def test_a_child_that_ends_is_named_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    supervisor.start(service("steady"))
    supervisor.start(service("broken", [sys.executable, "-c", "print('port 3000 is taken'); raise SystemExit(7)"]))
    assert eventually_gone(supervisor.pid_of("broken"))
    with pytest.raises(ServiceDiedError, match="broken ended with status 7") as failure:
        supervisor.check_all()
    assert failure.value.tail == "port 3000 is taken"
    supervisor.stop_all()


def test_a_killed_child_is_reported_by_the_signals_name(supervisor: Supervisor) -> None:
    supervisor.start(service("victim"))
    os.kill(supervisor.pid_of("victim"), signal.SIGKILL)
    assert eventually_gone(supervisor.pid_of("victim"))
    with pytest.raises(ServiceDiedError, match="victim was killed by SIGKILL"):
        supervisor.check("victim")
    supervisor.stop_all()


def test_a_child_that_is_never_ready_is_given_up(supervisor: Supervisor) -> None:
    supervisor.start(Service("slow", SLEEP, ready=lambda: False, start_seconds=0.1))
    assert not supervisor.is_ready("slow")
    time.sleep(0.15)
    with pytest.raises(ShelfOpsError, match=r"slow \(pid \d+\) is not ready"):
        supervisor.is_ready("slow")
    supervisor.stop_all()


def test_what_a_killed_parent_leaves_is_cleared_at_the_next_start(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), json.dumps(SLEEP), json.dumps(STUBBORN)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    polite, stubborn = map(int, parent.stdout.readline().split())
    grandchild = int((tmp_path / "logs/stubborn.log").read_text())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert eventually_gone(polite)  # the kernel told it
    assert alive(stubborn)
    os.kill(stubborn, signal.SIGKILL)  # its group has no leader now, only a member
    assert alive(grandchild)
    assert clear_leftovers(tmp_path / "services.json", seconds=0.3) == ["stubborn"]
    assert eventually_gone(grandchild)
    assert clear_leftovers(tmp_path / "services.json") == []


def test_a_stack_that_does_not_stop_is_killed_and_leaves_nothing(tmp_path: Path) -> None:
    hung = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), json.dumps(SLEEP), json.dumps(STUBBORN)],
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    )
    assert hung.stdout is not None
    pids = [*map(int, hung.stdout.readline().split()), int((tmp_path / "logs/stubborn.log").read_text())]
    hung.stdout.close()
    assert Twin(tmp_path, Ports(), hung, tmp_path / "up.out").stop(seconds=0.3) == -signal.SIGKILL
    assert all(map(eventually_gone, pids))


def test_a_child_that_is_started_again_goes_on_in_its_log(supervisor: Supervisor) -> None:
    supervisor.start(service("twice", [sys.executable, "-c", "print('once')"]))
    assert eventually_gone(supervisor.pid_of("twice"))
    supervisor.clear("twice")
    supervisor.restart("twice")
    assert eventually_gone(supervisor.pid_of("twice"))
    assert supervisor.log_of("twice").read_text() == "once\n" * 2
    supervisor.stop_all()


def test_a_number_that_now_belongs_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen(SLEEP, start_new_session=True)
    state = tmp_path / "services.json"
    state.write_text(json.dumps({"old": {"pid": bystander.pid, "started": 1_700_000_000.0, "mark": "another"}}))
    assert clear_leftovers(state) == []
    assert bystander.poll() is None
    stop_group(bystander.pid, 5, bystander)
    assert bystander.poll() is not None
