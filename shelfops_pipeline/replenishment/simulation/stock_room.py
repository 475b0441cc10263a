"""A stock room under a policy: deliveries, orders, sales limited by what is there, and what goes bad.

A day goes: what has reached the end of its shelf life is thrown away; deliveries come in; orders are placed, from what
was seen until then; customers buy. First in, first out, so cumulative receipts say what is old: of all that had come by
the day `shelf life` days ago, what has not left by now goes to waste. The loop is over days; a day is arrays of series.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.replenishment.simulation.world import World

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Seen:
    """What a policy may know on the morning of day `today`, after deliveries. Arrays are [n, T]; later days are 0."""

    today: int
    sales: Ints
    sold_out: Bools
    """nothing was left at the end of the day, in an open store: what was wanted is not known"""
    on_hand: Ints
    """[n] now"""
    on_order: Ints
    """[n] now"""


class Policy(Protocol):
    """Decides every morning what to order."""

    def order(self, seen: Seen) -> Ints:
        """[n] units; orders on days that are no order days of the supplier are not placed."""
        ...


@dataclass(frozen=True)
class Ledger:
    """What happened on days `first` to `last` (exclusive), [n, days] each."""

    first: int
    demand: Ints
    sales: Ints
    received: Ints
    wasted: Ints
    on_hand: Ints
    """at the end of the day"""
    ordered: Ints
    opening: Ints
    """[n] on hand before the first day"""

    def since(self, day: int) -> "Ledger":
        """The ledger from `day` on."""
        cut = day - self.first
        parts = {name: getattr(self, name)[:, cut:] for name in _DAILY}
        return Ledger(first=day, opening=self.on_hand[:, cut - 1] if cut else self.opening, **parts)


_DAILY = ("demand", "sales", "received", "wasted", "on_hand", "ordered")


def trade(world: World, policy: Policy, first: int, last: int) -> Ledger:
    """Trade days `first` to `last` (exclusive) from the stock that the retailer's history left; what it had on order
    comes after one lead time."""
    n = len(world.lead)
    history = world.sold.shape[1]
    seen = Seen(
        today=first,
        sales=np.zeros(world.demand.shape, np.int64, order="F"),  # a day is one stretch of memory
        sold_out=np.zeros(world.demand.shape, bool, order="F"),
        on_hand=world.on_hand[:, first - 1].copy(),
        on_order=world.on_order[:, first - 1].copy(),
    )
    before = slice(0, min(first, history))
    seen.sales[:, before] = world.sold[:, before]
    seen.sold_out[:, before] = (world.on_hand[:, before] <= 0) & world.trades[:, before]
    book = _Book(world, first, last, seen.on_hand, seen.on_order)
    ledger = {name: np.zeros((n, last - first), np.int64, order="F") for name in _DAILY}
    opening = seen.on_hand.copy()
    for day in range(first, last):
        at, seen.today = day - first, day
        wasted, received = book.morning(day)
        seen.on_hand = seen.on_hand - wasted + received
        seen.on_order = seen.on_order - received
        placed = np.where(world.terms.order_weekdays[:, _weekday(world, day)], policy.order(seen), 0)
        book.place(day, placed)
        seen.on_order = seen.on_order + placed
        wanted = np.where(world.trades[:, day], world.demand[:, day], 0)
        sold = np.minimum(wanted, seen.on_hand)
        seen.on_hand = seen.on_hand - sold
        book.left += sold
        seen.sales[:, day] = sold
        seen.sold_out[:, day] = (seen.on_hand <= 0) & world.trades[:, day]
        for name, values in zip(_DAILY, (wanted, sold, received, wasted, seen.on_hand, placed), strict=True):
            ledger[name][:, at] = values
    return Ledger(first=first, opening=opening, **ledger)


class _Book:
    """Deliveries that are due, and the cumulative receipts from which ages follow."""

    def __init__(self, world: World, first: int, last: int, on_hand: Ints, on_order: Ints) -> None:
        n, days = len(world.lead), last - first
        self._world, self._first = world, first
        self._rows = np.arange(n)
        self._slack = int((world.lead[:, None] + world.delay[:, first:last]).max()) + 1
        self._due = np.zeros((n, days + self._slack), np.int64, order="F")
        self._due[self._rows, world.lead] = on_order
        self._receipts = np.zeros((n, days + 1), np.int64, order="F")
        self._receipts[:, 0] = on_hand  # as fresh as if it had come the evening before
        self.left = np.zeros(n, np.int64)
        """units sold or thrown away"""

    def morning(self, day: int) -> tuple[Ints, Ints]:
        """(thrown away, received)"""
        at = day - self._first
        expired = at + 1 - self._world.shelf_life  # column of the last receipts that are too old now
        old = np.where(expired >= 0, self._receipts[self._rows, np.maximum(expired, 0)], 0)
        wasted = np.maximum(old - self.left, 0)
        received = self._due[:, at]
        self.left = self.left + wasted
        self._receipts[:, at + 1] = self._receipts[:, at] + received
        return wasted, received

    def place(self, day: int, units: Ints) -> None:
        """Deliver `units` after the lead time and the delay of the day."""
        at = day - self._first + self._world.lead + self._world.delay[:, day]
        self._due[self._rows, at] += units


def _weekday(world: World, day: int) -> int:
    """Monday is 0."""
    return int((world.dates[day].astype("datetime64[D]").astype(np.int64) + 3) % 7)
