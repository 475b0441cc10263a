"""Intermittency map: how often each series sells and how much its sales vary, with the Syntetos-Boylan borders."""

from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.charts.numbers import percent
from shelfops_pipeline.charts.panel_sums import demand_patterns
from shelfops_pipeline.charts.pictures import BOLD, body_top, empty_picture, new_picture, picture_style
from shelfops_pipeline.charts.theme import BACKGROUND, DANGER, MUTED, PRIMARY, TEXT
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.inference.calibration import ADI_BORDER, CLASSES, CV2_BORDER

TITLE: Final = "Intermittency map"
MOST_POINTS: Final = 6_000
PATTERNS: Final = CLASSES[:4]
_COLORS: Final = dict(zip(PATTERNS, (PRIMARY, "#0D9488", "#D97706", DANGER), strict=True))
_CORNERS: Final = {"smooth": (0, 0), "erratic": (0, 1), "intermittent": (1, 0), "lumpy": (1, 1)}
_EDGE: Final = 0.98  # quantile of a measure at which the map ends, so that a few extremes do not squeeze the rest


def intermittency(panel: Panel) -> Any:
    """A point per series: average demand interval across, squared coefficient of variation of the sales upwards.

    Of many series a random sample is drawn, and counted are all. Returns a matplotlib Figure.
    """
    patterns = demand_patterns(panel)
    known = with_pattern(patterns)
    if known.empty:
        return empty_picture(TITLE, "No series has sold twice, which is the least that says how its sales vary.")
    left = len(patterns) - len(known)
    shown = known.sample(MOST_POINTS, random_state=0) if len(known) > MOST_POINTS else known
    notes = [f"{panel.dataset}: {len(known):,} series"]
    notes += [f"a random {len(shown):,} drawn"] if len(shown) < len(known) else []
    notes += [f"{left:,} sold less than twice and are not on the map"] if left else []
    with picture_style():
        fig = new_picture(TITLE, "; ".join(notes), 7.4)
        ax = fig.add_axes((0.08, 0.1, 0.89, body_top(fig) - 0.12))
        _map(ax, shown, panel.grain)
        _legend(ax, known)
    return fig


def with_pattern(patterns: pd.DataFrame) -> pd.DataFrame:
    """The series of `demand_patterns` whose two measures are known, with a column `pattern`."""
    known = patterns[np.isfinite(patterns["adi"]) & np.isfinite(patterns["cv2"])]
    index = 2 * (known["adi"] > ADI_BORDER).astype(int) + (known["cv2"] > CV2_BORDER)
    return known.assign(pattern=np.asarray(PATTERNS)[index.to_numpy()])


def _map(ax: Any, shown: pd.DataFrame, grain: Grain) -> None:
    import seaborn as sns

    right = max(float(shown["adi"].quantile(_EDGE)) * 1.3, 2 * ADI_BORDER)
    top = max(float(shown["cv2"].quantile(_EDGE)) * 1.2, 2 * CV2_BORDER)
    drawn = shown.assign(adi=shown["adi"].clip(upper=right * 0.97), cv2=shown["cv2"].clip(upper=top * 0.985))
    size = 22 if len(drawn) < 1_000 else 9
    sns.scatterplot(
        drawn, x="adi", y="cv2", hue="pattern", palette=_COLORS, ax=ax, s=size, alpha=0.6, linewidth=0, legend=False
    )
    ax.set(xscale="log", xlim=(0.95, right), ylim=(-0.02 * top, top))
    ax.xaxis.set_major_locator(_ticks(right))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.minorticks_off()
    ax.axvline(ADI_BORDER, color=TEXT, linewidth=1, linestyle="--")
    ax.axhline(CV2_BORDER, color=TEXT, linewidth=1, linestyle="--")
    ax.set_xlabel(f"Average demand interval, {grain}s (1: sells every {grain}); border {ADI_BORDER}")
    ax.set_ylabel(f"Squared coefficient of variation of the sales; border {CV2_BORDER}")


def _ticks(right: float) -> Any:
    from matplotlib.ticker import FixedLocator

    return FixedLocator([v for v in (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500) if v <= right])


def _legend(ax: Any, known: pd.DataFrame) -> None:
    """Above the map: each pattern with its share of the series and of the demand; in the corners, its name."""
    from matplotlib.patheffects import withStroke

    demand = known["demand"].sum()
    for i, (pattern, (x, y)) in enumerate(_CORNERS.items()):
        own, ink = known[known["pattern"] == pattern], _COLORS[pattern]
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        ax.annotate(pattern.capitalize(), (i / 4, 1), (0, 24), family=BOLD, fontsize=11, color=ink, **place)
        text = f"{percent(len(own) / len(known), 0)} of series, {percent(own['demand'].sum() / demand, 0)} of demand"
        ax.annotate(text, (i / 4, 1), (0, 10), fontsize=9, color=MUTED, **place)
        side = {"ha": "right" if x else "left", "va": "top" if y else "bottom"}
        at = (-8 if x else 8, -8 if y else 8)
        outline = [withStroke(linewidth=4, foreground=BACKGROUND)]
        ax.annotate(pattern, (x, y), at, color=ink, fontsize=10, path_effects=outline, **(place | side))
