"""From canonical tables to the dense panel. The one place where the meaning of an absent row is decided."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.axes import Axes, axes_of
from shelfops_pipeline.data.channels import covariate_channels, holiday_channels, static_attributes
from shelfops_pipeline.data.feed import silent_spells
from shelfops_pipeline.data.panel import Floats, Panel, State, periods_known, with_expected_opening
from shelfops_pipeline.data.prices import last_prices, promoted
from shelfops_pipeline.data.source import Reference
from shelfops_pipeline.data.stockouts import SUSPECTED_STOCKOUT, sold_out, suspected
from shelfops_pipeline.data.store_totals import store_totals
from shelfops_pipeline.errors import DataError


def build_panel(
    dataset: str,
    grain: Grain,
    absence: Literal["zero", "missing"],
    demand: pd.DataFrame,
    reference: Reference,
    inventory: pd.DataFrame | None = None,
    *,
    ahead: int = 0,
) -> Panel:
    """The panel of a retailer.

    `demand` has one row per date, store and item with `quantity` (see `aggregate.daily_demand`). A listed item
    without a row had no demand (`absence="zero"`) or nobody knows (`"missing"`); closed stores, gaps in a store's feed,
    unlisted items and known stockouts are missing, never 0. Without `inventory`, stockouts can only be suspected: a
    past channel (`stockouts.SUSPECTED_STOCKOUT`). Store totals with a longer history come with it as a panel of their
    own. What is expected to go on as it was (opening, prices) reaches `ahead` periods, where no plan or calendar does.
    Raises DataError when there is no demand at all.
    """
    if demand.empty:
        raise DataError(
            f"{dataset}: no valid transactions to build a panel from; `shelfops ingest` says why rows were refused"
        )
    panel = _panel(dataset, grain, absence, demand, reference, inventory, ahead)

    def build(totals: pd.DataFrame, described: Reference) -> Panel:
        return _panel(dataset, grain, "missing", totals, described, None, ahead)

    return replace(panel, store_totals=store_totals(panel, reference, build))


def _panel(
    dataset: str,
    grain: Grain,
    absence: Literal["zero", "missing"],
    demand: pd.DataFrame,
    reference: Reference,
    inventory: pd.DataFrame | None,
    ahead: int,
) -> Panel:
    axes = axes_of(grain, demand, reference, absence, ahead)
    channels, past, kinds = _channels(axes, reference)
    planned = _planned(axes, channels, absence)
    schedule = channels.get(c.OPEN)
    values, state = _demand(axes, demand, absence, channels)
    if c.PRICE in planned:
        start = 0 if absence == "zero" else axes.n_observed
        channels[c.PRICE] = last_prices(channels[c.PRICE], promoted(channels, axes.shape), start)
    if inventory is not None and not inventory.empty:
        _mark_stockouts(axes, inventory, values, state)
    else:
        past |= _suspicion(axes, values, state)
    values[state != State.OBSERVED] = np.nan
    state[:, axes.n_observed :] = State.FUTURE
    order = {name: channels[name] for name in (*c.RESERVED_CHANNELS, *sorted(channels)) if name in channels}
    return Panel(
        dataset=dataset,
        grain=grain,
        store_ids=axes.stores.to_numpy(np.str_)[axes.store_of],
        item_ids=axes.items.to_numpy(np.str_)[axes.item_of],
        dates=axes.dates,
        n_observed=axes.n_observed,
        demand=values,
        state=state,
        channels=order,
        past=past,
        static=static_attributes(axes, reference),
        holiday_kinds=kinds,
        opening_inferred=_inferred(schedule, channels.get(c.OPEN)),
        planned=planned,
    )


def _channels(axes: Axes, reference: Reference) -> tuple[dict[str, Floats], dict[str, Floats], tuple[str, ...]]:
    """Known-future channels, past channels, the kinds of holiday."""
    channels, past = covariate_channels(axes, reference.covariates)
    if not reference.calendar.empty and not _holidays_reach(axes, channels):
        of_calendar, kinds = holiday_channels(axes, reference)
        return channels | of_calendar, past, kinds
    return channels, past, ("1", "2", "3") if c.HOLIDAY in channels else ()


def _planned(axes: Axes, channels: dict[str, Floats], absence: str) -> dict[str, int]:
    """How many periods ahead the channels that go on after their plan were written down."""
    goes_on: list[str] = [name for name in (c.OPEN, c.PRICE) if name in channels]
    planned = {name: periods_known(channels[name][:, axes.n_observed :]) for name in goes_on}
    if absence == "missing" and planned.get(c.PRICE):
        del planned[c.PRICE]  # no price means not on sale, ahead as well: there is none to go on
    return planned


def _inferred(schedule: Floats | None, opening: Floats | None) -> NDArray[np.bool_] | None:
    """[S, T] where the opening does not stand in a schedule; None where all of it does, or stores never close."""
    if opening is None:
        return None
    if schedule is None:
        return np.broadcast_to(np.True_, opening.shape)
    inferred = ~np.isfinite(schedule)
    return inferred if inferred.any() else None


def _demand(
    axes: Axes, demand: pd.DataFrame, absence: str, channels: dict[str, Floats]
) -> tuple[Floats, NDArray[np.uint8]]:
    """Demand and state of every cell. Completes the opening among `channels`, where it is not given."""
    values = np.full(axes.shape, np.nan, dtype=np.float32)
    row, period = axes.rows(demand), axes.periods(demand[c.DATE])
    # Returns can exceed sales; demand itself is never negative.
    values[row, period] = np.maximum(demand[c.QUANTITY].to_numpy(np.float32), 0)
    seen = np.isfinite(values)
    listed = np.maximum.accumulate(seen, axis=1)
    if c.PRICE in channels and absence == "missing":
        listed &= np.isfinite(channels[c.PRICE])
    state = np.where(seen, State.OBSERVED, np.where(listed, State.UNKNOWN, State.NOT_LISTED)).astype(np.uint8)
    if absence == "zero":
        _explain_silence(axes, seen, listed, values, state, channels)
    elif c.OPEN in channels:
        given = channels[c.OPEN]
        channels[c.OPEN] = np.where(np.isfinite(given), given, _opening(axes, given))
    if c.OPEN in channels:
        state[channels[c.OPEN] == 0] = State.CLOSED
    return values, state


def _explain_silence(
    axes: Axes,
    seen: NDArray[np.bool_],
    listed: NDArray[np.bool_],
    values: Floats,
    state: NDArray[np.uint8],
    channels: dict[str, Floats],
) -> None:
    """What a listed item without a row means where no transaction is no demand: 0 in a store that traded, nothing known
    in a gap of the store's feed, else a closed store. Adds the opening, if that is not given."""
    trading = np.zeros((len(axes.stores), axes.shape[1]), dtype=bool)
    np.logical_or.at(trading, axes.store_of, seen)
    past = slice(axes.n_observed)
    gaps = np.zeros_like(trading)
    gaps[:, past] = silent_spells(trading[:, past], _days_off(axes, channels)[:, past], axes.grain)
    meaning = np.where(trading, State.OBSERVED, np.where(gaps, State.UNKNOWN, State.CLOSED)).astype(np.uint8)
    silent = listed & ~seen
    silent[:, axes.n_observed :] = False
    values[silent & trading[axes.store_of]] = 0
    state[silent] = meaning[axes.store_of][silent]
    trading |= gaps  # the store traded, only its feed did not
    if c.OPEN in channels:
        given = channels[c.OPEN]
        channels[c.OPEN] = np.where(np.isfinite(given), given, _opening(axes, trading)[axes.store_of])
    elif not trading[:, past].all():
        channels[c.OPEN] = _opening(axes, trading)[axes.store_of]


