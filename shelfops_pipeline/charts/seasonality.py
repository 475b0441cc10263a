"""Seasonality: demand over time, by weekday and by month of each year. A picture, by seaborn."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.charts.panel_sums import Totals, period_totals
from shelfops_pipeline.charts.pictures import (
    BLUES,
    body_top,
    date_axis,
    empty_picture,
    new_picture,
    panel_heading,
    picture_style,
    ranges,
    unit_axis,
)
from shelfops_pipeline.charts.theme import LINE, MUTED, PRIMARY
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Panel

TITLE: Final = "Seasonality"
MOST_YEARS: Final = 4
_WEEKDAYS: Final = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
Doubles = NDArray[np.float64]


def seasonality(panel: Panel) -> Any:
    """Total demand per period with its rolling mean, its weekday profile (daily data), and months by year.

    Profiles are of the mean over the series whose demand is known, so that closures, gaps and a growing assortment do
    not look like seasons. Returns a matplotlib Figure.
    """
    totals = period_totals(panel)
    if not (totals.demand > 0).any():
        return empty_picture(TITLE, "No demand is known: nothing was sold, or nothing was observed.")
    daily = panel.grain is Grain.DAY
    with picture_style():
        span = (
            f"{panel.dates[0].astype('datetime64[D]')} to {panel.dates[panel.n_observed - 1].astype('datetime64[D]')}"
        )
        caption = f"{panel.dataset}: {panel.n_series:,} series, {panel.n_observed:,} {panel.grain}s, {span}"
        fig = new_picture(TITLE, f"{caption}; periods without any known demand are left out", 7.6)
        grid = fig.add_gridspec(2, 2, top=body_top(fig), bottom=0.08, left=0.08, right=0.97, hspace=0.5, wspace=0.2)
        _over_time(fig.add_subplot(grid[0, :]), totals, panel.grain)
        if daily:
            _by_weekday(fig.add_subplot(grid[1, 0]), totals)
        _by_month(fig.add_subplot(grid[1, 1] if daily else grid[1, :]), totals, panel.grain)
    return fig


def _over_time(ax: Any, totals: Totals, grain: Grain) -> None:
    import seaborn as sns

    window = 28 if grain is Grain.DAY else 8
    series = pd.Series(np.where(totals.known > 0, totals.demand, np.nan), index=pd.DatetimeIndex(totals.dates))
    smooth = series.rolling(window, center=True, min_periods=window // 2).mean()
    ax.plot(series.index, series, color=LINE, linewidth=0.9, label=f"each {grain}")
    sns.lineplot(x=smooth.index, y=smooth.to_numpy(), ax=ax, color=PRIMARY, linewidth=2, label=f"mean of {window}")
    ax.set(xlabel="", ylabel=f"Units per {grain}", xlim=(series.index[0], series.index[-1]))
    unit_axis(ax, float(series.max()))
    date_axis(ax)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    panel_heading(ax, "Total demand", "all series added up")


def _by_weekday(ax: Any, totals: Totals) -> None:
    """Each day over the mean of the seven days around it."""
    mean = pd.Series(totals.mean)
    share = (mean / mean.rolling(7, center=True, min_periods=4).mean()).to_numpy()
    weekday = pd.DatetimeIndex(totals.dates).dayofweek.to_numpy()
    kept = np.isfinite(share)
    frame = pd.DataFrame({"weekday": np.asarray(_WEEKDAYS)[weekday[kept]], "share": share[kept]})
    ranges(ax, frame, x="weekday", y="share", order=_WEEKDAYS)
    ax.axhline(1, color=MUTED, linewidth=0.8, linestyle=":")
    ax.set(xlabel="", ylabel="Demand over that of its week")
    ax.set_ylim(bottom=0)
    panel_heading(ax, "By weekday", "thick: middle half of the days; thin: 90 %")


def _by_month(ax: Any, totals: Totals, grain: Grain) -> None:
    import seaborn as sns

    dates = pd.DatetimeIndex(totals.dates)
    frame = pd.DataFrame({"year": dates.year, "month": dates.month, "demand": totals.demand, "known": totals.known})
    frame = frame[frame["year"] > frame["year"].max() - MOST_YEARS]
    sums = frame.groupby(["year", "month"])[["demand", "known"]].sum().reset_index()
    sums = sums[sums["known"] > 0].assign(mean=lambda f: f["demand"] / f["known"])
    years = sorted(sums["year"].unique())
    palette = dict(zip(years, BLUES[-len(years) :], strict=True))
    sns.lineplot(
        sums, x="month", y="mean", hue="year", palette=palette, ax=ax, marker="o", markeredgewidth=0, errorbar=None
    )
    ax.set(xlabel="", ylabel=f"Units per series and {grain}", xlim=(0.6, 12.4))
    ax.set_xticks(range(1, 13), _MONTHS)
    unit_axis(ax, float(sums["mean"].max()))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=MOST_YEARS, title=None)
    panel_heading(ax, "By month")
