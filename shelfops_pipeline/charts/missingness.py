"""Missingness map: what is known of the demand over time, and in which store it is not."""

from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.charts.numbers import percent
from shelfops_pipeline.charts.panel_sums import known_by_store, state_shares
from shelfops_pipeline.charts.pictures import (
    body_top,
    date_axis,
    empty_picture,
    new_picture,
    panel_heading,
    picture_style,
)
from shelfops_pipeline.charts.theme import DANGER, GRID, PRIMARY, shorten
from shelfops_pipeline.data.panel import Panel

TITLE: Final = "Missingness map"
MOST_STORES: Final = 30
MOST_COLUMNS: Final = 120
_STATES: Final = {
    "observed": ("Known", "#60A5FA"),
    "closed": ("Closed", "#D1D5DB"),
    "stockout": ("Out of stock", "#D97706"),
    "unknown": ("Feed is silent", DANGER),
    "not_listed": ("Not on sale", GRID),
}


def missingness(panel: Panel) -> Any:
    """Shares of the series by state of their demand over time; below, by store, how much of what was on sale is known.

    Of many stores, those with the least known demand are shown. Returns a matplotlib Figure.
    """
    if panel.n_observed == 0 or panel.n_series == 0:
        return empty_picture(TITLE, "The panel is empty.")
    shares, stores = state_shares(panel), known_by_store(panel, MOST_COLUMNS)
    worst = stores.mean(axis=1).sort_values(kind="stable").index[:MOST_STORES]
    shown = stores.loc[[s for s in stores.index if s in set(worst)]]
    height = 5.2 + 0.21 * max(len(shown), 4)
    with picture_style():
        known = float(shares["observed"].mean())
        caption = f"{panel.dataset}: {panel.n_series:,} series; demand is known of {percent(known)} of all cells"
        fig = new_picture(TITLE, f"{caption}. What is not known is not learnt, and not scored", height)
        rows = [2.6, 0.21 * max(len(shown), 4)]
        gap = 2.0 / sum(rows)  # an inch, in heights of a mean panel
        grid = fig.add_gridspec(
            2, 1, top=body_top(fig), bottom=0.6 / height, left=0.12, right=0.95, hspace=gap, height_ratios=rows
        )
        _over_time(fig.add_subplot(grid[0]), shares)
        _by_store(fig.add_subplot(grid[1]), shown, len(stores))
    return fig


def _over_time(ax: Any, shares: pd.DataFrame) -> None:
    drawn = [name for name in _STATES if shares[name].any()]
    labels, colors = zip(*(_STATES[name] for name in drawn), strict=True)
    ax.stackplot(shares.index, *(shares[name] for name in drawn), labels=labels, colors=colors, linewidth=0, step="mid")
    ax.set(ylim=(0, 1), xlim=(shares.index[0], shares.index[-1]), ylabel="Share of the series")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    date_axis(ax)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(drawn), handlelength=1, handleheight=1)
    panel_heading(ax, "State of the demand")


def _by_store(ax: Any, shown: pd.DataFrame, total: int) -> None:
    import seaborn as sns
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("known", [DANGER, "#FDE68A", "#DBEAFE", PRIMARY])
    sns.heatmap(
        shown.to_numpy(),
        ax=ax,
        cmap=colours,
        vmin=0,
        vmax=1,
        xticklabels=False,
        yticklabels=[shorten(str(store), 14) for store in shown.index],
        cbar_kws={"format": lambda value, _: f"{value:.0%}", "pad": 0.015, "fraction": 0.03, "aspect": 14},
    )
    ax.set_facecolor(GRID)
    ax.tick_params(axis="y", rotation=0)
    ax.figure.axes[-1].tick_params(length=0)
    places = np.unique(np.linspace(0, shown.shape[1] - 1, min(7, shown.shape[1])).astype(int))
    ax.set_xticks(places + 0.5, [f"{shown.columns[i]:%d %b %Y}" for i in places], rotation=0)
    note = "share of what was on sale and open; grey: nothing was"
    if len(shown) < total:
        note += f"; the {len(shown)} stores of {total:,} with the least"
    panel_heading(ax, "Known demand by store", note)
