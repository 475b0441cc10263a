"""Where issued forecasts are kept: one Parquet file per origin and role, the latest origins only.

Files rather than a warehouse table: they are written and read whole, origin by origin, by the graph alone. Replacing
an origin is then replacing a file, and nothing is left over for the warehouse to vacuum (docs/monitoring.md has sizes).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import IO, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.monitoring.issued import ROLE, Issued, Role

FOLDER: Final = "issued_forecasts"
_SUFFIX: Final = ".parquet"


class Files(Protocol):
    """Single files by path, each replaced whole or not at all; an artifact root is this."""

    def write(self, path: str, write: Callable[[IO[bytes]], object]) -> None: ...
    def open(self, path: str) -> IO[bytes]: ...
    def remove(self, path: str) -> None: ...
    def names(self, folder: str) -> frozenset[str]: ...


@dataclass(frozen=True)
class Archive:
    """The issued forecasts of one retailer."""

    files: Files
    keep: int
    """Origins; what is older is deleted when a new one is kept."""

    def write(self, table: pa.Table) -> None:
        """Keep a table of `issued.issue`, in place of what the same role issued at the same origin."""
        origin, role = table.column(c.ORIGIN)[0].as_py(), table.column(ROLE)[0].as_py()
        self.files.write(_path(origin, role), lambda stream: pq.write_table(table, stream, compression="zstd"))
        for old in self.origins()[: -self.keep]:
            self.withdraw(old, Role.CHALLENGER)  # first, so that none is ever left without its champion
            self.withdraw(old, Role.CHAMPION)

    def withdraw(self, origin: date, role: Role) -> None:
        """Delete what a role issued at an origin, if it did."""
        self.files.remove(_path(origin, role))

    def origins(self) -> list[date]:
        """Origins of which something is kept, oldest first."""
        return sorted({origin for origin, _ in self._kept()})

    def read(self, origin: date, role: Role) -> Issued | None:
        """What a role issued at an origin, or None."""
        return self._read(origin, role) if (origin, role) in self._kept() else None

    def pairs(self) -> Iterator[tuple[Issued, Issued | None]]:
        """The champion's forecasts of each origin, oldest first, with its challenger's where there was one."""
        kept = self._kept()
        for origin in sorted(origin for origin, role in kept if role is Role.CHAMPION):
            beside = (origin, Role.CHALLENGER) in kept
            yield self._read(origin, Role.CHAMPION), self._read(origin, Role.CHALLENGER) if beside else None

    def _read(self, origin: date, role: Role) -> Issued:
        with self.files.open(_path(origin, role)) as stream:
            return Issued.read(pq.read_table(stream))

    def _kept(self) -> set[tuple[date, Role]]:
        names = (n.removesuffix(_SUFFIX) for n in self.files.names(FOLDER) if n.endswith(_SUFFIX) and n[0] != ".")
        parts = (name.split(".") for name in names)
        return {(date.fromisoformat(origin), Role(role)) for origin, role in parts}


def _path(origin: date, role: str) -> str:
    return f"{FOLDER}/{origin.isoformat()}.{role}{_SUFFIX}"
