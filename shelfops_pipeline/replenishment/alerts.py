"""Stock alerts: which series need a planner's eye today, and why."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import ITEM_ID, ON_HAND, ON_ORDER, QUANTITY, REASON, STORE_ID
from shelfops_pipeline.contracts.replenishment import AlertKind, AlertSeverity
from shelfops_pipeline.replenishment.plan import DISCONTINUED, NO_SALE_PROBABILITY, QUIET_PERIODS
from shelfops_pipeline.replenishment.position import ROLLED
from shelfops_pipeline.store.replenishment_records import Alert
from shelfops_pipeline.store.replenishment_tables import COUNTED_ON, ORDER_DATE

LIKELY: Final = 0.5
"""Probability of being out of stock before a delivery from which on it is a risk rather than a reason to order."""
NOTABLE: Final = 0.05
"""Probability of the same that a planner hears of at the least, however cheap it would be to avoid it."""
INCREDIBLE: Final = 0.01
"""Probability under the forecast below which so long without a sale is not chance."""
_DETAILS: Final = {
    ON_HAND: ON_HAND,
    ON_ORDER: ON_ORDER,
    COUNTED_ON: COUNTED_ON,
    "order_up_to": "order_up_to",
    "order_quantity": QUANTITY,
    "order_date": ORDER_DATE,
    "stockout_probability": "stockout_probability",
    "stockout_date": "stockout_date",
    "days_of_supply": "days_of_supply",
    "overstock_units": "overstock_units",
    QUIET_PERIODS: QUIET_PERIODS,
}
Row = dict[Hashable, Any]


@dataclass(frozen=True)
class _Kind:
    kind: AlertKind
    severity: AlertSeverity
    found: Callable[[pd.DataFrame], Any]
    """which rows of a plan; unknown figures compare as false, so that they raise nothing"""
    words: Callable[[Row], str]


def _short(row: Row) -> str:
    gone = row["stockout_date"]
    by = "" if gone is pd.NaT else f" (by {gone:%d %b} more likely than not)"
    if not row[QUANTITY] > 0:
        todo = "no order would pay on the supplier's terms and within its shelf life"
    else:
        todo = f"order {row[QUANTITY]:.0f} on {row[ORDER_DATE]:%d %b}"
    return f"{_held(row)}: out of stock before a delivery with probability {_share(row)}{by}; {todo}"


def _share(row: Row) -> str:
    return f"{100 * row['stockout_probability']:.0f} %"


def _over(row: Row) -> str:
    up_to = f"the order-up-to level of {row['order_up_to']:.0f}"
    return f"{_held(row)}, far above {up_to}: {row['overstock_units']:.0f} too many"


def _phantom(row: Row) -> str:
    quiet = f"nothing sold in the last {row[QUIET_PERIODS]:.0f} periods"
    return f"{row[ON_HAND]:.0f} on record{_as_of(row)}, but {quiet}, and the forecast expects sales: count the shelf"


def _held(row: Row) -> str:
    return f"{row[ON_HAND]:.0f} on hand and {row[ON_ORDER]:.0f} on order{_as_of(row)}"


def _as_of(row: Row) -> str:
    """Said of an older count than that of the last period, which people take it for."""
    return f" (counted on {row[COUNTED_ON]:%d %b}, less sales since)" if row[ROLLED] else ""


def _at_risk(plan: pd.DataFrame) -> Any:
    return (plan[REASON] != DISCONTINUED) & (plan["stockout_probability"] > LIKELY)


def _due(plan: pd.DataFrame) -> Any:
    chance = plan["stockout_probability"]
    return (
        (plan[REASON] != DISCONTINUED) & (chance <= LIKELY) & (chance > np.maximum(1 - plan["service_level"], NOTABLE))
    )


def _unseen(plan: pd.DataFrame) -> Any:
    return (plan[ON_HAND] > 0) & (plan[NO_SALE_PROBABILITY] < INCREDIBLE)


def _too_much(plan: pd.DataFrame) -> Any:
    return plan["overstock_units"] > 0


_KINDS: Final = (
    _Kind(AlertKind.STOCKOUT_RISK, AlertSeverity.HIGH, _at_risk, _short),
    _Kind(AlertKind.REORDER_NOW, AlertSeverity.MEDIUM, _due, _short),
    _Kind(AlertKind.PHANTOM_STOCK, AlertSeverity.MEDIUM, _unseen, _phantom),
    _Kind(AlertKind.OVERSTOCK, AlertSeverity.LOW, _too_much, _over),
)


def stock_alerts(plan: pd.DataFrame) -> list[Alert]:
    """At most one alert per series and kind, the most urgent kinds first; of series with unknown stock none.

    `plan` is a `replenishment.plan.plan_table`. Discontinued items are not to be ordered, so they cannot run out.
    """
    alerts: list[Alert] = []
    for of in _KINDS:
        rows = plan[np.asarray(of.found(plan), dtype=bool)].to_dict("records")
        kind, severity = of.kind.value, of.severity.value
        alerts += [Alert(r[STORE_ID], r[ITEM_ID], kind, severity, of.words(r), _details(r)) for r in rows]
    return alerts


def assessed(plan: pd.DataFrame) -> pd.DataFrame:
    """The series of which the stock is known: of the others no alert can be said to have lost its cause."""
    known = plan[ON_HAND].notna() & plan[ON_ORDER].notna()
    return plan.loc[known, [STORE_ID, ITEM_ID]].reset_index(drop=True)


def _details(row: Row) -> dict[str, Any]:
    return {name: _plain(row[column]) for name, column in _DETAILS.items()}


def _plain(value: Any) -> Any:
    """As JSON has it: dates as text, numbers to four decimals, unknown as None."""
    if pd.isna(value):
        return None
    return str(value.date()) if isinstance(value, pd.Timestamp) else round(float(value), 4)