def _holidays_reach(axes: Axes, channels: dict[str, Floats]) -> bool:
    """Are holidays given, and some of those to come, if anything is to come?"""
    ahead = slice(axes.n_observed, None)
    return c.HOLIDAY in channels and (
        axes.shape[1] == axes.n_observed or bool(np.isfinite(channels[c.HOLIDAY][:, ahead]).any())
    )


def _days_off(axes: Axes, channels: dict[str, Floats]) -> NDArray[np.bool_]:
    """[n_stores, T] periods in which a store is known to be closed, or has a holiday; a holiday is not a whole week."""
    off = np.zeros((len(axes.stores), axes.shape[1]), dtype=bool)
    _, one = np.unique(axes.store_of, return_index=True)  # opening and holidays are the store's: any of its series
    if c.OPEN in channels:
        off |= channels[c.OPEN][one] == 0
    if c.HOLIDAY in channels and axes.grain is Grain.DAY:
        off |= channels[c.HOLIDAY][one] > 0
    return off


def _opening(axes: Axes, trading: NDArray[np.bool_] | Floats) -> Floats:
    """[n, T] opening where no schedule tells it: as it was, and ahead as expected from recent weeks."""
    known = np.broadcast_to(np.False_, trading.shape)
    return with_expected_opening(trading.astype(np.float32), known, axes.n_observed, axes.grain.season)


def _mark_stockouts(axes: Axes, inventory: pd.DataFrame, values: Floats, state: NDArray[np.uint8]) -> None:
    """Periods in which an item was known to be sold out censor demand."""
    row, period = axes.rows(inventory), axes.periods(inventory[c.DATE])
    inside = (row >= 0) & (period >= 0) & (period < axes.n_observed)
    on_hand = inventory[c.ON_HAND].to_numpy(np.float64)[inside]
    row, period = sold_out(row[inside], period[inside], on_hand, values > 0)
    observed = state[row, period] == State.OBSERVED
    state[row[observed], period[observed]] = State.STOCKOUT


def _suspicion(axes: Axes, values: Floats, state: NDArray[np.uint8]) -> dict[str, Floats]:
    """The past channel of suspected stockouts; there also when none is: a model that learned it looks for it."""
    past = slice(axes.n_observed)
    found = suspected(values[:, past], state[:, past] == State.OBSERVED, axes.store_of, axes.grain)
    channel = np.full(axes.shape, np.nan, dtype=np.float32)
    channel[:, past] = found
    return {SUSPECTED_STOCKOUT: channel}
