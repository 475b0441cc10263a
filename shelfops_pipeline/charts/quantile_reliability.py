"""Reliability of the Quantiles: how often demand was at or below each, over all rows and by demand class."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.charts.layout import empty_figure, heading, panel_title
from shelfops_pipeline.charts.numbers import percent
from shelfops_pipeline.charts.score_tables import class_words, main_tier, tier_words
from shelfops_pipeline.charts.theme import ENSEMBLE, LINE, PRIMARY, use_theme
from shelfops_pipeline.contracts.columns import (
    BY,
    COUNT,
    GROUP,
    METRIC,
    MODEL,
    QUANTILE_COLUMNS,
    QUANTILES,
    TIER,
    VALUE,
)

TITLE: Final = "Reliability of the quantiles"
_PER_ROW: Final = 3
_ROW: Final = 330


def quantile_reliability(scores: pd.DataFrame) -> Any:
    """One panel for all rows and one per demand class: the observed share at or below each quantile.

    For counts many actuals equal the quantile: the share is then a range, from P(y < q) to P(y <= q), and a quantile is
    right where the diagonal runs through it. `scores` has contracts.columns.SCORE_COLUMNS.
    """
    tier = main_tier(scores)
    panels = [] if tier is None else _panels(scores[(scores[TIER] == tier) & (scores[MODEL] == ENSEMBLE)])
    if tier is None or not panels:
        return empty_figure(TITLE, "No quantile was scored: the backtest holds no row with an interval and an actual.")
    from plotly.subplots import make_subplots

    columns = min(_PER_ROW, len(panels))
    rows = -(-len(panels) // columns)
    gap = 112 / (rows * _ROW) if rows > 1 else 0.0
    fig = make_subplots(rows=rows, cols=columns, horizontal_spacing=0.08, vertical_spacing=gap)
    for at, (name, table) in enumerate(panels):
        row, col = at // columns + 1, at % columns + 1
        _panel(fig, table, row, col)
        axis = fig.get_subplot(row, col)
        note = f"{_n(table):,} rows · 90 % interval holds {percent(table[VALUE].get('coverage_90'))}"
        panel_title(fig, name, axis.xaxis.domain[0], axis.yaxis.domain[1], note)
    fig.update_xaxes(title_text="Nominal quantile", range=[-0.02, 1.02], tickformat=".0%", nticks=6)
    fig.update_yaxes(range=[-0.03, 1.04], tickformat=".0%", nticks=6)
    fig.update_yaxes(title_text="Observed share at or below", col=1)
    subtitle = f"Ensemble, {tier_words(tier)} · bars: the range that ties allow; right where the dashed line crosses it"
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, subtitle),
        height=rows * _ROW + 220,
        showlegend=False,
        margin={"t": 150, "b": 70},
    )
    return fig


def _panels(own: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """(name, scores by metric) of all rows and of each class that has any."""
    groups = [("All rows", own[own[BY] == "all"])]
    groups += [(class_words(str(g)), part) for g, part in own[own[BY] == "class"].groupby(GROUP, sort=False)]
    tables = [(name, part.set_index(METRIC)) for name, part in groups]
    column = f"at_or_below_{QUANTILE_COLUMNS[0]}"
    return [(name, table) for name, table in tables if np.isfinite(table[VALUE].get(column, np.nan))]


def _n(table: pd.DataFrame) -> int:
    return int(table[COUNT].get(f"at_or_below_{QUANTILE_COLUMNS[0]}", 0))


def _panel(fig: Any, table: pd.DataFrame, row: int, col: int) -> None:
    below, reached = (table[VALUE].reindex([f"{side}_{q}" for q in QUANTILE_COLUMNS]).to_numpy(dtype=float)
                      for side in ("below", "at_or_below"))  # fmt: skip
    add_hit_ranges(fig, below, reached, row, col)


def add_hit_ranges(fig: Any, below: NDArray[np.float64], reached: NDArray[np.float64], row: int, col: int) -> None:
    """Beside the diagonal, the range from P(y < q) to P(y <= q) of each published quantile; [5] shares each."""
    inside = np.clip(QUANTILES, below, reached)
    fig.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": LINE, "dash": "dash"}, hoverinfo="skip", row=row, col=col
    )
    fig.add_scatter(
        x=QUANTILES,
        y=inside,
        mode="markers",
        marker={"size": 8, "color": PRIMARY},
        error_y={
            "array": reached - inside,
            "arrayminus": inside - below,
            "color": PRIMARY,
            "thickness": 1.6,
            "width": 5,
        },
        customdata=np.stack([below, reached], axis=1),
        hovertemplate="nominal %{x:.0%}<br>P(y &lt; q) %{customdata[0]:.1%}<br>"
        "P(y ≤ q) %{customdata[1]:.1%}<extra></extra>",
        row=row,
        col=col,
    )
