"""The lock under which the registry is read and changed: no two processes, on no two hosts, at once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import SecretStr

from shelfops_pipeline.errors import PromotionError
from shelfops_pipeline.store.engine import advisory_lock, open_engine

LOCK_SECONDS: Final = 60
LOCK_FILE: Final = ".registry.lock"


@contextmanager
def registry_lock(
    models: Path, dataset: str, database: SecretStr | None, seconds: float = LOCK_SECONDS
) -> Iterator[None]:
    """Hold the registry of `models`. Both locks end with their holder, also when it is killed.

    A file lock keeps the processes of one host apart; with a shared `database`, an advisory lock of the data set's
    registry keeps hosts apart too, whose file locks may not see each other on a network volume. Raises PromotionError
    after `seconds` of waiting, ShelfOpsError where the database cannot be reached.
    """
    models.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            if database is not None:
                engine = open_engine(database.get_secret_value(), application="shelfops registry")
                held.callback(engine.dispose)
                held.enter_context(advisory_lock(engine, f"registry:{dataset}", seconds))
            held.enter_context(FileLock(models / LOCK_FILE, timeout=seconds))
        except TimeoutError:  # of either lock
            raise PromotionError(
                f"other processes have been changing the registry of {models} for {seconds:g} s; try again later"
            ) from None
        yield
