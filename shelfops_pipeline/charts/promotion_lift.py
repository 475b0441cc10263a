"""Promotion lift: what promotions do to demand, by category and around their first period. A picture, by seaborn."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.charts.panel_sums import expected_without_promotion
from shelfops_pipeline.charts.pictures import (
    body_top,
    empty_picture,
    new_picture,
    panel_heading,
    picture_style,
    ranges,
    unit_axis,
)
from shelfops_pipeline.charts.theme import MUTED, PRIMARY, TEXT, shorten
from shelfops_pipeline.contracts.columns import CATEGORY, ON_PROMOTION, Grain
from shelfops_pipeline.data.panel import Panel

TITLE: Final = "Promotion lift"
MOST_CATEGORIES: Final = 14
_LEAST: Final = 3  # promoted periods that a series needs to have a lift of its own
_AROUND: Final = {Grain.DAY: (7, 14), Grain.WEEK: (3, 6)}
_MOST_STARTS: Final = 100_000
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def promotion_lift(panel: Panel) -> Any:
    """Demand on promotion over what the same series sells without one on the same weekday (in a week, in any).

    Left by category, a box over its series; right the average course around a promotion's first period. Returns a
    matplotlib Figure.
    """
    if ON_PROMOTION not in panel.channels:
        return empty_picture(TITLE, "The data set says nothing about promotions.")
    demand, base = expected_without_promotion(panel)
    on = np.asarray(panel.channels[ON_PROMOTION][:, : panel.n_observed]) > 0
    lifts = series_lifts(panel, demand, base, on)
    if lifts.empty:
        return empty_picture(TITLE, "No series was sold both on promotion and without one.")
    with picture_style():
        whole = lifts["sold"].sum() / lifts["expected"].sum()
        caption = f"{panel.dataset}: promoted demand is {whole:.2f} times what the same series sell without"
        groups = lifts["category"].nunique()
        fig = new_picture(TITLE, f"{caption}; {len(lifts):,} series", 3.4 + 0.3 * max(min(groups, MOST_CATEGORIES), 6))
        bottom = 0.6 / float(fig.get_figheight())
        grid = fig.add_gridspec(1, 2, top=body_top(fig), bottom=bottom, left=0.2, right=0.97, wspace=0.22)
        _by_category(fig.add_subplot(grid[0]), lifts)
        _around_start(fig.add_subplot(grid[1]), demand, base, on, panel.grain)
    return fig


def series_lifts(panel: Panel, demand: Floats, base: Floats, on: Bools) -> pd.DataFrame:
    """One row per series with enough promoted periods: category, sold and expected units on promotion, lift."""
    used = on & np.isfinite(demand) & np.isfinite(base)
    frame = pd.DataFrame(
        {
            "category": _categories(panel),
            "sold": np.where(used, demand, 0).sum(axis=1, dtype=np.float64),
            "expected": np.where(used, base, 0).sum(axis=1, dtype=np.float64),
        }
    )
    frame = frame[(used.sum(axis=1) >= _LEAST) & (frame["expected"] > 0)]
    return frame.assign(lift=frame["sold"] / frame["expected"])


def _categories(panel: Panel) -> list[str]:
    if CATEGORY not in panel.static:
        return ["all series"] * panel.n_series
    static = panel.static[CATEGORY]
    names = [*static.categories, "no category"]  # code -1 is the last
    return [names[code] for code in static.codes]


def _by_category(ax: Any, lifts: pd.DataFrame) -> None:
    counts = lifts["category"].value_counts()
    names = list(counts.index[:MOST_CATEGORIES])
    shown = lifts[lifts["category"].isin(names)]
    order = list(shown.groupby("category")["lift"].median().sort_values(ascending=False, kind="stable").index)
    ranges(ax, shown, x="lift", y="category", order=order)
    ax.axvline(1, color=MUTED, linewidth=0.8, linestyle=":")
    ax.set(xlabel="Lift: demand on promotion over demand without", ylabel="")
    ax.set_xlim(left=0)
    ax.set_yticks(
        range(len(order)), [f"{shorten(name, 18)} · {counts[name]:,}" for name in order], color=TEXT, fontsize=9
    )
    ax.grid(visible=False, axis="y")
    note = "thick: middle half of the series; thin: 90 %"
    panel_heading(ax, "By category", note if len(names) == len(counts) else f"{len(names)} largest; {note}")


def _around_start(ax: Any, demand: Floats, base: Floats, on: Bools, grain: Grain) -> None:
    import seaborn as sns
    from matplotlib.ticker import MaxNLocator

    course = around_start(demand, base, on, *_AROUND[grain])
    ax.axvspan(-0.5, course.index.max() + 0.5, color=PRIMARY, alpha=0.06, linewidth=0)
    ax.axhline(1, color=MUTED, linewidth=0.8, linestyle=":")
    sns.lineplot(x=course.index, y=course.to_numpy(), ax=ax, color=PRIMARY, linewidth=2, marker="o", markeredgewidth=0)
    ax.set(xlabel=f"{grain.capitalize()}s since the promotion began", ylabel="Demand over demand without promotion")
    ax.set_xlim(course.index.min() - 0.5, course.index.max() + 0.5)
    unit_axis(ax, float(course.max()))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel_heading(ax, "Around a promotion's start", "first period: 0")


def around_start(demand: Floats, base: Floats, on: Bools, before: int, after: int) -> pd.Series:
    """Demand over what is expected without promotion, all starts together, by periods since the start; NaN: unknown."""
    begins = np.zeros_like(on)
    begins[:, 1:] = on[:, 1:] & ~on[:, :-1]
    series, period = np.nonzero(begins)
    if len(series) > _MOST_STARTS:
        kept = np.random.default_rng(0).permutation(len(series))[:_MOST_STARTS]
        series, period = series[kept], period[kept]
    offsets = np.arange(-before, after + 1)
    at = period[:, None] + offsets
    inside = (at >= 0) & (at < demand.shape[1])
    at = np.where(inside, at, 0)
    sold, expected = demand[series[:, None], at], base[series[:, None], at]
    used = inside & np.isfinite(sold) & np.isfinite(expected)
    total = np.where(used, expected, 0).sum(axis=0, dtype=np.float64)
    share = np.where(used, sold, 0).sum(axis=0, dtype=np.float64) / np.where(total > 0, total, np.nan)
    return pd.Series(share, index=offsets)
