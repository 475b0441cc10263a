"""`shelfops ingest` and `quarantine` as a person runs them: what a file says is in the tables, or in quarantine.

One shop for the whole module. Every test edits days of its own, and leaves file and warehouse in agreement.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shelfops_pipeline.store.engine import for_database, open_engine
from tests import support
from tests.conftest import admin

Row = dict[str, Any]

FIRST = datetime(2010, 12, 1, 9)
DAYS = 12
LINES = 30  # good ones of a day
HEADER = "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice"


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
    url: str
    """Of the warehouse."""
    lines: list[Line] = field(default_factory=list)

    def write(self) -> None:
        rows = "".join(f"{line.written}\n" for line in self.lines)
        (self.data / "online_retail.csv").write_text(f"{HEADER}\n{rows}")

    def call(self, *arguments: str) -> Done:
        given = ("--dataset", "online_retail", "--data", str(self.data))
        return shelfops(self.home, self.url, *arguments, *given)

    def stored(self, query: str) -> list[Row]:
        engine = open_engine(self.url)
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


def shelfops(home: Path, url: str, *arguments: str, **settings: object) -> Done:
    """Run the command in a process of its own."""
    return Done(*support.shelfops(settings | {"home": home, "database_url": url}, *arguments))


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
def shop(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Twelve days of 30 lines, dirt on three of them; ingested."""
    admin(postgres_server, "CREATE DATABASE {}", "shop")
    home, data = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("data")
    made = Shop(home, data, for_database(postgres_server, "shop"))
    for day in range(DAYS):
        made.lines += [Line(sale(day, n)) for n in range(LINES)] + (dirt(day) if day in (1, 5, 9) else [])
    made.write()
    done = made.call("ingest")
    assert done.code == 0, done.err
    assert done.said.startswith(f"ingested {DAYS} periods, 2010-12-01 to 2010-12-12: no late")
    return made


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
    assert done.said == "ingested 2 periods, 2010-12-03 to 2010-12-04: 2 late, 1 corrected"
    assert shop.transactions() == shop.good()
    gone = shop.lines.pop()
    shop.write()
    done = shop.call("ingest")
    assert done.said == "ingested 1 periods, 2010-12-04 to 2010-12-04: 1 withdrawn"
    assert gone.written not in shop.transactions()
    done = shop.call("ingest", "--full")
    assert done.said == f"ingested {DAYS} periods, 2010-12-01 to 2010-12-12: no late, corrected or withdrawn rows"
    assert done.counts["sum"] == len(shop.lines)
    assert shop.transactions() == shop.good()


def fingerprints(shown: Done) -> dict[str, str]:
    """Short fingerprint of each shown row, by what the row says."""
    rows = re.findall(r"^│ (\w{12}) │ (.+) │$", shown.out, re.MULTILINE)
    return {rest: name for name, rest in rows}


def test_refused_lines_are_shown_by_reason_and_day_and_an_unknown_one_is_one_line(shop: Shop) -> None:
    done = shop.call("quarantine", "show", "--reason", "bad_stock_code", "--from", "2010-12-06", "--to", "2010-12-06")
    assert done.said == "bad_stock_code 2"
    assert "online_retail: 2 rows in quarantine" in done.out
    shown = fingerprints(done)
    assert len(shown) == 2
    at = 1 + next(n for n, line in enumerate(shop.lines, 1) if line.written == sale(5, 32, "POST", 1, 18))
    place = f"2010-12-06 │ bad_stock_code │ online_retail.csv:{at} │"
    assert [row for row in shown if row.startswith(place)], shown
    assert "item_id=POST" in done.out
    typo = shop.call("quarantine", "show", "--reason", "price_negativ")
    assert typo.problem.startswith("shelfops: --reason price_negativ is unknown; known: ")
    done = shop.call("quarantine", "show", "--reason", "timezone_slip")
    assert done.said == "online_retail: nothing in quarantine of that kind"
    unknown = "0123456789ab: is not in quarantine; `shelfops quarantine show` lists what is there"
    assert shop.call("quarantine", "release", "0123456789ab").problem == f"shelfops: {unknown}"


def test_a_released_row_is_accepted_for_good_and_one_that_cannot_be_used_stays(shop: Shop) -> None:
    show = ("quarantine", "show", "--from", "2010-12-10", "--to", "2010-12-10")
    price = fingerprints(shop.call(*show, "--reason", "price_zero"))
    [name] = price.values()
    done = shop.call("quarantine", "release", name, "--note", "a present")
    assert done.said == "1 rows re-admitted in 1 periods", done.err
    release(shop, 9, "price_zero")
    assert shop.transactions() == shop.good()

    done = shop.call("quarantine", "release", "--reason", "bad_stock_code")
    assert done.said == "6 rows re-admitted in 3 periods", done.err
    for day in (1, 5, 9):
        release(shop, day, "bad_stock_code")
    assert shop.transactions() == shop.good()

    done = shop.call("quarantine", "release", "--reason", "quantity_not_a_number")
    assert done.out.splitlines()[-2:] == [
        "0 rows re-admitted in 3 periods",
        "3 rows stay: without store, item, date or quantity they cannot be used; repair them at the source",
    ]
    assert shop.call("ingest").said == "nothing to do: the warehouse says what the source says"
    assert shop.transactions() == shop.good()


def release(shop: Shop, day: int, reason: str) -> None:
    """Expect the lines of a day with this reason in the table from now on."""
    mark = f",{day_of(day)} "
    shop.lines = [Line(line.written) if line.reason == reason and mark in line.written else line for line in shop.lines]


def test_a_day_that_is_mostly_bad_fails_and_is_ingested_when_it_is_repaired(shop: Shop) -> None:
    before, known = shop.transactions(), len(shop.lines)
    for day, unpriced in ((DAYS, 25), (DAYS + 1, 28)):
        shop.lines += [Line(sale(day, n, price=0), "price_zero") for n in range(unpriced)]
        shop.lines += [Line(sale(day, n)) for n in range(unpriced, LINES)]
    shop.write()
    line = shop.call("ingest").problem
    assert line.startswith("shelfops: 2010-12-14: 28 of 30 transactions are bad (93.3%): price_zero 28; 2010-12-13: ")
    assert line.endswith("allowed are 25.0%: repair the feed, or raise SHELFOPS_MAX_QUARANTINED_SHARE")
    assert shop.transactions() == before
    repaired = [Line(line.written.removesuffix(",0") + ",2.5") for line in shop.lines[known:] if line.reason]
    shop.lines = shop.lines[:known] + repaired + [line for line in shop.lines[known:] if line.reason is None]
    shop.write()
    done = shop.call("ingest")
    assert done.said == "ingested 2 periods, 2010-12-13 to 2010-12-14: no late, corrected or withdrawn rows", done.err
    assert shop.transactions() == shop.good()
    assert done.counts["sum"] == len(shop.lines)


def test_a_live_retailer_trades_one_more_day_with_every_ingest(postgres_url: str, tmp_path: Path) -> None:
    small = {"simulated_live": 1, "simulated_stores": 2, "simulated_items": 6, "simulated_days": 60}
    first, second = (shelfops(tmp_path, postgres_url, "ingest", "--dataset", "simulated", **small) for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.out.startswith("simulated trades on 2024-03-01\n")
    assert "simulated, 2024-01-01 to 2024-03-01" in first.out
    assert second.out.startswith("simulated trades on 2024-03-02\n")
    assert "simulated, 2024-01-01 to 2024-03-02" in second.out
    assert second.counts["sum"] >= first.counts["sum"] + 2
