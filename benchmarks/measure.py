"""What every benchmark needs: a fresh process per contender, a description of the machine, and one JSON object out."""

import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_ENOUGH_SECONDS = 3.0
_LEAST_RUNS = 2  # the first run may pay for memory that the machine has not handed out before
_MOST_RUNS = 20


@dataclass(frozen=True)
class Check:
    """A measured value beside its limit."""

    name: str
    value: float
    sense: Literal["at least", "at most"]
    limit: float

    @property
    def ok(self) -> bool:
        return self.value >= self.limit if self.sense == "at least" else self.value <= self.limit


@dataclass(frozen=True)
class Timing:
    """The fastest of `runs` runs, and the most memory that they added to the process (input and output included)."""

    seconds: float
    peak_mb: float
    runs: int


def timed(prepare: Callable[[], T], run: Callable[[T], object]) -> Timing:
    """Run twice or more, until 3 seconds or 20 runs are spent; making the input is not part of the time."""
    before = _forget_peak()
    given = prepare()
    seconds: list[float] = []
    while len(seconds) < _LEAST_RUNS or (sum(seconds) < _ENOUGH_SECONDS and len(seconds) < _MOST_RUNS):
        start = time.perf_counter()
        result = run(given)
        seconds.append(time.perf_counter() - start)
        del result
    return Timing(min(seconds), _peak_mb() - before, len(seconds))


@dataclass
class Memory:
    """The most memory that a block added to the process."""

    peak_mb: float = float("nan")


@contextmanager
def peak_added() -> Iterator[Memory]:
    """Note the most memory that the block adds; the figure is there when it ends."""
    memory, before = Memory(), _forget_peak()
    yield memory
    memory.peak_mb = _peak_mb() - before


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` where nothing else has used memory yet."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *args, **kwargs).result()


def machine() -> dict[str, Any]:
    """Where the figures are from. `load` is the work of others before this started: figures need a quiet machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def finish(figures: dict[str, Any], checks: Sequence[Check]) -> None:
    """Print the one JSON object, say on stderr what failed, and exit 1 if anything did."""
    rows = [asdict(check) | {"value": round(check.value, 6), "ok": check.ok} for check in checks]
    print(json.dumps(figures | {"checks": rows}, indent=2))
    failed = [check for check in checks if not check.ok]
    for check in failed:
        print(f"{check.name}: {check.value:.4g}, must be {check.sense} {check.limit:g}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def say(text: str) -> None:
    """Progress, out of the way of the JSON."""
    print(text, file=sys.stderr, flush=True)


def _forget_peak() -> float:
    """Begin anew to note the peak; the present size in MB."""
    if sys.platform != "linux":
        return _peak_mb()
    Path("/proc/self/clear_refs").write_text("5")
    return _memory_mb("VmRSS")


def _peak_mb() -> float:
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return _memory_mb("VmHWM")  # not ru_maxrss: a child begins with its parent's


def _memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def _processor() -> str:
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(named, platform.machine())
    return platform.processor() or platform.machine()
