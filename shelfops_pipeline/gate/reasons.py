"""Why a transaction is in quarantine: one code per rule, with the sentence that the UI and the documents show."""

from enum import StrEnum
from typing import Final, Self


class Reason(StrEnum):
    """Why a row is in quarantine; where several hold, the first in this order."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    UNREADABLE_LINE = (
        "unreadable_line",
        "The line has too few or too many cells, or one that cannot be read and has no reason of its own.",
    )
    MISSING_ID = (
        "missing_id",
        "The store or the item is missing, or cannot be an id: control characters, more than 200 characters, "
        "neither text nor a whole number.",
    )
    UNKNOWN_STORE = "unknown_store", "The table of stores does not have this store."
    BAD_STOCK_CODE = "bad_stock_code", "The item's id has not the form of a saleable article (postage, fees, vouchers)."
    UNKNOWN_ITEM = "unknown_item", "The table of items is said to be complete and does not have this item."
    IMPOSSIBLE_DATE = "impossible_date", "The date is missing, cannot be read, or lies before 1990."
    FUTURE_DATE = "future_date", "The date lies after the last day of the feed."
    QUANTITY_NOT_A_NUMBER = "quantity_not_a_number", "The quantity is missing, infinite or not a number."
    ABSURD_QUANTITY = "absurd_quantity", "The quantity, either way, is larger than the source's rules allow in one row."
    PRICE_NOT_A_NUMBER = "price_not_a_number", "The price is infinite or not a number."
    PRICE_NEGATIVE = "price_negative", "The price is below 0."
    PRICE_ZERO = "price_zero", "The price is 0 where nothing is given away."
    PROMOTION_NOT_A_FLAG = "promotion_not_a_flag", "The promotion flag is not between 0 and 1."
    TIMEZONE_SLIP = (
        "timezone_slip",
        "The time of day is off: a row that stands for a day is hours away from midnight, a store's receipts fall into "
        "hours in which it does not trade, or one time among many carries a zone.",
    )
    DUPLICATE_TRANSACTION = "duplicate_transaction", "A row with the same key came before it in the source."
    RETURN_WITHOUT_SALE = (
        "return_without_sale",
        "A return of an item that the store has not sold up to that day, once its feed covers 90 days.",
    )
    OUTLIER = "outlier", "The quantity, either way, is more than 100 times the largest of the series so far."

    @property
    def code(self) -> int:
        """Its place in the order, from 1; 0 is a good row."""
        return _CODES[self]


REASONS: Final = tuple(Reason)
_CODES: Final = {reason: at for at, reason in enumerate(REASONS, start=1)}
