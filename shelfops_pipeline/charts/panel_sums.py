"""What the pictures of a data set are made of: sums over a panel, block by block, so that memory stays bounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import ON_PROMOTION
from shelfops_pipeline.data.panel import Panel, State

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

_BLOCK: Final = 2_048  # series at a time


@dataclass(frozen=True)
class Totals:
    """Sums over all series, [T] each."""

    dates: NDArray[np.datetime64]
    demand: Doubles
    known: NDArray[np.int64]
    """Series whose demand is known."""

    @property
    def mean(self) -> Doubles:
        """Demand per series with a known demand; NaN where there is none."""
        return np.divide(self.demand, self.known, out=np.full(len(self.demand), np.nan), where=self.known > 0)


def period_totals(panel: Panel) -> Totals:
    """Demand of all series by observed period, and how many series it is known of."""
    T = panel.n_observed
    demand, known = np.zeros(T), np.zeros(T, dtype=np.int64)
    for rows in _blocks(panel):
        values = np.asarray(panel.demand[rows, :T], dtype=np.float64)
        seen = np.isfinite(values)
        demand += np.where(seen, values, 0).sum(axis=0)
        known += seen.sum(axis=0)
    return Totals(panel.dates[:T].astype("datetime64[ns]"), demand, known)


def demand_patterns(panel: Panel) -> pd.DataFrame:
    """One row per series: adi (average demand interval, in periods), cv2 (squared coefficient of variation of the sales
    that there were), demand (total). NaN where a series has sold too rarely: never for adi, less than twice for cv2."""
    parts = []
    for rows in _blocks(panel):
        values = np.asarray(panel.demand[rows, : panel.n_observed], dtype=np.float64)
        seen, sold = np.isfinite(values).sum(axis=1), values > 0
        sales, size = sold.sum(axis=1), np.where(sold, values, 0)
        total = size.sum(axis=1)
        mean = np.divide(total, sales, out=np.full(len(total), np.nan), where=sales > 0)
        square = np.divide((size**2).sum(axis=1), sales, out=np.full(len(total), np.nan), where=sales > 1)
        adi = np.divide(seen, sales, out=np.full(len(total), np.nan), where=sales > 0)
        parts.append(pd.DataFrame({"adi": adi, "cv2": np.maximum(square / mean**2 - 1, 0), "demand": total}))
    return pd.concat(parts, ignore_index=True)


def expected_without_promotion(panel: Panel) -> tuple[Floats, Floats]:
    """[S, T] demand, and what each series sells on that weekday (in a week) without a promotion; NaN where unknown."""
    T, season = panel.n_observed, panel.grain.season
    demand = np.asarray(panel.demand[:, :T])
    plain = np.asarray(panel.channels[ON_PROMOTION][:, :T]) == 0
    base = np.full_like(demand, np.nan)
    for weekday in range(season):
        at = slice(weekday, None, season)
        usable = plain[:, at] & np.isfinite(demand[:, at])
        n = usable.sum(axis=1)
        total = np.where(usable, demand[:, at], 0).sum(axis=1, dtype=np.float64)
        base[:, at] = np.divide(total, n, out=np.full(len(n), np.nan), where=(n > 0) & (total > 0))[:, None]
    return demand, base


def state_shares(panel: Panel) -> pd.DataFrame:
    """[T, states] share of all series by `State`, with the dates as index; the columns are the states' names."""
    T = panel.n_observed
    counts = np.zeros((T, len(State)))
    for rows in _blocks(panel):
        block = np.asarray(panel.state[rows, :T])
        for state in State:
            counts[:, state] += (block == state).sum(axis=0)
    shares = pd.DataFrame(counts / panel.n_series, columns=[s.name.lower() for s in State])
    return shares.set_index(pd.DatetimeIndex(panel.dates[:T].astype("datetime64[ns]")))


def known_by_store(panel: Panel, most_columns: int) -> pd.DataFrame:
    """[stores, spans of time] share of known demand among the cells that were on sale and open; NaN where none was.

    Columns are the first dates of at most `most_columns` equal spans.
    """
    T = panel.n_observed
    starts = np.arange(0, T, -(-T // most_columns))
    stores, code = np.unique(panel.store_ids, return_inverse=True)
    known, wanted = np.zeros((len(stores), len(starts))), np.zeros((len(stores), len(starts)))
    for rows in _blocks(panel):
        block = np.asarray(panel.state[rows, :T])
        observed = block == State.OBSERVED
        lacking = (block == State.STOCKOUT) | (block == State.UNKNOWN)
        sums = [np.add.reduceat(cells, starts, axis=1, dtype=np.int64) for cells in (observed, observed | lacking)]
        np.add.at(known, code[rows], sums[0])
        np.add.at(wanted, code[rows], sums[1])
    share = np.divide(known, wanted, out=np.full(known.shape, np.nan), where=wanted > 0)
    return pd.DataFrame(share, index=stores, columns=pd.DatetimeIndex(panel.dates[starts].astype("datetime64[ns]")))


def _blocks(panel: Panel) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, panel.n_series, _BLOCK))
