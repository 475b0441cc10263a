"""The mapping that the findings amount to, with what is guessed in it and what should be asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import (
    DATE,
    ITEM_ID,
    ON_PROMOTION,
    PRICE,
    QUANTITY,
    RESERVED_CHANNELS,
    STORE_ID,
    TRANSACTION_ID,
    TS,
    UNIT_PRICE,
    Grain,
)
from shelfops_pipeline.data.mapping import REVENUE, UNTIL, Constant, Holidays, Mapping
from shelfops_pipeline.data.source import EVERYWHERE, SUPPLIER_ID
from shelfops_pipeline.data.sources import FACTORIES
from shelfops_pipeline.onboarding.catalog import Catalog
from shelfops_pipeline.onboarding.country import Country, guess_country, known_country
from shelfops_pipeline.onboarding.findings import Columns, Finding, Role, mapped
from shelfops_pipeline.onboarding.meaning import Reading
from shelfops_pipeline.onboarding.others import judge
from shelfops_pipeline.onboarding.plans import covariates
from shelfops_pipeline.onboarding.questions import Place, guesses, questions
from shelfops_pipeline.onboarding.sales import find_sales
from shelfops_pipeline.onboarding.sample import Sample
from shelfops_pipeline.onboarding.shape import Shape, shape_of
from shelfops_pipeline.onboarding.timezone import zone_of
from shelfops_pipeline.onboarding.words import Meaning, slug

_LARGE: Final = 1e5
_FEW: Final = 5
_KNOWN_AHEAD: Final = (Meaning.PROMOTION, Meaning.PRICE, Meaning.OPEN, Meaning.HOLIDAY)


@dataclass
class Proposal:
    """A mapping, and how it came about."""

    mapping: Mapping
    sales: Finding
    findings: list[Finding]
    """Of every table, that of the sales first."""
    shape: Shape
    country: Country | None
    questions: list[str] = field(default_factory=list)
    """What only the retailer can say."""
    comments: dict[Place, str] = field(default_factory=dict)
    """Why an entry is as it is, where that was a guess."""

    def begin(self, first: date) -> None:
        """Correct the first partition by the first sale of all, where only a part of the file was sniffed."""
        monday = first - timedelta(days=first.weekday() if self.mapping.grain is Grain.WEEK else 0)
        self.mapping = self.mapping.model_copy(update={"start_date": monday})


def propose(
    catalog: Catalog, country: str | None = None, region: str | None = None, sales: str | None = None
) -> Proposal:
    """The likeliest mapping of a directory. Raises DataError when it cannot be told which table holds the sales."""
    sold = find_sales(catalog.tables, sales)
    shape = shape_of(sold)
    rest = [judge(table, sold) for table in catalog.tables if table.name != sold.table.name]
    stores = next((f for f in rest if f.role is Role.STORES), None)
    where = known_country(country, region) if country else None
    if where is None and not any(f.role is Role.CALENDAR for f in rest):
        where = guess_country(sold, stores.reading if stores else None, shape)
    return _Draft(catalog, sold, shape, _one_of_each(rest), where, region).finish()


def _one_of_each(findings: Sequence[Finding]) -> list[Finding]:
    """One table of stores, items, suppliers, stock and special days: that which says most."""
    out: list[Finding] = []
    single = (Role.STORES, Role.ITEMS, Role.SUPPLIERS, Role.INVENTORY, Role.CALENDAR)
    for finding in sorted(findings, key=lambda f: (-len(f.columns), -f.table.rows)):
        first = next((f for f in out if f.role is finding.role and f.role in single), None)
        if first is not None:
            finding = Finding(finding.reading, Role.UNUSED, f"{first.table.name} says more of the {first.role}")
        out.append(finding)
    return out


def _large(values: NDArray[np.float64]) -> float:
    """The largest but for a few, which may be the very slips that the rule is to find, or a line of totals; 0: none."""
    few = max(_FEW, len(values) // 1000)
    return float(np.partition(values, -few - 1)[-few - 1]) if len(values) > few else float(values.max(initial=0.0))


class _Draft:
    """Collects the entries of a mapping."""

    def __init__(
        self, catalog: Catalog, sold: Reading, shape: Shape, findings: list[Finding], country: Country | None,
        region: str | None,
    ) -> None:  # fmt: skip
        self.catalog, self.sold, self.shape, self.findings = catalog, sold, shape, findings
        self.country, self.region = country, region
        self.questions: list[str] = []
        self.comments: dict[Place, str] = {}

    def finish(self) -> Proposal:
        """The proposal."""
        content: dict[str, Any] = {"name": self._name(), "grain": self.shape.grain, "target": self._target()}
        content |= {"absence": self.shape.absence, "start_date": self.shape.start_date}
        sales = self._sales()
        content["transactions"] = self._table(sales) | {"rows": self.shape.rows}
        for role, entry in ((Role.STORES, "stores"), (Role.ITEMS, "items"), (Role.INVENTORY, "inventory")):
            if (finding := self._with_ids(role)) is not None:
                content[entry] = self._table(finding)
        content |= self._suppliers()
        content["known_future"] = self._plans(sales)
        ahead = {name for plan in content["known_future"] for name in plan["columns"]}
        content["past"] = self._past(ahead - {DATE, UNTIL, STORE_ID, ITEM_ID})
        if (calendar := self._first(Role.CALENDAR)) is not None:
            content["calendar"] = self._table(calendar)
        content["holidays"] = self._holidays()
        content["rules"] = self._rules()
        self.comments |= guesses(sales, self.shape, self.country)
        self.questions += questions(sales, self.findings, self.country)
        self.questions += [f"{table.name}: {note}" for table in self.catalog.tables for note in table.notes]
        mapping = Mapping.model_validate(content)
        return Proposal(
            mapping, sales, [sales, *self.findings], self.shape, self.country, self.questions, self.comments
        )

    def _name(self) -> str:
        name = slug(self.catalog.folder.resolve().name.lower())
        return f"{name[:32]}_mapped" if name in FACTORIES else name

    def _target(self) -> str:
        return "units" if Meaning.UNITS in self.sold.choices else REVENUE

    def _sales(self) -> Finding:
        told = {TS: Meaning.DATE, STORE_ID: Meaning.STORE, ITEM_ID: Meaning.ITEM, QUANTITY: Meaning.UNITS,
                REVENUE: Meaning.REVENUE, UNIT_PRICE: Meaning.PRICE, TRANSACTION_ID: Meaning.TICKET}  # fmt: skip
        columns = mapped(self.sold, told)
        promotion = self.sold.column(Meaning.PROMOTION)
        if promotion is not None and promotion.is_flag:
            columns[ON_PROMOTION] = promotion.name
        columns.setdefault(STORE_ID, Constant(value=self._name()))
        columns.setdefault(ITEM_ID, Constant(value=EVERYWHERE))
        order = (TS, STORE_ID, ITEM_ID, QUANTITY, REVENUE, UNIT_PRICE, ON_PROMOTION, TRANSACTION_ID)
        columns = {name: columns[name] for name in order if name in columns}
        each = {"transaction": "line of a receipt", "day": "day", "week": "week"}[self.shape.rows]
        return Finding(self.sold, Role.SALES, f"a row per {each}", columns)

    def _first(self, role: Role) -> Finding | None:
        return next((f for f in self.findings if f.role is role), None)

    def _with_ids(self, role: Role) -> Finding | None:
        """The finding of a role; stock without a store or item is that of the one there is."""
        finding = self._first(role)
        if finding is None or role is not Role.INVENTORY:
            return finding
        fixed: Columns = {}
        for meaning, name, value in ((Meaning.STORE, STORE_ID, self._name()), (Meaning.ITEM, ITEM_ID, EVERYWHERE)):
            if name not in finding.columns and meaning in self.sold.choices:
                self._drop(finding, f"stock without a column that says of which {meaning}")
                return None
            if name not in finding.columns:
                fixed[name] = Constant(value=value)
        return self._replace(finding, {**finding.columns, **fixed})

    def _suppliers(self) -> dict[str, Any]:
        finding, items = self._first(Role.SUPPLIERS), self._first(Role.ITEMS)
        if finding is None:
            return {}
        if items is None or SUPPLIER_ID not in items.columns:
            self._drop(finding, "suppliers, but no table says which item is from which")
            return {}
        return {"suppliers": self._table(finding)}

    def _plans(self, sales: Finding) -> list[dict[str, Any]]:
        plans = [f for f in self.findings if f.role is Role.PLAN]
        entries = [self._table(f) | ({"absence": f.absence} if f.absence == "zero" else {}) for f in plans]
        planned = {name for f in plans for name in f.columns}
        if self.shape.complete:
            # A flag that is there only where something was sold would tell the models what was sold.
            known = {choice.column for m in _KNOWN_AHEAD if (choice := self.sold.choices.get(m)) is not None}
            own = {
                name: column
                for name, column in covariates(self.sold).items()
                if (column in known or name in planned) and self.sold.table.columns[str(column)].n_distinct > 1
                and not ({ON_PROMOTION: ON_PROMOTION, PRICE: UNIT_PRICE}.get(name) in sales.columns and name in planned)
            }  # fmt: skip
            if own:
                entries.append(self._table(sales, self._keys(own)))
                self._ask_for_plans([str(column) for name, column in own.items() if name not in planned])
        return entries

    def _ask_for_plans(self, columns: Sequence[str]) -> None:
        if columns:
            names = ", ".join(f"`{column}`" for column in columns)
            self.questions.append(
                f"{self.sold.table.name}: {names} of days to come are not known: prices stay, no promotion is assumed. "
                "Put what is planned into a file of its own"
            )

    def _past(self, planned: set[str]) -> list[dict[str, Any]]:
        entries = []
        for finding in [f for f in self.findings if f.role is Role.PAST]:
            columns = {n: c for n, c in finding.columns.items() if n not in planned and n not in RESERVED_CHANNELS}
            if set(columns) <= {DATE, STORE_ID, ITEM_ID}:
                self._drop(finding, "its columns are known in advance from another table")
                continue
            entries.append(self._table(self._replace(finding, columns)))
        if self.shape.rows != "transaction":
            own = {
                name: column
                for name, column in covariates(self.sold).items()
                if name not in planned and name not in RESERVED_CHANNELS
            }
            if own:
                entries.append(self._table(self._sales(), self._keys(own)))
                names = ", ".join(f"`{column}`" for column in own.values())
                asked = f"{names}: known in advance? Taken as known only afterwards (`past`)"
                self.questions.append(f"{self.sold.table.name}: {asked}")
        return entries

    def _keys(self, own: Columns) -> Columns:
        return mapped(self.sold, {DATE: Meaning.DATE, STORE_ID: Meaning.STORE, ITEM_ID: Meaning.ITEM}) | own

    def _replace(self, finding: Finding, columns: Columns) -> Finding:
        new = Finding(finding.reading, finding.role, finding.why, columns, finding.absence, finding.questions)
        self.findings[self.findings.index(finding)] = new
        return new

    def _drop(self, finding: Finding, why: str) -> None:
        self.findings[self.findings.index(finding)] = Finding(finding.reading, Role.UNUSED, why)

    def _table(self, finding: Finding, columns: Columns | None = None) -> dict[str, Any]:
        used = dict(finding.columns) if columns is None else columns
        return {"files": finding.table.name, "format": self._format(finding, used), "columns": used}

    def _format(self, finding: Finding, used: Columns) -> dict[str, Any]:
        table: Sample = finding.table
        form = table.format.model_dump(exclude_defaults=True)
        dated = [table.columns[str(used[name])] for name in (TS, DATE, UNTIL) if name in used]
        formats = [column.date_format for column in dated if column.date_format is not None]
        if not formats:
            return form
        if formats[0].pattern is not None:
            form["date"] = formats[0].pattern
        if formats[0].has_offset:
            form["timezone"] = zone_of(None if self.country is None else self.country.code)
            self.questions.append(
                f"{table.name}: `{dated[0].name}` has an offset from UTC; days are those of {form['timezone']}. Right?"
            )
        if any(f.open_order for f in formats):
            first = "day" if str(formats[0].pattern).startswith("%d") else "month"
            self.questions.append(
                f"{table.name}: no date in `{dated[0].name}` shows whether day or month is first; took the {first}"
            )
        return form

    def _holidays(self) -> list[Holidays]:
        if self.country is None:
            return []
        everywhere = {region for _, region in self.country.regions}
        only = everywhere.pop() if len(everywhere) == 1 else None
        out = [Holidays(country=self.country.code, region=self.region or only)]
        if only is not None:
            return out
        stores = self._first(Role.STORES)
        attribute = (
            next((n for n, c in stores.columns.items() if c == self.country.attribute), None) if stores else None
        )
        if attribute is not None and self.region is None:
            scopes = [(f"{attribute}:{value}", region) for value, region in self.country.regions]
            out += [Holidays(country=self.country.code, region=region, scope=scope) for scope, region in scopes]
        return out

    def _rules(self) -> dict[str, Any]:
        """Large turnovers are no slips of the keyboard, and rows that are meant to repeat add up."""
        rules: dict[str, Any] = {} if self.shape.key is None else {"unique_key": self.shape.key}
        measure = self.sold.column(Meaning.UNITS) or self.sold.column(Meaning.REVENUE)
        largest = 0.0 if measure is None else _large(np.abs(measure.finite))
        if largest > _LARGE:
            rules["max_quantity"] = float(10 ** np.ceil(np.log10(10 * largest)))
        return rules
