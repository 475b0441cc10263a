"""The simulated retailer as a source: the embedded default, and the one whose true demand is known."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd

from shelfops_pipeline.contracts.columns import DATE, KNOWN_FUTURE, QUANTITY, TS, Grain
from shelfops_pipeline.data.simulator import Simulator
from shelfops_pipeline.data.source import Reference, RowRules
from shelfops_pipeline.data.tables import between
from shelfops_pipeline.errors import DataError

LIVE_DAYS: Final = 365
"""How long a live retailer can go on trading."""
_LATE, _SLIPPED = 0.005, 0.005  # shares of rows that come a day or two late, or are corrected two days later
_CORRECTED_AFTER = np.timedelta64(2, "D")


class Simulated:
    """A `Simulator` behind the `Source` interface; it runs when first read."""

    name = "simulated"
    grain = Grain.DAY
    absence: Literal["zero", "missing"] = "zero"
    rules = RowRules(items_complete=True)
    incremental = False
    weekly_rows = False

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def span(self) -> tuple[date, date]:
        """First and last simulated day of trade."""
        return self.simulator.start, self.simulator.end

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """Daily rows of every listed item in every open store, zero sales and a little dirt included."""
        return between(self.simulator.transactions, start, end)

    def inventory(self, start: date, end: date) -> pd.DataFrame:
        """Stock at the end of each day."""
        return between(self.simulator.inventory, start, end, DATE)

    def reference(self) -> Reference:
        """Everything that describes the retailer, with plans beyond the last day."""
        world = self.simulator
        return Reference(
            stores=world.stores_table,
            items=world.items_table,
            calendar=world.calendar,
            covariates=world.covariates,
            suppliers=world.suppliers,
        )


@dataclass(frozen=True)
class Clock:
    """The last day that a live retailer has traded, kept in a file."""

    path: Path
    first: date

    def today(self) -> date:
        """`first` until somebody sets another day."""
        if not self.path.exists():
            return self.first
        return date.fromisoformat(json.loads(self.path.read_text())["today"])

    def set(self, today: date) -> None:
        """Raises OSError when the file cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.draft")
        draft.write_text(json.dumps({"today": today.isoformat()}))
        draft.replace(self.path)


class LiveSimulated(Simulated):
    """A simulated retailer that trades one more day whenever it is told to, as its feed would tell it.

    Some rows come a day or two late, and some are wrong at first. Nothing after today can be seen but plans.
    """

    incremental = True

    def __init__(self, simulator: Simulator, clock: Clock) -> None:
        super().__init__(simulator)
        self._clock = clock

    def advance(self) -> date:
        """Trade one more day; returns it. Raises DataError when there is none left before the real today."""
        tomorrow = self._clock.today() + timedelta(days=1)
        if tomorrow > self.simulator.end or tomorrow >= date.today():
            raise DataError(
                f"the simulated retailer has traded up to {self._clock.today()} and can go no further; "
                f"remove {self._clock.path} to start over"
            )
        self._clock.set(tomorrow)
        return tomorrow

    def span(self) -> tuple[date, date]:
        """First day, and the last that has been traded so far."""
        return self.simulator.start, self._clock.today()

    def transactions(self, start: date, end: date) -> pd.DataFrame:
        """The rows that have arrived by today, as they are known today."""
        frame, today = self._rows, np.datetime64(self._clock.today(), "D")
        day = frame[TS].to_numpy("datetime64[D]")
        arrived = (day >= np.datetime64(start)) & (day <= np.datetime64(end)) & (self._arrival <= today)
        rows = frame[arrived].reset_index(drop=True)
        wrong = self._slipped[arrived] & (day[arrived] + _CORRECTED_AFTER > today)
        rows.loc[wrong, QUANTITY] += 1
        return rows

    def inventory(self, start: date, end: date) -> pd.DataFrame:
        """Stock at the end of each day up to today."""
        return super().inventory(start, min(end, self._clock.today()))

    def reference(self) -> Reference:
        """As known today: plans as far ahead as the planner looks, all else up to today."""
        whole, today = super().reference(), self._clock.today()
        ahead = today + timedelta(days=self.simulator.future_days)
        first = self.simulator.start
        return Reference(
            stores=whole.stores,
            items=whole.items,
            calendar=between(whole.calendar, first, ahead, DATE),
            covariates=[
                between(f, first, ahead if bool(f[KNOWN_FUTURE].iloc[0]) else today, DATE) for f in whole.covariates
            ],
            suppliers=whole.suppliers,
        )

    @cached_property
    def _rows(self) -> pd.DataFrame:
        return self.simulator.transactions

    @cached_property
    def _arrival(self) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
        """The day on which each row reaches the feed [n]."""
        rng = np.random.default_rng([self.simulator.seed, 100])
        late = np.where(rng.random(len(self._rows)) < _LATE, rng.integers(1, 3, len(self._rows)), 0)
        return self._rows[TS].to_numpy("datetime64[D]") + late.astype("timedelta64[D]")

    @cached_property
    def _slipped(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Rows that are one unit too high at first [n]."""
        rng = np.random.default_rng([self.simulator.seed, 101])
        return rng.random(len(self._rows)) < _SLIPPED
