"""Which line of a text file a record begins on."""

import numpy as np
from numpy.typing import NDArray


def line_numbers(data: bytes, n_rows: int, quote: str = '"') -> NDArray[np.int64]:
    """1-based file line of each of the `n_rows` records after the header.

    Counts lines only where blank lines or line breaks inside quotes put records and lines out of step.
    """
    if data.count(b"\n") + (not data.endswith(b"\n")) == n_rows + 1:
        return np.arange(2, n_rows + 2)
    found = _record_lines(data, quote)
    if quote and len(found) != n_rows + 1:  # a lone quote inside a cell, as in `5" pipe`, opens nothing
        plain = _record_lines(data, "")
        found = plain if len(plain) == n_rows + 1 else found
    if len(found) < n_rows + 1:  # both readings of the quotes fail: count as if every record were one line
        found = np.arange(1, n_rows + 2)
    return found[1 : n_rows + 1]


def _record_lines(data: bytes, quote: str) -> NDArray[np.int64]:
    """The line of each record, the header included; blank lines are none."""
    chars = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    newline = np.flatnonzero(chars == ord("\n"))
    ends = newline
    if quote:
        ends = newline[np.cumsum(chars == ord(quote))[newline] % 2 == 0]
    starts = np.r_[0, ends[:-1] + 1]
    content = ends - starts - (chars[np.maximum(ends - 1, 0)] == ord("\r"))
    first_lines = np.asarray(np.searchsorted(newline, starts) + 1, dtype=np.int64)
    records: NDArray[np.int64] = first_lines[content > 0]
    return records
