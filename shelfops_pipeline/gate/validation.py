"""The gate behind every source: bad rows go to the quarantine with a reason, never away.

Accepted and quarantined rows together are the raw rows, always. Nothing is filled in here, and no value of an accepted
row is changed but for its type. The rules: `reasons` says what each is, `rules` has those about one row, `slips` those
about the time of day, `past_rules` those about the past of a series.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from pandera.errors import SchemaErrors

from shelfops_pipeline.contracts.columns import FINGERPRINT, ON_PROMOTION, UNIT_PRICE
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.gate.history import History
from shelfops_pipeline.gate.past_rules import mark_by_past
from shelfops_pipeline.gate.quarantine import ORIGINAL, QUARANTINE_COLUMNS, identified, quarantined
from shelfops_pipeline.gate.reasons import REASONS, Reason
from shelfops_pipeline.gate.rows import Mask, Rows, typed
from shelfops_pipeline.gate.rules import Codes, mark_duplicates, row_codes, usable
from shelfops_pipeline.gate.slips import mark_slips
from shelfops_pipeline.schemas.transactions import RawTransactionSchema, TrainingDataSchema

__all__ = [
    "ORIGINAL",
    "QUARANTINE_COLUMNS",
    "Reason",
    "ValidationResult",
    "check_training_data",
    "validate_transactions",
]
_SHOWN: Final = 3


@dataclass(frozen=True)
class ValidationResult:
    """Raw rows, parted: `valid` has the canonical columns and types, `quarantined` has QUARANTINE_COLUMNS.

    `original` is the row as a JSON object, `filed` the day under which it is counted, `fingerprint` what releases it.
    `counts`: rows per reason. `released`: rows that are accepted because somebody vouched for them.
    """

    valid: pd.DataFrame
    quarantined: pd.DataFrame
    counts: dict[str, int]
    released: int = 0

    @property
    def share(self) -> float:
        """Share of bad rows; NaN when there were no rows."""
        rows = len(self.valid) + len(self.quarantined)
        return len(self.quarantined) / rows if rows else float("nan")


def validate_transactions(
    raw: pd.DataFrame,
    reference: Reference,
    rules: RowRules | None = None,
    *,
    last_date: date,
    max_quarantined_share: float,
    history: History | None = None,
    released: frozenset[str] = frozenset(),
) -> ValidationResult:
    """Part raw transactions into good and bad rows; `rules` are those of the source.

    Rows after `last_date` are from the future. `history` is what was accepted of the periods before. A bad row whose
    fingerprint is in `released` is accepted if it has ids, a plausible date and a quantity; a price or flag of it that
    cannot be right is unknown then. Raises DataError when a column is missing, when `ts` is in a time zone, or when the
    share of bad rows is above `max_quarantined_share` (or the share that the rules call normal, if that is larger).
    """
    rules, past = rules or RowRules(), History.none() if history is None else history
    _checked(RawTransactionSchema, raw, "transactions")
    rows = typed(raw)
    codes = row_codes(rows, reference, rules, last_date)
    mark_slips(rows, codes, past)
    mark_duplicates(rows.frame, rules, codes)
    codes, vouched = _judged(raw, rows, codes, past, released, usable(rows, last_date) if released else None)
    counts = {str(r): int(n) for r, n in zip(REASONS, np.bincount(codes, minlength=len(REASONS) + 1)[1:], strict=True)}
    counts = {reason: n for reason, n in counts.items() if n}
    _check_share(counts, len(raw), max(max_quarantined_share, rules.tolerated_share))
    frame = rows.frame if vouched is None else _as_far_as_known(rows.frame, vouched)
    valid = frame if not counts else frame[codes == 0].reset_index(drop=True)
    n_released = 0 if vouched is None else int(vouched.sum())
    return ValidationResult(valid, quarantined(raw, rows, codes, last_date), counts, n_released)


def check_training_data(demand: pd.DataFrame) -> pd.DataFrame:
    """The gate before `create_features`: returns `demand`, or raises DataError with the first breaches."""
    return _checked(TrainingDataSchema, demand, "training data")


def _judged(
    raw: pd.DataFrame, rows: Rows, by_row: Codes, past: History, released: frozenset[str], able: Mask | None
) -> tuple[Codes, Mask | None]:
    """[n] final codes, and the bad rows that are accepted because they were released (None: there are none).

    What is released counts as accepted for the rows after it, which may in turn make others bad: once more until
    nothing new is released.
    """
    vouched = np.zeros(len(by_row), dtype=bool)
    asked = np.zeros(len(by_row), dtype=bool)
    while True:
        codes = np.where(vouched, np.int8(0), by_row)
        mark_by_past(rows.frame, codes, past, vouched)
        if able is None:
            return codes, None
        new = np.flatnonzero((codes > 0) & able & ~asked)
        asked[new] = True
        found = new[identified(raw, new)[FINGERPRINT].isin(released).to_numpy()]
        if not len(found):
            return codes, vouched if vouched.any() else None
        vouched[found] = True


def _as_far_as_known(frame: pd.DataFrame, vouched: Mask) -> pd.DataFrame:
    """Released rows are sales that happened; a price or a flag that cannot be right stays unknown."""
    bounds: dict[str, float] = {UNIT_PRICE: np.inf, ON_PROMOTION: 1 + np.finfo(float).eps}
    changed: dict[Any, Any] = {}
    for name in (name for name in bounds if name in frame):
        values = frame[name].to_numpy()
        wrong = vouched & ~((values >= 0) & (values < bounds[name]))
        changed[name] = np.where(wrong, np.nan, values)
    return frame.assign(**changed)


def _checked(
    schema: type[RawTransactionSchema] | type[TrainingDataSchema], frame: pd.DataFrame, what: str
) -> pd.DataFrame:
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.drop_duplicates(["column", "check"]).head(_SHOWN)
        shown = [
            f"{column or 'table'}: {check} (found {found}, row {row})"
            for column, check, found, row in zip(
                cases["column"], cases["check"], cases["failure_case"], cases["index"], strict=True
            )
        ]
        text = re.sub(r"\s+", " ", "; ".join(shown))
        raise DataError(f"{what}: {len(error.failure_cases)} breaches of the schema, first {text}") from error
    return frame


def _check_share(counts: dict[str, int], rows: int, limit: float) -> None:
    bad = sum(counts.values())
    if not rows or bad / rows <= limit:
        return
    top = sorted(counts.items(), key=lambda item: -item[1])[:_SHOWN]
    reasons = ", ".join(f"{reason} {n}" for reason, n in top)
    raise DataError(
        f"{bad} of {rows} transactions are bad ({bad / rows:.1%}, allowed {limit:.1%}): {reasons}; "
        "repair the feed, or raise SHELFOPS_MAX_QUARANTINED_SHARE"
    )
