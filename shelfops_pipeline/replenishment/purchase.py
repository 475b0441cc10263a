"""From a plan to the lines that are proposed to be ordered."""

import pandas as pd

from shelfops_pipeline.contracts.columns import ITEM_ID, QUANTITY, REASON, STORE_ID
from shelfops_pipeline.data.source import SUPPLIER_ID
from shelfops_pipeline.store.replenishment_tables import DELIVERY_DATE, ORDER_DATE, UNIT_COST

LINE = [STORE_ID, ITEM_ID, SUPPLIER_ID, ORDER_DATE, DELIVERY_DATE, QUANTITY, UNIT_COST, REASON]


def order_lines(plan: pd.DataFrame) -> pd.DataFrame:
    """The series of a plan of which something is to be ordered, as `store.propose` takes them."""
    return plan.loc[plan[QUANTITY] > 0, LINE].reset_index(drop=True)


def assessed_lines(plan: pd.DataFrame) -> pd.DataFrame:
    """The series of which the plan knows how much is to be ordered, be it nothing."""
    return plan.loc[plan[QUANTITY].notna(), [STORE_ID, ITEM_ID]].reset_index(drop=True)
