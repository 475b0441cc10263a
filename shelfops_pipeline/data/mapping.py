"""The YAML that describes a retailer's own tables: `shelfops onboard` writes it, the `mapped` source reads it.

A mapping names files or queries, and says which of their columns is what. Secrets stay out of it: `${NAME}` in a
URL is taken from the environment when it is used.
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    KIND,
    KNOWN_FUTURE,
    LEAD_TIME_DAYS,
    LEAD_TIME_SD,
    LINE,
    NAME,
    ON_HAND,
    ON_ORDER,
    ON_PROMOTION,
    PRICE,
    QUANTITY,
    RESERVED_CHANNELS,
    SCOPE,
    SOURCE,
    STORE_ID,
    STORE_TOTAL,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    VALUE,
    Grain,
)
from shelfops_pipeline.data.source import CUTOFF_HOUR, ORDER_WEEKDAYS, SUPPLIER_ID
from shelfops_pipeline.data.text_format import Format, Part
from shelfops_pipeline.errors import DataError

REVENUE: Final = "revenue"
UNTIL: Final = "until"
_NO_COVARIATES: Final = (TS, QUANTITY, REVENUE, TRANSACTION_ID, UNIT_PRICE, SOURCE, LINE, NAME, VALUE, KNOWN_FUTURE)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Constant(Part):
    """One value for every row, where the table has no such column: `store_id: {value: web}`."""

    value: str | float


Column = Annotated[str | Constant, Field(union_mode="left_to_right")]
"""The name of a column of the retailer's table, or a constant."""


class Query(Part):
    """A query of any database that SQLAlchemy speaks to."""

    url: str = Field(description="SQLAlchemy URL; keep the password out of the file: ${SHOP_DATABASE_URL}")
    query: str = Field(description="A SELECT; `:start` and `:end` stand for the first and last day that is read")


