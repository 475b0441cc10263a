"""The gate behind every source: bad rows go to the quarantine with a reason, never away.

Accepted and quarantined rows together are the raw rows, always. Nothing is filled in here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from shelfops_pipeline.contracts.columns import (
    ITEM_ID,
    LINE,
    ON_PROMOTION,
    QUANTITY,
    REASON,
    SOURCE,
    STORE_ID,
    TS,
    UNIT_PRICE,
)
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.schemas.transactions import RawTransactionSchema, TrainingDataSchema

ORIGINAL: Final = "original"
QUARANTINE_COLUMNS: Final = (TS, REASON, SOURCE, LINE, ORIGINAL)
_EARLIEST: Final = np.datetime64("1990-01-01", "ns")  # before this a year is a default value or a slip
_SHOWN: Final = 3

Mask = NDArray[np.bool_]


class Reason(StrEnum):
    """Why a row is in quarantine; where several hold, the first in this order."""

    MISSING_ID = "missing_id"
    UNKNOWN_STORE = "unknown_store"
    BAD_STOCK_CODE = "bad_stock_code"
    UNKNOWN_ITEM = "unknown_item"
    IMPOSSIBLE_DATE = "impossible_date"
    FUTURE_DATE = "future_date"
    QUANTITY_NOT_A_NUMBER = "quantity_not_a_number"
    ABSURD_QUANTITY = "absurd_quantity"
    PRICE_NOT_A_NUMBER = "price_not_a_number"
    PRICE_NEGATIVE = "price_negative"
    PRICE_ZERO = "price_zero"
    PROMOTION_NOT_A_FLAG = "promotion_not_a_flag"
    DUPLICATE_TRANSACTION = "duplicate_transaction"


_REASONS: Final = tuple(Reason)


@dataclass(frozen=True)
class ValidationResult:
    """Raw rows, parted: `valid` has the canonical columns and types, `quarantined` has QUARANTINE_COLUMNS.

    `original` is the row as a JSON object; `ts` is NaT where the date is missing. `counts`: rows per reason.
    """

    valid: pd.DataFrame
    quarantined: pd.DataFrame
    counts: dict[str, int]

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
) -> ValidationResult:
    """Part raw transactions into good and bad rows; `rules` are those of the source.

    Rows after `last_date` are from the future. Raises DataError when a column is missing or the share of bad
    rows is above `max_quarantined_share` (or the share that the rules call normal, if that is larger).
    """
    rules = rules or RowRules()
    _check_shape(raw)
    typed = _typed(raw)
    codes = np.zeros(len(raw), dtype=np.int8)
    for reason, find in _row_checks(typed, reference, rules, last_date):
        codes[(codes == 0) & find()] = _REASONS.index(reason) + 1
    _mark_duplicates(typed, rules, codes)
    bad = codes > 0
    counts = {str(r): int(n) for r, n in zip(_REASONS, _count(codes), strict=True) if n}
    _check_share(counts, len(raw), max(max_quarantined_share, rules.tolerated_share))
    valid = typed[~bad].reset_index(drop=True) if bad.any() else typed
    return ValidationResult(valid, _quarantine(raw, codes), counts)


def check_training_data(demand: pd.DataFrame) -> pd.DataFrame:
    """The gate before `create_features`: returns `demand`, or raises DataError with the first breaches."""
    return _checked(TrainingDataSchema, demand, "training data")


def _check_shape(raw: pd.DataFrame) -> None:
    _checked(RawTransactionSchema, raw, "transactions")


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


def _typed(raw: pd.DataFrame) -> pd.DataFrame:
    """Ids as categories of strings, measures as floats; what is no number becomes NaN, found below."""
    changed: dict[str, pd.Series] = {}
    for name in (STORE_ID, ITEM_ID):
        if not isinstance(raw[name].dtype, pd.CategoricalDtype):
            text = raw[name].astype("string").str.strip()
            changed[name] = text.astype(object).astype("category")
    for name in (QUANTITY, UNIT_PRICE, ON_PROMOTION):
        if name in raw and raw[name].dtype != np.float64:
            changed[name] = pd.to_numeric(raw[name], errors="coerce").astype(np.float64)
    return raw.assign(**changed) if changed else raw


def _row_checks(
    rows: pd.DataFrame, reference: Reference, rules: RowRules, last_date: date
) -> Iterator[tuple[Reason, Callable[[], Mask]]]:
    """Each reason with the rows that have it."""
    yield Reason.MISSING_ID, lambda: _missing(rows[STORE_ID]) | _missing(rows[ITEM_ID])
    if len(reference.stores):
        yield Reason.UNKNOWN_STORE, lambda: _unlisted(rows[STORE_ID], reference.stores[STORE_ID])
    pattern = rules.item_pattern
    if pattern is not None:
        yield (
            Reason.BAD_STOCK_CODE,
            lambda: _by_category(rows[ITEM_ID], lambda names: ~names.str.fullmatch(pattern).to_numpy(bool)),
        )
    if rules.items_complete and len(reference.items):
        yield Reason.UNKNOWN_ITEM, lambda: _unlisted(rows[ITEM_ID], reference.items[ITEM_ID])
    ts = rows[TS].to_numpy("datetime64[ns]")
    yield Reason.IMPOSSIBLE_DATE, lambda: np.isnat(ts) | (ts < _EARLIEST)
    yield Reason.FUTURE_DATE, lambda: ts >= np.datetime64(last_date, "ns") + np.timedelta64(1, "D")
    quantity = rows[QUANTITY].to_numpy()
    yield Reason.QUANTITY_NOT_A_NUMBER, lambda: ~np.isfinite(quantity)
    yield Reason.ABSURD_QUANTITY, lambda: np.abs(quantity) > rules.max_quantity
    if UNIT_PRICE in rows:
        price = rows[UNIT_PRICE].to_numpy()
        yield Reason.PRICE_NOT_A_NUMBER, lambda: np.isinf(price)
        yield Reason.PRICE_NEGATIVE, lambda: price < 0
        if not rules.free_items:
            yield Reason.PRICE_ZERO, lambda: price == 0
    if ON_PROMOTION in rows:
        flag = rows[ON_PROMOTION].to_numpy()
        yield Reason.PROMOTION_NOT_A_FLAG, lambda: (flag < 0) | (flag > 1)


def _mark_duplicates(rows: pd.DataFrame, rules: RowRules, codes: NDArray[np.int8]) -> None:
    """Duplicates among the rows that are good so far: a bad row must not displace a good one."""
    key = [name for name in rules.unique_key if name in rows]
    if not key:
        return
    good = np.flatnonzero(codes == 0)
    seen = rows[key] if len(good) == len(rows) else rows[key].iloc[good]
    codes[good[seen.duplicated().to_numpy()]] = _REASONS.index(Reason.DUPLICATE_TRANSACTION) + 1


def _by_category(ids: pd.Series, bad: Callable[[pd.Series], Mask]) -> Mask:
    """A check on the distinct ids, spread to the rows; a missing id passes."""
    names = pd.Series(ids.cat.categories, dtype=object).astype(str)
    flags: Mask = np.append(bad(names), False)
    return flags[ids.cat.codes.to_numpy()]


def _missing(ids: pd.Series) -> Mask:
    blank = _by_category(ids, lambda names: (names.str.strip() == "").to_numpy())
    return blank | (ids.cat.codes.to_numpy() < 0)


def _unlisted(ids: pd.Series, known: pd.Series) -> Mask:
    return _by_category(ids, lambda names: ~names.isin(known.astype(str)).to_numpy())


def _count(codes: NDArray[np.int8]) -> NDArray[np.intp]:
    return np.bincount(codes, minlength=len(_REASONS) + 1)[1:]


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


def _quarantine(raw: pd.DataFrame, codes: NDArray[np.int8]) -> pd.DataFrame:
    bad = np.flatnonzero(codes)
    rows = raw.iloc[bad].reset_index(drop=True)
    names = np.array([str(r) for r in _REASONS], dtype=object)
    nowhere = pd.Series([None] * len(rows), dtype=object)
    return pd.DataFrame(
        {
            TS: rows[TS],
            REASON: names[codes[bad] - 1],
            SOURCE: rows.get(SOURCE, nowhere).astype(object),
            LINE: rows.get(LINE, nowhere).astype("Int64"),
            ORIGINAL: _as_json(rows.drop(columns=[SOURCE, LINE], errors="ignore")),
        }
    )


def _as_json(rows: pd.DataFrame) -> list[str]:
    """Each row as a JSON object, with its values as they came; infinities, which JSON lacks, as text."""
    if rows.empty:
        return []
    odd = [str(name) for name, column in rows.select_dtypes("float").items() if np.isinf(column).any()]
    texts = {name: rows[name].astype(object).where(~np.isinf(rows[name]), rows[name].astype(str)) for name in odd}
    rows = rows.assign(**texts)
    text: str = rows.to_json(orient="records", lines=True, date_format="iso", double_precision=15)
    return text.strip("\n").split("\n")
