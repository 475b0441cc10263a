"""The process that owns an embedded PostgreSQL server: starts it, and stops it when nobody uses it any more.

Run as a script (`python -I -S keeper.py SPEC`), standard library only, so that it starts in milliseconds and
depends on nobody's environment. See `store.embedded` for the protocol. In the base directory:

    users.lock    every user holds a shared flock; the keeper gets it exclusively when the last one is gone
                  (the kernel drops the locks of a killed process too), and then stops the server
    server.lock   held exclusively while a keeper lives: there is never more than one
    server.json   the pid and the socket directory of the keeper's server; a crashed one leaves it
    server.log    what initdb, postgres and the keeper say; the previous one is server.log.1
    data/         the cluster
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

BUSY = 3
STOP_SECONDS = 30.0
START_SECONDS = 15.0
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)  # loaded here: nothing may be loaded between fork and exec
SOCKET_PATH_LIMIT = 90  # the kernel's is 107, and PostgreSQL adds a name


def open_lock(path: Path) -> int:
    """A descriptor to flock; read-only, so that another user's lock file serves too."""
    return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


def try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def die_with_parent(signal_number: int) -> None:
    """Between fork and exec: have the kernel send `signal_number` when the parent dies (Linux only), and heed it, even
    if the parent was started where that signal is ignored or blocked: a child inherits both."""
    if sys.platform == "linux":
        if signal_number != signal.SIGKILL:  # which nobody can ignore, nor heed
            signal.signal(signal_number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal_number})
        _libc.prctl(PR_SET_PDEATHSIG, signal_number)


def arguments_of(pid: int) -> list[str]:
    """The command line of a process; empty if there is none."""
    if Path("/proc/self").exists():
        try:
            return [os.fsdecode(part) for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if part]
        except OSError:
            return []
    command = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return listed.stdout.split()


def serves(pid: int, data: Path) -> bool:
    """Is `pid` a postgres server on this very data directory? A pid file alone proves nothing."""
    arguments = arguments_of(pid)
    return bool(arguments) and Path(arguments[0]).name == "postgres" and str(data) in arguments


class Keeper:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.base = Path(spec["base"])
        self.data = self.base / "data"
        self.binaries = Path(spec["binaries"])
        self.options = [part for key, value in spec["options"].items() for part in ("-c", f"{key}={value}")]
        self.superuser: str = spec["superuser"]
        self.uid: int = spec["uid"]
        self.gid: int = spec["gid"]
        self.users = open_lock(self.base / "users.lock")
        self.stopping = threading.Event()

    def run(self) -> int:
        """Serve until nobody is left; the exit status."""
        note = self.base / "server.json"
        sockets = self.socket_directory(note)
        note.unlink(missing_ok=True)
        self.clear_leftover()
        try:
            self.initialise()
            server = self.launch(sockets)
        except (subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(sockets, ignore_errors=True)
            sys.exit(f"keeper: {error}")
        unfinished = note.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"pid": server.pid, "sockets": str(sockets)}))
        unfinished.replace(note)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: threading.Thread(target=self.stop, args=(server,)).start())
        threading.Thread(target=self.stop_after_users, args=(server,), daemon=True).start()
        status = server.wait()
        if self.stopping.is_set():
            note.unlink(missing_ok=True)
            shutil.rmtree(sockets, ignore_errors=True)
            return 0
        print(f"keeper: postgres ended by itself with status {status}", flush=True)
        return 1

    def as_owner(self) -> dict[str, Any]:
        """Popen options: PostgreSQL refuses to run as root."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def initialise(self) -> None:
        """initdb in a directory that gets its name when finished: a killed initdb leaves no half cluster."""
        if (self.data / "PG_VERSION").exists():
            return
        unfinished = self.base / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(self.binaries / "initdb"), "-D", str(unfinished), "-U", self.superuser]
        command += ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-instructions"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        subprocess.run(command, check=True, cwd="/", env=self.environment(), **self.as_owner())  # noqa: S603
        unfinished.rename(self.data)

    def launch(self, sockets: Path) -> "subprocess.Popen[bytes]":
        """Start postgres. After a kill -9 its backends may hold shared memory for a moment: try again."""
        command = [str(self.binaries / "postgres"), "-D", str(self.data), *self.options]
        command += ["-c", f"unix_socket_directories={sockets}"]
        for stale in sockets.iterdir():
            stale.unlink()
        deadline = time.monotonic() + START_SECONDS
        while True:
            server = subprocess.Popen(  # noqa: S603
                command,
                cwd="/",
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                preexec_fn=lambda: die_with_parent(signal.SIGINT),
                **self.as_owner(),
            )
            socket = sockets / ".s.PGSQL.5432"
            while server.poll() is None and not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            if server.poll() is None:
                return server
            if time.monotonic() > deadline or "shared memory block" not in self.log_tail():
                raise OSError(f"postgres does not start (status {server.returncode})")
            time.sleep(0.2)

    def log_tail(self) -> str:
        return "\n".join((self.base / "server.log").read_text(errors="replace").splitlines()[-5:])

    def clear_leftover(self) -> None:
        """Remove the pid file of a dead server: it blocks the start if its number is in use again.

        That other process is left alone. A server that really is ours, left by a killed keeper, is stopped.
        """
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text().splitlines()[0])
        except (FileNotFoundError, NotADirectoryError):
            return
        except (ValueError, IndexError):
            pid = 0
        if pid <= 0 or not serves(pid, self.data):
            file.unlink(missing_ok=True)
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + STOP_SECONDS / 3
            while time.monotonic() < deadline:
                if not serves(pid, self.data):
                    file.unlink(missing_ok=True)
                    return
                time.sleep(0.02)

    def socket_directory(self, note: Path) -> Path:
        """A short private directory; after a crash the same one again, so that open pools can reconnect."""
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            last = Path(json.loads(note.read_text())["sockets"])
            state = last.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == self.uid and not state.st_mode & 0o077:
                return last
        parent = tempfile.gettempdir()
        too_deep = len(parent) > SOCKET_PATH_LIMIT - 20 or not _open_to_all(Path(parent))
        made = Path(tempfile.mkdtemp(prefix="shelfops-", dir="/tmp" if too_deep else parent))  # noqa: S108
        os.chown(made, self.uid, self.gid)
        return made

    def stop_after_users(self, server: "subprocess.Popen[bytes]") -> None:
        fcntl.flock(self.users, fcntl.LOCK_EX)
        self.stop(server)

    def stop(self, server: "subprocess.Popen[bytes]") -> None:
        """Fast shutdown, then ever less polite. The exclusive users.lock keeps new users waiting."""
        self.stopping.set()
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            server.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_SECONDS if number == signal.SIGINT else 5)
                return


def _open_to_all(path: Path) -> bool:
    """Can every user walk down to `path`?"""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def main() -> None:
    spec = json.loads(sys.argv[1])
    base = Path(spec["base"])
    only = open_lock(base / "server.lock")
    if not try_lock(only, fcntl.LOCK_EX):
        sys.exit(BUSY)
    log = base / "server.log"
    if log.exists():
        log.replace(base / "server.log.1")
    if os.fork():  # the caller learns that a keeper has begun; the keeper is nobody's child, hence nobody's zombie
        os._exit(0)
    os.setsid()
    with log.open("wb", buffering=0) as target:
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    sys.exit(Keeper(spec).run())


if __name__ == "__main__":
    main()
