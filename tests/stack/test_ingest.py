"""`shelfops ingest` and `shelfops quarantine` as a person runs them: what a file says is in the tables, or in quarantine.

One shop for the whole module. Every test edits days of its own, and leaves file and warehouse in agreement.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shelfops_pipeline.store.embedded import embedded_postgres, remove_embedded
from shelfops_pipeline.store.engine import open_engine

Homes = Callable[..., Path]
Row = dict[str, Any]

FIRST = datetime(2010, 12, 1, 9)
DAYS = 12
LINES = 30  # good ones of a day
HEADER = "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice"
COMMAND = [sys.executable, "-c", "from shelfops_pipeline.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def counts(self) -> dict[str, int]:
        """The printed table: accepted, returned, quarantined, reasons, sum."""
        cells = re.findall(r"^│ *(?:of these )?(\w+) +│ +([\d,]+) │$", self.out, re.MULTILINE)
        return {name: int(count.replace(",", "")) for name, count in cells}

    @property
    def said(self) -> str:
        """The last line."""
        return self.out.splitlines()[-1]

    @property
    def problem(self) -> str:
        """The one line that says why the command failed."""
        lines = [line for line in self.err.splitlines() if line.startswith("shelfops: ")]
        assert len(lines) == 1, self.err
        assert self.code == 1
        assert "Traceback" not in self.err
        return lines[0]


@dataclass(frozen=True)
class Line:
    """A line of the file, and why it belongs in quarantine (None: it is good)."""

    written: str
    reason: str | None = None

    @property
    def invoice(self) -> str:
        return self.written.partition(",")[0]


@dataclass
class Shop:
    """A home, its file, and what the file says."""

    home: Path
    data: Path
    lines: list[Line] = field(default_factory=list)

    def write(self) -> None:
        rows = "".join(f"{line.written}\n" for line in self.lines)
        (self.data / "online_retail.csv").write_text(f"{HEADER}\n{rows}")

    def call(self, *arguments: str) -> Done:
        given = ("--dataset", "online_retail", "--data", str(self.data))
        return shelfops(self.home, *arguments, *given)

    def stored(self, query: str) -> list[Row]:
        with embedded_postgres(self.home) as url:
            engine = open_engine(url)
            with engine.connect() as connection:
                found = [dict(row) for row in connection.execute(text(query)).mappings()]
            engine.dispose()
        return found

    def transactions(self) -> list[str]:
        """The stored table, as lines of the file."""
        columns = "transaction_id, item_id, quantity, to_char(ts, 'YYYY-MM-DD HH24:MI:SS') AS ts, unit_price"
        rows = self.stored(f"SELECT {columns} FROM transactions")  # noqa: S608
        return sorted(",".join(f"{v:g}" if isinstance(v, float) else v for v in row.values()) for row in rows)

    def good(self) -> list[str]:
        """What the table has to hold."""
        return sorted(line.written for line in self.lines if line.reason is None)

    def bad(self) -> Mapping[str, int]:
        return Counter(line.reason for line in self.lines if line.reason is not None)


def shelfops(home: Path, *arguments: str, **settings: object) -> Done:
    """Run the console script in a process of its own."""
    inherited = {"PATH": "/usr/bin:/bin", "HOME": str(home), "COLUMNS": "120", "SHELFOPS_HOME": str(home)}
    environment = inherited | {f"SHELFOPS_{name.upper()}": str(value) for name, value in settings.items()}
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def sale(day: int, n: int, item: str = "", quantity: float = 2, price: float = 1.5, number: str = "") -> str:
    """A line of the file: invoice `n` of a day, seven minutes after the one before."""
    at = FIRST + timedelta(days=day, minutes=7 * n)
    return f"{number or 540_000 + 100 * day + n},{item or f'850{n % 12:02}A'},{quantity:g},{at},{price:g}"


def day_of(day: int) -> date:
    return FIRST.date() + timedelta(days=day)


def dirt(day: int) -> list[Line]:
    """One of each, on one day."""
    return [
        Line(sale(day, 31, "85001A", -1, number="C540031")),
        Line(sale(day, 32, "POST", 1, 18), "bad_stock_code"),
        Line(sale(day, 33, "BANK CHARGES", 1, 15), "bad_stock_code"),
        Line(sale(day, 34, price=0), "price_zero"),
        Line(sale(day, 35, price=-11062.06), "price_negative"),
        Line(sale(day, 3), "duplicate_transaction"),
        Line(sale(day, 36).replace(",2,", ",many,"), "quantity_not_a_number"),
        Line(sale(day, 37).replace("2010-12-", "2010-13-"), "impossible_date"),
        Line(sale(day, 38) + ",more,cells,than,columns", "unreadable_line"),
        Line("540039,85001A", "unreadable_line"),
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Twelve days of 30 lines, dirt on three of them; ingested."""
    home, data = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("data")
    made = Shop(home, data)
    for day in range(DAYS):
        made.lines += [Line(sale(day, n)) for n in range(LINES)] + (dirt(day) if day in (1, 5, 9) else [])
    made.write()
    done = made.call("ingest")
    assert done.code == 0, done.err
    assert done.said.startswith(f"ingested {DAYS} periods, 2010-12-01 to 2010-12-12: no late")
    yield made
    remove_embedded(home)


def test_accepted_and_quarantined_add_up_to_the_file_and_twice_is_once(shop: Shop) -> None:
    before = shop.stored("SELECT * FROM transactions ORDER BY ts, line")
    done = shop.call("ingest")
    assert done.code == 0, done.err
    assert done.said == "nothing to do: the warehouse says what the source says"
    counts = done.counts
    assert counts["accepted"] + counts["quarantined"] == counts["sum"] == len(shop.lines)
    assert counts["accepted"] == len(shop.good())
    assert counts["returned"] == 3
    assert {name: n for name, n in counts.items() if name in shop.bad()} == shop.bad()
    assert counts["quarantined"] == sum(shop.bad().values())
    assert shop.stored("SELECT * FROM transactions ORDER BY ts, line") == before
    assert shop.transactions() == shop.good()


def test_late_corrected_and_withdrawn_lines_are_told_and_the_table_follows(shop: Shop) -> None:
    at = next(n for n, line in enumerate(shop.lines) if line.written == sale(2, 4))
    shop.lines[at] = Line(sale(2, 4, price=9.75))
    shop.lines += [Line(sale(3, 40)), Line(sale(3, 41))]  # at the end of the file, long after their day
    shop.write()
    done = shop.call("ingest")
    # The shop's key holds all that a line says: a correction is one line gone, and another come.
    assert done.said == "ingested 2 periods, 2010-12-03 to 2010-12-04: 3 late, 1 withdrawn"
    assert shop.transactions() == shop.good()
    gone = shop.lines.pop(next(n for n, line in enumerate(shop.lines) if line.written == sale(3, 7)))
    shop.write()
    done = shop.call("ingest")
    assert done.said == "ingested 1 periods, 2010-12-04 to 2010-12-04: 1 withdrawn"
    assert gone.written not in shop.transactions()
    done = shop.call("ingest", "--full")
    assert done.said == f"ingested {DAYS} periods, 2010-12-01 to 2010-12-12: no late, corrected or withdrawn rows"
    assert done.counts["sum"] == len(shop.lines)
    assert shop.transactions() == shop.good()
