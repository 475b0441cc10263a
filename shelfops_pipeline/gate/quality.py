"""Figures of quality per period, and the periods of which too much was refused."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import FILED, ITEM_ID, QUANTITY, REASON, STORE_ID, TS, Grain
from shelfops_pipeline.data.keys import Ints, compact, days_of, first_day
from shelfops_pipeline.gate.validation import ValidationResult

PERIOD: Final = "period"
ROWS: Final = "rows"
ACCEPTED: Final = "accepted"
RETURNS: Final = "returns"
QUARANTINED: Final = "quarantined"
REASONS: Final = "reasons"
STORES: Final = "stores"
ITEMS: Final = "items"
UNITS: Final = "units"
BAD: Final = "bad"
SHARE: Final = "share"
QUALITY_COLUMNS: Final = (PERIOD, ROWS, ACCEPTED, RETURNS, QUARANTINED, REASONS, STORES, ITEMS, UNITS)
_SHOWN: Final = 3


def quality(result: ValidationResult, grain: Grain) -> pd.DataFrame:
    """A row per period that has rows, with QUALITY_COLUMNS; quarantined rows belong to the period they are filed under.

    `returns` are accepted rows with a quantity < 0, `reasons` a dict {reason: rows}, `stores` those with an accepted
    row, `items` those with a sale, `units` the sum of accepted quantities, net of returns. Rows filed nowhere (no row
    of the run has a date) are in no period.
    """
    valid, bad = result.valid, result.quarantined[result.quarantined[FILED].notna()]
    of_valid, of_bad = _periods(valid[TS], grain), _periods(bad[FILED], grain)
    periods = np.unique(np.r_[np.unique(of_valid), np.unique(of_bad)])
    at, at_bad = np.searchsorted(periods, of_valid), np.searchsorted(periods, of_bad)
    quantity = valid[QUANTITY].to_numpy()
    n = len(periods)
    accepted, refused = np.bincount(at, minlength=n), np.bincount(at_bad, minlength=n)
    columns = {
        PERIOD: periods.astype("datetime64[D]").astype("datetime64[ns]"),
        ROWS: accepted + refused,
        ACCEPTED: accepted,
        RETURNS: np.bincount(at[quantity < 0], minlength=n),
        QUARANTINED: refused,
        REASONS: _reasons(bad[REASON], at_bad, n),
        STORES: _distinct(at, valid[STORE_ID], n),
        ITEMS: _distinct(at[quantity > 0], valid[ITEM_ID][quantity > 0], n),
        UNITS: np.bincount(at, weights=quantity, minlength=n),
    }
    return pd.DataFrame(columns, columns=list(QUALITY_COLUMNS))


def bad_periods(result: ValidationResult, grain: Grain, limit: float, at_least: int = 20) -> pd.DataFrame:
    """The periods of which a larger share than `limit` was refused: period, rows, bad, share, reasons (most frequent
    first). Periods with fewer bad rows than `at_least` pass: one bad row in five is bad luck."""
    found = quality(result, grain)
    share = found[QUARANTINED] / found[ROWS]
    over = (share > limit) & (found[QUARANTINED] >= at_least)
    columns = {PERIOD: found[PERIOD], ROWS: found[ROWS], BAD: found[QUARANTINED], SHARE: share, REASONS: found[REASONS]}
    return pd.DataFrame(columns)[over].reset_index(drop=True)


def describe_bad(periods: pd.DataFrame, limit: float) -> str:
    """`bad_periods` as one line: the worst first, with their reasons and what to do."""
    return "; ".join(_lines(periods.sort_values(SHARE, ascending=False, kind="stable"), limit))


def _lines(periods: pd.DataFrame, limit: float) -> Iterator[str]:
    top = periods.head(_SHOWN)
    for day, bad, rows, counts in zip(top[PERIOD].dt.date, top[BAD], top[ROWS], top[REASONS], strict=True):
        reasons = ", ".join(f"{reason} {n}" for reason, n in list(counts.items())[:_SHOWN])
        yield f"{day}: {bad} of {rows} transactions are bad ({bad / rows:.1%}): {reasons}"
    if len(periods) > _SHOWN:
        yield f"{len(periods) - _SHOWN} more periods"
    yield f"allowed are {limit:.1%}: repair the feed, or raise SHELFOPS_MAX_QUARANTINED_SHARE"


def _periods(times: pd.Series, grain: Grain) -> Ints:
    return first_day(days_of(times.to_numpy("datetime64[ns]")), grain)


def _reasons(names: pd.Series, of: NDArray[np.intp], n: int) -> list[dict[str, int]]:
    """[n] rows per reason, most frequent first."""
    counts: list[dict[str, int]] = [{} for _ in range(n)]
    pairs = pd.DataFrame({PERIOD: of, REASON: names.to_numpy()}).value_counts(sort=True).reset_index(name=ROWS)
    for period, reason, rows in zip(pairs[PERIOD], pairs[REASON], pairs[ROWS], strict=True):
        counts[period][str(reason)] = int(rows)
    return counts


def _distinct(of: NDArray[np.intp], ids: pd.Series, n: int) -> NDArray[Any]:
    """[n] how many different ids each period has."""
    width = max(len(ids.cat.categories), 1)
    pairs, _ = compact(of * width + ids.cat.codes.to_numpy(), n * width)
    return np.bincount(pairs // width, minlength=n)
