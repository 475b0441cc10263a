"""Where the warehouse is: a server that was named, or the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shelfops_pipeline.store.embedded import embedded_postgres
from shelfops_pipeline.store.engine import url_string, warehouse_url


@contextmanager
def open_warehouse(database_url: str | None, home: Path) -> Iterator[str]:
    """The warehouse's URL, usable while the block runs: `database_url`, or the home's embedded server where None."""
    if database_url is not None:
        yield url_string(warehouse_url(database_url))
        return
    with embedded_postgres(home) as url:
        yield url
