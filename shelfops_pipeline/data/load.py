"""From a source straight to the panel, in memory: the path of `shelfops forecast` and `shelfops backtest`."""

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.axes import LONGEST_AHEAD
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.source import Reference, Source
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.gate.validation import ValidationResult, check_training_data, validate_transactions


@dataclass(frozen=True)
class Loaded:
    """A panel and what the gates made of the rows behind it."""

    panel: Panel
    validation: ValidationResult


def load_panel(source: Source, max_quarantined_share: float) -> Loaded:
    """Read everything, validate it, and build the panel. Raises DataError as the gates do."""
    start, end = source.span()
    reference = source.reference()
    result = validate_transactions(
        source.transactions(start, end),
        reference,
        source.rules,
        last_date=end,
        max_quarantined_share=max_quarantined_share,
    )
    panel = panel_from(source, reference, result.valid, source.inventory(start, end))
    return Loaded(panel, result)


def panel_from(source: Source, reference: Reference, valid: pd.DataFrame, inventory: pd.DataFrame | None) -> Panel:
    """The panel of validated transactions: summed to the grain and through the training-data gate."""
    demand = check_training_data(daily_demand(valid, source.grain))
    return build_panel(source.name, source.grain, source.absence, demand, reference, inventory, ahead=LONGEST_AHEAD)


def origin_of(panel: Panel, as_of: date | None, *, weekly_rows: bool = False) -> int:
    """The last period that is known on the evening of `as_of`; default: the last observed.

    A week of daily rows is known when it is over: what `as_of` cuts off it lies in the future. With `weekly_rows` a
    week is a row, known with its date. Raises DataError outside the history.
    """
    if as_of is None:
        return panel.n_observed - 1
    width = panel.grain.days
    needed = 1 if weekly_rows else width
    first, last = panel.dates[0].astype("datetime64[D]").item(), panel.last_observed
    if not first <= as_of <= last + timedelta(days=width - 1):
        raise DataError(f"--as-of {as_of} is outside the history of {panel.dataset}, {first} to {last}")
    over = ((as_of - first).days + 1 - needed) // width
    if over < 0:
        raise DataError(f"--as-of {as_of} is in the first week of {panel.dataset}, which begins on {first}")
    return over
