"""What columns are by their content alone: ids, quantities, prices. For tables whose names say nothing."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.onboarding.column import Column

_SAME: Final = 0.02
_MOST_NUMBERS: Final = 10
_PRODUCT_ROWS: Final = 20_000


def repeats(columns: Sequence[Column]) -> float:
    """Share of the rows that repeat the values of `columns` of an earlier row."""
    n = len(columns[0])
    return 1 - len(np.unique(joint_codes(columns))) / n if n else 0.0


def joint_codes(columns: Sequence[Column]) -> NDArray[np.int64]:
    """One number per row for the combination of the columns' texts."""
    joint = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        _, joint = np.unique(joint * (int(column.levels.max(initial=0)) + 2) + column.levels + 1, return_inverse=True)
    return joint


def determines(finer: Column, coarser: Column) -> bool:
    """Does a value of `finer` tell that of `coarser`, but for slips?"""
    pairs = len(np.unique(joint_codes([finer, coarser])))
    return pairs <= finer.n_distinct * (1 + _SAME) + 1


def id_likeness(column: Column) -> float:
    """How much the values look like ids that many rows share, 0 to 1."""
    if column.dates is not None or column.n_distinct < 2 or column.present < 0.9 * len(column):
        return 0.0
    if column.n_distinct > 0.5 * column.present or column.is_flag or (column.is_number and not column.is_integer):
        return 0.0
    values = sorted(column.values)
    if not column.is_number:
        return 0.8
    if any(len(v) > 1 and v.startswith("0") for v in values):
        return 0.8
    if len({len(v) for v in values}) == 1 and len(values[0]) >= 3 and not any(v.startswith("-") for v in values):
        return 0.7
    counts = np.bincount(column.codes[column.codes >= 0])
    counts = counts[counts > 0]
    return 0.5 if counts.std() < 0.5 * counts.mean() and (column.finite >= 0).all() else 0.1


def share_known(column: Column, key: Column) -> float:
    """Share of the column's values that `key` has."""
    return len(column.values & key.values) / max(len(column.values), 1)


def spread_within(column: Column, group: Column) -> float:
    """Standard deviation within the groups relative to that of all: near 0 where it depends on the group only."""
    numbers, codes = _numbers(column), group.codes
    known = np.isfinite(numbers) & (codes >= 0)
    numbers, codes = numbers[known], codes[known]
    if len(numbers) < 2 or _is_constant(numbers):
        return 0.0
    numbers = numbers / np.abs(numbers).max()  # whose squares stay within reach
    count = np.maximum(np.bincount(codes), 1)
    mean = np.bincount(codes, numbers) / count
    return float((numbers - mean[codes]).std() / numbers.std())


def mean_ratio(measure: Column, flags: NDArray[np.float64], series: NDArray[np.int64]) -> float:
    """Mean of `measure` where the flag is 1 relative to where it is 0, each row relative to its series; 1 if untold."""
    numbers = _numbers(measure)
    told = np.isfinite(numbers) & np.isfinite(flags)
    numbers, flags, series = numbers[told], flags[told], series[told]
    if not (flags == 1).any() or not (flags == 0).any():
        return 1.0
    level = np.bincount(series, numbers) / np.maximum(np.bincount(series), 1)
    relative = np.divide(numbers, level[series], out=np.zeros_like(numbers), where=level[series] > 0)
    without = float(relative[flags == 0].mean())
    return float(relative[flags == 1].mean()) / without if without > 0 else np.inf


def product(columns: Sequence[Column]) -> tuple[Column, Column, Column] | None:
    """(a, b, c) with c = a × b in nearly all rows, where neither a nor b is constant; None if there are none."""
    some = [column for column in columns if column.is_number][:_MOST_NUMBERS]
    rows = np.linspace(0, len(some[0]) - 1, min(len(some[0]), _PRODUCT_ROWS)).astype(int) if some else np.empty(0, int)
    values = [_numbers(column)[rows] for column in some]
    best: tuple[float, tuple[Column, Column, Column]] | None = None
    for i in range(len(some)):
        for j in range(i + 1, len(some)):
            if _is_constant(values[i]) or _is_constant(values[j]):
                continue
            for k in set(range(len(some))) - {i, j}:
                with np.errstate(over="ignore"):
                    share = _share_equal(values[i] * values[j], values[k])
                if share > (best[0] if best else 0.9):
                    best = share, (some[i], some[j], some[k])
    return None if best is None else best[1]


def _numbers(column: Column) -> NDArray[np.float64]:
    return np.full(len(column), np.nan) if column.numbers is None else column.numbers


def _is_constant(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return not len(known) or bool(known.min() == known.max())


def _share_equal(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    told = np.isfinite(a) & np.isfinite(b) & (b != 0)
    if told.sum() < 10:
        return 0.0
    return float((np.abs(a[told] - b[told]) <= np.maximum(_SAME * np.abs(b[told]), 0.011)).mean())