class Table(Part):
    """Where a table is, how it is written, and which of its columns is what."""

    files: str | None = Field(
        None, description="Glob below --data, or an fsspec URL such as s3://bucket/sales/*.parquet"
    )
    sql: Query | None = None
    format: Format = Format()
    columns: dict[str, Column] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.files is None) == (self.sql is None):
            raise ValueError("say either `files` or `sql`")
        if all(isinstance(column, Constant) for column in self.columns.values()):
            raise ValueError("every column is a constant: nothing is read")
        return self

    @field_validator("columns")
    @classmethod
    def _plain_names(cls, columns: dict[str, Column]) -> dict[str, Column]:
        odd = [name for name in columns if not _NAME.fullmatch(name)]
        if odd:
            raise ValueError(f"{odd[0]!r} cannot be a name here; use small letters, digits and _, and a letter first")
        return columns

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns that are neither dates nor ids."""
        return tuple(name for name in self.columns if name not in (DATE, UNTIL, STORE_ID, ITEM_ID))

    def need(self, what: str, *names: str) -> None:
        """Raises ValueError unless every one of `names` is mapped."""
        absent = [name for name in names if name not in self.columns]
        if absent:
            raise ValueError(f"{what}: columns.{absent[0]} is not mapped; mapped: {', '.join(self.columns)}")

    def refuse_others(self, what: str, *known: str) -> None:
        """Raises ValueError when a column outside `known` is mapped."""
        odd = [name for name in self.columns if name not in known]
        if odd:
            raise ValueError(f"{what}: columns.{odd[0]} is unknown; known: {', '.join(known)}")


class Transactions(Table):
    """What was sold. `rows` says what one row is: a line of a receipt, a day's total or a week's."""

    rows: Literal["transaction", "day", "week"] = "day"


class Plan(Table):
    """What is known in advance. A row holds on its `date`, or on every day from `date` to `until`."""

    absence: Literal["zero", "missing"] = Field(
        "missing", description="What a day without a row means: 0 (a list of promotions), or nobody knows"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_a_table(cls, value: Any) -> Any:
        return value.model_dump() if type(value) is Table else value

    @model_validator(mode="after")
    def _price_is_never_zero(self) -> Self:
        if self.absence == "zero" and PRICE in self.columns:
            raise ValueError("absence is zero, but columns.price is mapped: nothing is free for want of a row")
        return self


class Holidays(Part):
    """Public holidays of a country (and region) by the `holidays` package."""

    country: str = Field(description="ISO 3166 code, such as AT")
    region: str | None = Field(None, description="Subdivision code, such as 9 (Vienna) or BY (Bavaria)")
    scope: str = Field("all", description="all stores, or `<store attribute>:<value>`")
    categories: tuple[str, ...] = ("public",)

    @field_validator("country", mode="before")
    @classmethod
    def _norway(cls, code: Any) -> Any:
        return "NO" if code is False else code  # so YAML reads it without quotes


class Rules(Part):
    """What the validation gate should know; see `data.source.RowRules`."""

    unique_key: tuple[str, ...] | None = None
    item_pattern: str | None = None
    items_complete: bool = False
    free_items: bool = True
    max_quantity: float = Field(1e6, gt=0)
    tolerated_share: float = Field(0.0, ge=0, le=1)

    @field_validator("item_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return pattern


class Mapping(Part):
    """A retailer, described."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="Name of the data set, its home and its models")
    grain: Grain = Grain.DAY
    target: Literal["units", "revenue"] = Field("units", description="What is forecast")
    absence: Literal["zero", "missing"] = Field(
        "zero", description="What no row of a listed item means: no demand, or nobody knows"
    )
    start_date: date | None = Field(None, description="First partition; unset: SHELFOPS_START_DATE")
    transactions: Transactions
    stores: Table | None = None
    items: Table | None = None
    suppliers: Table | None = None
    inventory: Table | None = None
    known_future: tuple[Plan, ...] = Field((), description="Plans: price, on_promotion, open, and columns of any name")
    past: tuple[Table, ...] = Field((), description="Covariates that are known only afterwards")
    calendar: Table | None = None
    holidays: tuple[Holidays, ...] = ()
    rules: Rules = Rules()

    @property
    def quantity_column(self) -> str:
        """The mapped column that becomes `quantity`."""
        return QUANTITY if self.target == "units" else REVENUE

    @model_validator(mode="after")
    def _complete(self) -> Self:
        sold = (TS, STORE_ID, ITEM_ID, QUANTITY, REVENUE, UNIT_PRICE, ON_PROMOTION, TRANSACTION_ID)
        self.transactions.need("transactions", TS, STORE_ID, ITEM_ID, self.quantity_column)
        self.transactions.refuse_others("transactions", *sold)
        if self.transactions.rows == "week" and self.grain is Grain.DAY:
            raise ValueError("transactions.rows is week, but grain is day: a week cannot be split into days")
        if self.stores is not None:
            self.stores.need("stores", STORE_ID)
        if self.items is not None:
            self.items.need("items", ITEM_ID)
        if self.suppliers is not None:
            self.suppliers.need("suppliers", SUPPLIER_ID)
            self.suppliers.refuse_others("suppliers", SUPPLIER_ID, ORDER_WEEKDAYS, CUTOFF_HOUR)
        if self.inventory is not None:
            self.inventory.need("inventory", DATE, STORE_ID, ITEM_ID, ON_HAND)
            counts = (ON_HAND, ON_ORDER, LEAD_TIME_DAYS, LEAD_TIME_SD)
            self.inventory.refuse_others("inventory", DATE, STORE_ID, ITEM_ID, *counts)
        if self.calendar is not None:
            self.calendar.need("calendar", DATE, NAME)
            self.calendar.refuse_others("calendar", DATE, NAME, KIND, SCOPE)
        self._covariates_are_clear()
        self._key_is_clear()
        return self

    def _key_is_clear(self) -> None:
        """A duplicate is looked for among the rows of a period, by columns that these have under such names."""
        key = self.rules.unique_key or ()
        known = [name for name in dict.fromkeys((*self.transactions.columns, QUANTITY)) if name != REVENUE]
        odd = [name for name in key if name not in (*known, SOURCE, LINE)]
        if odd:
            raise ValueError(f"rules.unique_key: {odd[0]} is none of the mapped columns: {', '.join(known)}")
        if key and TS not in key:
            raise ValueError(f"rules.unique_key: {TS} is missing: rows of different periods are never compared")

    def _covariates_are_clear(self) -> None:
        """Every covariate table has a date and at least one covariate; a name is known in advance, or it is not."""
        planned = [(f"known_future.{i}", table, (DATE, UNTIL)) for i, table in enumerate(self.known_future)]
        seen = [(f"past.{i}", table, (DATE,)) for i, table in enumerate(self.past)]
        for what, table, dates in planned + seen:
            table.need(what, DATE)
            if not table.covariates:
                raise ValueError(f"{what}: no column besides {', '.join(table.columns)} is mapped: nothing to know")
            odd = [n for n in table.columns if n in _NO_COVARIATES or (n == UNTIL and UNTIL not in dates)]
            if odd:
                raise ValueError(f"{what}: columns.{odd[0]} cannot be a covariate; a planned price is `{PRICE}`")
        ahead = {name for _, table, _ in planned for name in table.covariates}
        both = ahead.intersection(name for _, table, _ in seen for name in table.covariates)
        reserved = {name for _, table, _ in seen for name in table.covariates}.intersection(RESERVED_CHANNELS)
        if both or reserved:
            name = sorted(both | reserved)[0]
            raise ValueError(f"past: columns.{name} {'is in known_future too' if both else 'belongs in known_future'}")
        if STORE_TOTAL in ahead:
            raise ValueError(f"known_future: columns.{STORE_TOTAL} belongs in past")
        for what, table, _ in seen:
            if STORE_TOTAL in table.covariates and (STORE_ID not in table.columns or ITEM_ID in table.columns):
                raise ValueError(f"{what}: {STORE_TOTAL} is of whole stores: map columns.store_id, and no item_id")


def load_mapping(path: Path) -> Mapping:
    """Read a mapping. Raises DataError naming the file, the entry and what is wrong with it."""
    try:
        content: Any = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a mapping is expected; write one with `shelfops onboard DIR --out {path.name}`")
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise DataError(f"{path}{f', {where}' if where else ''}: {reason}{more}") from error


def dump_mapping(mapping: Mapping) -> str:
    """The mapping as YAML, without what is at its default."""
    content = mapping.model_dump(mode="json", exclude_defaults=True)
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    return text
