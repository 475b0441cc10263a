"""Small tables for the row gate: good rows, and what is changed in them."""

from datetime import date

import numpy as np
import pandas as pd

from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.gate.validation import ValidationResult, validate_transactions

LAST = date(2024, 3, 1)
REFERENCE = Reference(
    stores=pd.DataFrame({"store_id": ["1", "2"]}),
    items=pd.DataFrame({"item_id": ["A", "B"]}),
    calendar=pd.DataFrame(columns=["date", "scope", "name", "kind"]),
)
RULES = RowRules(
    unique_key=("transaction_id", "ts", "store_id", "item_id"),
    item_pattern="[A-Z]",
    items_complete=True,
    free_items=False,
)
GOOD = {
    "ts": pd.Timestamp("2024-02-01 10:00"),
    "store_id": "1",
    "item_id": "A",
    "quantity": 2.0,
    "unit_price": 1.5,
    "on_promotion": 0.0,
}


def table(*changes: dict[str, object]) -> pd.DataFrame:
    rows = [GOOD | {"transaction_id": str(k)} | change for k, change in enumerate(changes)]
    frame = pd.DataFrame(rows)
    frame["source"], frame["line"] = "till.csv", np.arange(2, len(frame) + 2)
    return frame


def validate(raw: pd.DataFrame, rules: RowRules | None = RULES, share: float = 1.0) -> ValidationResult:
    return validate_transactions(raw, REFERENCE, rules, last_date=LAST, max_quarantined_share=share)
