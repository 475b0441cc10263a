"""What a source's rows are like: the report of `shelfops onboard`, made by the gate that `shelfops ingest` uses."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from shelfops_pipeline.contracts.columns import (
    DATE,
    FILED,
    ITEM_ID,
    KNOWN_FUTURE,
    LINE,
    NAME,
    QUANTITY,
    SOURCE,
    STORE_ID,
    TS,
    UNREADABLE,
    Grain,
)
from shelfops_pipeline.data.feed import feed_gaps
from shelfops_pipeline.data.source import Reference, Source
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.gate.quality import ROWS, bad_periods
from shelfops_pipeline.gate.validation import validate_transactions

_PREVIEW = 5


@dataclass(frozen=True)
class Ids:
    """Ids of the sales beside those of the reference table."""

    sold: int
    listed: int
    unlisted: tuple[str, ...]
    """Sold, but not in the reference."""


@dataclass(frozen=True)
class Quality:
    """Figures of all rows of a source."""

    grain: Grain
    preview: pd.DataFrame
    rows: int
    first: date
    last: date
    series: int
    stores: Ids
    items: Ids
    missing: Mapping[str, int]
    """Empty cells by canonical column."""
    unreadable: Mapping[str, int]
    refused: Mapping[str, int]
    """Rows that the gate puts in quarantine, by reason."""
    periods: pd.DataFrame
    """Those with many refused rows, of which `shelfops ingest` asks how large their share is (`bad_periods`)."""
    repeated: int
    """Lines of receipts that another file has as well, cell by cell."""
    returns: int
    zeros: int
    gaps: tuple[tuple[str, date, date], ...]
    """(store, first, last) of each silence of a store."""
    plans: Mapping[str, date]
    """The last date of each covariate that is known in advance."""

    @property
    def refused_share(self) -> float:
        """Of the rows."""
        return sum(self.refused.values()) / self.rows if self.rows else 0.0

    def ahead(self, name: str) -> int:
        """Periods after the last sale that a plan covers."""
        days = (self.plans[name] - self.last).days
        return max(days // self.grain.days, 0)


def assess(source: Source) -> Quality:
    """Read a source whole, and look at it. Raises DataError where a file, a column or a value of a plan is wrong."""
    first, last = source.span()
    rows, reference = source.transactions(first, last), source.reference()
    if rows.empty:
        raise DataError(f"{source.name}: there are no rows")
    result = validate_transactions(rows, reference, source.rules, last_date=last, max_quarantined_share=1.0)
    unreadable = _unreadable(rows)
    cells = [str(name) for name in rows if name not in (UNREADABLE, SOURCE, LINE, FILED)]
    quantity = rows[QUANTITY].to_numpy()
    return Quality(
        grain=source.grain,
        preview=rows[cells].head(_PREVIEW),
        rows=len(rows),
        first=first,
        last=last,
        series=len(rows[[STORE_ID, ITEM_ID]].drop_duplicates()),
        stores=_ids(rows[STORE_ID], reference.stores[STORE_ID]),
        items=_ids(rows[ITEM_ID], reference.items[ITEM_ID]),
        missing={n: m for n in cells if (m := int(rows[n].isna().sum()) - unreadable[n])},
        unreadable=dict(unreadable),
        refused=result.counts,
        periods=bad_periods(result, source.grain, limit=0.0),
        repeated=0 if source.rules.unique_key else _repeated(rows, cells),
        returns=int((quantity < 0).sum()),
        zeros=int((quantity == 0).sum()),
        gaps=_gaps(rows, source.grain),
        plans=_plans(reference),
    )


def _repeated(rows: pd.DataFrame, cells: list[str]) -> int:
    """How many rows stand in an earlier file too. Within a file two equal lines are two sales; an export that begins
    before the last one ended says a sale twice."""
    line = pd.util.hash_pandas_object(rows[cells], index=False)
    files = pd.DataFrame({"line": line, SOURCE: pd.factorize(rows[SOURCE])[0]}).groupby(["line", SOURCE]).size()
    return int(files[files.index.get_level_values("line").duplicated()].sum())


def _unreadable(rows: pd.DataFrame) -> Counter[str]:
    found: Counter[str] = Counter()
    if UNREADABLE in rows:
        for text in rows[UNREADABLE].dropna():
            found.update(json.loads(text).keys())
    return found


def _ids(sold: "pd.Series[str]", listed: "pd.Series[str]") -> Ids:
    own, known = set(sold.dropna().astype(str).unique()), set(listed.dropna().astype(str))
    return Ids(len(own), len(known), tuple(sorted(own - known)))


def _gaps(rows: pd.DataFrame, grain: Grain) -> tuple[tuple[str, date, date], ...]:
    dated = rows[rows[TS].notna() & rows[STORE_ID].notna()]
    days = pd.DataFrame({DATE: dated[TS].dt.normalize(), STORE_ID: dated[STORE_ID].astype(str)})
    daily = days.groupby([DATE, STORE_ID]).size().rename(ROWS).reset_index()
    found = feed_gaps(daily, grain)
    return tuple(zip(found.iloc[:, 0].astype(str), found.iloc[:, 1].dt.date, found.iloc[:, 2].dt.date, strict=True))


def _plans(reference: Reference) -> dict[str, date]:
    ahead = [f for f in reference.covariates if len(f) and bool(f[KNOWN_FUTURE].iloc[0])]
    return {str(f[NAME].iloc[0]): f[DATE].max().date() for f in ahead}
