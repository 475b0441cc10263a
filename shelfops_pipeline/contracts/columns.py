"""Column names and enumerations that more than one room uses. No other module spells them as string literals."""

from enum import StrEnum
from typing import Final

STORE_ID: Final = "store_id"
ITEM_ID: Final = "item_id"
DATE: Final = "date"
TS: Final = "ts"
QUANTITY: Final = "quantity"
UNIT_PRICE: Final = "unit_price"
ON_PROMOTION: Final = "on_promotion"
TRANSACTION_ID: Final = "transaction_id"
CATEGORY: Final = "category"
"""Attribute of items that says which of them are alike."""

# Long covariate table: one row per (date, scope, name).
NAME: Final = "name"
VALUE: Final = "value"
KNOWN_FUTURE: Final = "known_future"
# Calendar table.
SCOPE: Final = "scope"
KIND: Final = "kind"

# Reserved covariate names: the planner can change them in a what-if, and the panel gives them a meaning.
PRICE: Final = "price"
OPEN: Final = "open"
HOLIDAY: Final = "holiday"
HOLIDAY_DAYS: Final = "holiday_days"
"""Of weekly data: how many days of the week are holidays. The week itself has the kind of one of them."""
STORE_TOTAL: Final = "store_total"
"""Past covariate by store: what the whole store sold, also before its items are known. A history, not a feature."""
RESERVED_CHANNELS: Final = (OPEN, ON_PROMOTION, PRICE, HOLIDAY)

# Inventory table.
ON_HAND: Final = "on_hand"
ON_ORDER: Final = "on_order"
LEAD_TIME_DAYS: Final = "lead_time_days"
LEAD_TIME_SD: Final = "lead_time_sd"

# Forecast table.
MEAN: Final = "mean"
POINT: Final = "point"
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
QUANTILE_COLUMNS: Final = ("q05", "q25", "q50", "q75", "q95")
FORECAST_COLUMNS: Final = (STORE_ID, ITEM_ID, DATE, MEAN, POINT, *QUANTILE_COLUMNS)
ORIGIN: Final = "origin"
MODEL: Final = "model"
ACTUAL: Final = "y"
BACKTEST_COLUMNS: Final = (*FORECAST_COLUMNS, ORIGIN, MODEL, ACTUAL)

# Totals of the forecast table: LEVEL says of what, and an id that a level does not have is empty.
LEVEL: Final = "level"

# Score table: one row per tier, group, model and metric (VALUE is its value).
TIER: Final = "tier"
BY: Final = "by"
GROUP: Final = "group"
METRIC: Final = "metric"
COUNT: Final = "n"
WHY: Final = "why"
SCORE_COLUMNS: Final = (TIER, BY, GROUP, MODEL, METRIC, VALUE, COUNT, WHY)

# Where a raw row came from, and the quarantine table.
SOURCE: Final = "source"
LINE: Final = "line"
UNREADABLE: Final = "unreadable"
"""Optional column of raw transactions: the cells of a row that could not be read, as a JSON object {column: text}; None
where all could. The cell itself is NaN or NaT."""
FILED: Final = "filed"
"""Optional column of raw transactions: the day under which a row is filed, where its own date cannot be right (missing,
unreadable, before 1990, after today): that of the nearest line before it with a date, else after it. Equal to the day
of `ts` for the others. Rows of a query, which have no order, are filed under the first day."""
REASON: Final = "reason"
FINGERPRINT: Final = "fingerprint"
"""sha256 of a quarantined row's source, line and content: by this it is released."""


class Tier(StrEnum):
    """How much history a model needs."""

    COLD_START = "cold_start"
    PRODUCTION = "production"


class Grain(StrEnum):
    """Length of one period; one per retailer."""

    DAY = "day"
    WEEK = "week"

    @property
    def days(self) -> int:
        """Days in a period."""
        return 7 if self is Grain.WEEK else 1

    @property
    def season(self) -> int:
        """Periods in a week, over which days repeat; weeks repeat only over a year."""
        return 7 // self.days


class TotalLevel(StrEnum):
    """What is added up to a total, per period."""

    ALL = "all"
    STORE = "store"
    CATEGORY = "category"
    STORE_CATEGORY = "store_category"


class Metric(StrEnum):
    """The loss for which the `point` column is optimal."""

    MAE = "mae"
    RMSE = "rmse"
    RMSLE = "rmsle"
    RMSPE = "rmspe"


class Status(StrEnum):
    """Where a model version stands in its life."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    ARCHIVED = "archived"
