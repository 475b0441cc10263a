"""Stock alerts: which series need a planner's eye today, and why."""

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.reorder import ReorderPlan, Stock
from shelfops_pipeline.store.replenishment_records import Alert

_OVERSTOCK_FACTOR = 4.0  # stock position against the order-up-to level


def stock_alerts(
    store_ids: NDArray[np.str_], item_ids: NDArray[np.str_], stock: Stock, plan: ReorderPlan, service_level: float
) -> list[Alert]:
    """At most one alert per series, the most urgent: out of stock soon, reorder now, or too much stock."""
    position = stock.on_hand + stock.on_order
    risk = plan.stockout_probability > 0.5
    reorder = ~risk & (plan.stockout_probability > 1 - service_level)
    over = (position > _OVERSTOCK_FACTOR * np.maximum(plan.order_up_to, 1)) & ~risk & ~reorder
    alerts: list[Alert] = []
    for kind, severity, chosen in (
        ("stockout_risk", "high", risk),
        ("reorder_now", "medium", reorder),
        ("overstock", "low", over),
    ):
        alerts += [
            Alert(
                store_id=str(store_ids[s]),
                item_id=str(item_ids[s]),
                kind=kind,
                severity=severity,
                message=_message(kind, stock, plan, s),
                details={
                    "on_hand": float(stock.on_hand[s]),
                    "on_order": float(stock.on_order[s]),
                    "order_up_to": float(plan.order_up_to[s]),
                    "order_quantity": float(plan.quantity[s]),
                    "stockout_probability": round(float(plan.stockout_probability[s]), 4),
                    "days_of_supply": float(plan.days_of_supply[s]),
                },
            )
            for s in np.flatnonzero(chosen).tolist()
        ]
    return alerts


def _message(kind: str, stock: Stock, plan: ReorderPlan, s: int) -> str:
    have = f"{stock.on_hand[s]:.0f} on hand and {stock.on_order[s]:.0f} on order"
    if kind == "overstock":
        return f"{have}, far above the order-up-to level of {plan.order_up_to[s]:.0f}"
    chance = f"{100 * plan.stockout_probability[s]:.0f} %"
    return f"{have}: out of stock before a delivery with probability {chance}; order {plan.quantity[s]:.0f}"
