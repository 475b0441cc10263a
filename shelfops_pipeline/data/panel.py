"""The dense panel: `[series x time]` arrays with a mask that keeps "no demand" apart from "nobody knows"."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE, Grain
from shelfops_pipeline.errors import DataError

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]


_TOTALS = "store_totals"
_META = {"opening_inferred", "planned", "store_totals"}  # what older releases did not write
_GO_ON = (OPEN, ON_PROMOTION, PRICE)  # as in recent weeks, none, at the last price
_SCHEDULE_WEEKS = 4  # a store that opened on a weekday within so many weeks is expected to open on it again


def expected_opening(past: Floats, ahead: int, season: int) -> Floats:
    """[n, ahead] whether each row will open in the periods after `past` [n, T], by weekday as in recent weeks; a store
    that has never traded is expected to."""
    n, T = past.shape
    recent = np.full((n, _SCHEDULE_WEEKS * season), np.nan, dtype=np.float32)
    used = min(T, recent.shape[1])
    recent[:, recent.shape[1] - used :] = past[:, T - used :]
    opened = (recent.reshape(n, _SCHEDULE_WEEKS, season) > 0).any(axis=1)
    unknown = np.isnan(recent.reshape(n, _SCHEDULE_WEEKS, season)).all(axis=1) | ~(past > 0).any(axis=1, keepdims=True)
    week = (opened | unknown).astype(np.float32)
    return np.tile(week, -(-ahead // season) if ahead else 0)[:, :ahead]


def with_expected_opening(opening: Floats, known: NDArray[np.bool_], n_observed: int, season: int) -> Floats:
    """[n, T] `opening` as it was, and from period `n_observed` on as expected wherever it is not `known` [n, T]."""
    expected = expected_opening(np.asarray(opening[:, :n_observed]), opening.shape[1] - n_observed, season)
    ahead = np.where(known[:, n_observed:], opening[:, n_observed:], expected)
    return np.hstack([opening[:, :n_observed], ahead])


def periods_known(ahead: Floats) -> int:
    """How many of the periods [n, H] lie before the end of what is known of any row."""
    return int(np.flatnonzero(np.isfinite(ahead).any(axis=0)).max(initial=-1)) + 1


class State(IntEnum):
    """Why a cell of the panel holds a demand, or does not."""

    OBSERVED = 0
    NOT_LISTED = 1  # before the first or after the last day on sale, or no price
    CLOSED = 2
    STOCKOUT = 3  # known to be out of stock: demand is censored
    UNKNOWN = 4  # the feed is silent: neither demand nor its absence is known
    FUTURE = 5


@dataclass(frozen=True)
class Static:
    """A static attribute: a code per series into its categories (-1: unknown)."""

    codes: Codes
    categories: tuple[str, ...]


def _recoded(static: Static, wanted: tuple[str, ...]) -> Static:
    position = {category: i for i, category in enumerate(wanted)}
    table = np.array([*(position.get(k, -1) for k in static.categories), -1], dtype=np.int32)
    return Static(table[static.codes], wanted)


@dataclass(frozen=True)
class Panel:
    """A retailer's history and known future.

    Shapes: S series, T = n_observed + known-future periods. `demand` is NaN wherever `state` is not OBSERVED.
    """

    dataset: str
    grain: Grain
    store_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    """[T], one per period; a week is named by its first day."""
    n_observed: int
    """Periods up to and including the last with transactions; the rest is known future."""
    demand: Floats
    state: NDArray[np.uint8]
    channels: dict[str, Floats] = field(default_factory=dict)
    """Known-future channels [S, T]: open, on_promotion, price, holiday (kind code), named covariates. NaN: unknown."""
    past: dict[str, Floats] = field(default_factory=dict)
    """Channels known only up to the origin [S, T]."""
    static: dict[str, Static] = field(default_factory=dict)
    holiday_kinds: tuple[str, ...] = ()
    """Kinds of holiday; code k of the holiday channel is kind k-1, code 0 is none."""
    opening_inferred: NDArray[np.bool_] | None = None
    """[S, T] where the open channel was read off the transactions, for want of a schedule: there it is not known in
    advance. None where it was not, anywhere."""
    planned: dict[str, int] = field(default_factory=dict)
    """How many periods ahead opening and prices were written down, where they were; after that they go on as before."""
    store_totals: Self | None = None
    """What whole stores sold, one series each, where that is known for longer than the series themselves; its last
    observed period is this panel's."""

    @property
    def n_series(self) -> int:
        return len(self.store_ids)

    @property
    def n_periods(self) -> int:
        return len(self.dates)

    @property
    def last_observed(self) -> date:
        return self.dates[self.n_observed - 1].astype("datetime64[D]").item()

    @property
    def known_ahead(self) -> tuple[str, ...]:
        """The channels that a model may rely on: something of the periods ahead is known, or is expected to go on.

        A plan that ends with the sales (a holiday flag that only stands in them) is known too late: who learned from it
        would meet nothing but unknowns."""
        if self.n_periods == self.n_observed:
            return tuple(self.channels)
        return tuple(name for name, periods in self.periods_ahead.items() if periods or name in _GO_ON)

    @property
    def expected_closed(self) -> list[str]:
        """Stores that are not expected to open in any period ahead, where nobody gave a schedule."""
        if self.opening_inferred is None or self.n_periods == self.n_observed:
            return []
        ahead = slice(self.n_observed, None)
        closed = (self.opening_inferred[:, ahead] & (self.channels[OPEN][:, ahead] == 0)).all(axis=1)
        return [str(store) for store in np.unique(self.store_ids[closed])]

    @property
    def periods_ahead(self) -> dict[str, int]:
        """How many periods after the last observed each channel is known, for any of the series; not what is only
        expected to go on as it was."""
        ahead = {name: periods_known(values[:, self.n_observed :]) for name, values in self.channels.items()}
        return {name: min(periods, self.planned.get(name, periods)) for name, periods in ahead.items()}

    def as_of(self, origin: int, horizon: int) -> Self:
        """The panel as it was known when period `origin` had just ended: later demand is hidden, later known-future
        channels are kept for `horizon` periods, as plans of then (`as_served` is stricter). What comes after cannot be
        reached from the result.
        """
        end = min(origin + 1 + horizon, self.n_periods)
        demand = np.array(self.demand[:, :end])
        state = np.array(self.state[:, :end])
        demand[:, origin + 1 :] = np.nan
        state[:, origin + 1 :] = State.FUTURE
        past = {k: np.array(v[:, :end]) for k, v in self.past.items()}
        for values in past.values():
            values[:, origin + 1 :] = np.nan
        channels = {k: v[:, :end] for k, v in self.channels.items()}
        inferred = None if self.opening_inferred is None else self.opening_inferred[:, :end]
        if inferred is not None:
            channels[OPEN] = with_expected_opening(channels[OPEN], ~inferred, origin + 1, self.grain.season)
        return replace(
            self,
            dates=self.dates[:end],
            n_observed=origin + 1,
            demand=demand,
            state=state,
            channels=channels,
            past=past,
            opening_inferred=inferred,
            planned={name: periods + self.n_observed - 1 - origin for name, periods in self.planned.items()},
            store_totals=self._totals_as_of(origin, horizon),
        )

    def _totals_as_of(self, origin: int, horizon: int) -> Self | None:
        if self.store_totals is None:
            return None
        return self.store_totals.as_of(origin + self.store_totals.n_observed - self.n_observed, horizon)

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """The panel of some of its series; without store totals, which are sums of all of them."""
        return replace(
            self,
            store_totals=None,
            store_ids=self.store_ids[rows],
            item_ids=self.item_ids[rows],
            demand=self.demand[rows],
            state=self.state[rows],
            channels={k: v[rows] for k, v in self.channels.items()},
            past={k: v[rows] for k, v in self.past.items()},
            opening_inferred=None if self.opening_inferred is None else self.opening_inferred[rows],
            static={k: Static(s.codes[rows], s.categories) for k, s in self.static.items()},
        )

    def aligned(self, static_categories: Mapping[str, tuple[str, ...]], holiday_kinds: tuple[str, ...]) -> Self:
        """The panel with codes as a model learned them: categories it never saw become unknown (-1), a holiday of an
        unknown kind becomes no holiday. Raises KeyError when an attribute that the model needs is gone.
        """
        static = {name: _recoded(self.static[name], wanted) for name, wanted in static_categories.items()}
        channels = dict(self.channels)
        if HOLIDAY in channels and self.holiday_kinds != holiday_kinds:
            codes = [float(holiday_kinds.index(k) + 1) if k in holiday_kinds else 0.0 for k in self.holiday_kinds]
            table = np.array([0.0, *codes, np.nan], dtype=np.float32)  # -1: nobody knows whether it is one
            channels[HOLIDAY] = table[np.nan_to_num(channels[HOLIDAY], nan=-1).astype(np.intp)]
        return replace(self, static=static, channels=channels, holiday_kinds=holiday_kinds)

    def save(self, folder: Path) -> None:
        """Write one .npy per array and a JSON of the rest, so that `load` can memory-map."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {"demand": self.demand, "state": self.state, "dates": self.dates}
        arrays |= {f"channel.{k}": v for k, v in self.channels.items()}
        arrays |= {f"past.{k}": v for k, v in self.past.items()}
        arrays |= {f"static.{k}": s.codes for k, s in self.static.items()}
        if self.opening_inferred is not None:
            arrays["opening_inferred"] = self.opening_inferred
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values, allow_pickle=False)
        meta = {
            "dataset": self.dataset,
            "grain": self.grain.value,
            "store_ids": self.store_ids.tolist(),
            "item_ids": self.item_ids.tolist(),
            "n_observed": self.n_observed,
            "channels": list(self.channels),
            "past": list(self.past),
            "static": {k: list(s.categories) for k, s in self.static.items()},
            "holiday_kinds": list(self.holiday_kinds),
            "opening_inferred": self.opening_inferred is not None,
            "planned": self.planned,
            "store_totals": self.store_totals is not None,
        }
        (folder / "panel.json").write_text(json.dumps(meta))
        if self.store_totals is not None:
            self.store_totals.save(folder / _TOTALS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a saved panel, memory-mapped: arrays are read when touched. Raises DataError when another release of
        ShelfOps wrote it."""
        meta = json.loads((folder / "panel.json").read_text())
        if absent := sorted(_META - meta.keys()):
            missing = ", ".join(absent)
            raise DataError(f"{folder} was written by an older release (no {missing}); materialize `panel` again")

        def read(name: str) -> NDArray[Any]:
            return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

        return cls(
            dataset=meta["dataset"],
            grain=Grain(meta["grain"]),
            store_ids=np.array(meta["store_ids"], dtype=np.str_),
            item_ids=np.array(meta["item_ids"], dtype=np.str_),
            dates=np.array(read("dates")),
            n_observed=meta["n_observed"],
            demand=read("demand"),
            state=read("state"),
            channels={k: read(f"channel.{k}") for k in meta["channels"]},
            past={k: read(f"past.{k}") for k in meta["past"]},
            static={k: Static(np.array(read(f"static.{k}")), tuple(c)) for k, c in meta["static"].items()},
            holiday_kinds=tuple(meta["holiday_kinds"]),
            opening_inferred=read("opening_inferred") if meta["opening_inferred"] else None,
            planned=meta["planned"],
            store_totals=cls.load(folder / _TOTALS) if meta["store_totals"] else None,
        )
