"""Accuracy by Group: the ensemble by demand class, category and store, beside the best baseline of each group."""

from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.charts.layout import empty_figure, heading, panel_title
from shelfops_pipeline.charts.numbers import percent
from shelfops_pipeline.charts.score_tables import beside_best_baseline, class_words, main_tier, subtitle
from shelfops_pipeline.charts.theme import (
    LINE,
    MUTED,
    PRIMARY,
    TEXT,
    model_label,
    shorten,
    use_theme,
)
from shelfops_pipeline.contracts.columns import Grain

TITLE: Final = "Accuracy by group"
MOST_BARS: Final = 12
BY_CLASS: Final = "class"
_GROUPS: Final = {BY_CLASS: "Demand class", "category": "Category", "store": "Store"}
_BAR: Final = 34
_HEAD: Final = 104
_BASELINE_COLOR: Final = "#B6BDC8"


def accuracy_by_group(scores: pd.DataFrame, grain: Grain = Grain.DAY) -> Any:
    """WAPE of the ensemble by demand class, category and store, each beside the best baseline of that group.

    The groups with the largest error come first; of many, MOST_BARS are shown.
    """
    tier = main_tier(scores)
    tables = {} if tier is None else {by: beside_best_baseline(scores, tier, by) for by in _GROUPS}
    tables = {by: table.rename(class_words if by == BY_CLASS else str) for by, table in tables.items() if len(table)}
    if tier is None or not tables:
        return empty_figure(TITLE, "No group of the backtest has a WAPE: nothing was sold, or nothing was scored.")
    from plotly.subplots import make_subplots

    shown = {by: table.iloc[:MOST_BARS] for by, table in tables.items()}
    heights = [_BAR * len(table) + 20 for table in shown.values()]
    body = sum(heights) + _HEAD * (len(shown) - 1)
    gap = _HEAD / body if len(shown) > 1 else 0.0
    fig = make_subplots(rows=len(shown), cols=1, vertical_spacing=gap, row_heights=heights)
    for row, (by, table) in enumerate(shown.items(), start=1):
        _bars(fig, table, grain, row)
        note = f"all {len(tables[by]):,}" if len(tables[by]) == len(table) else (
            f"the {len(table)} with the largest WAPE of {len(tables[by]):,}"
        )  # fmt: skip
        top = fig.get_subplot(row, 1).yaxis.domain[1]
        panel_title(fig, _GROUPS[by], 0, top, note)
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, f"WAPE, and the number of rows · {subtitle(scores, tier)}"),
        height=body + 230,
        bargap=0.3,
        bargroupgap=0.05,
        margin={"t": 150, "b": 80, "l": 160},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    )
    return fig


def _labels(table: pd.DataFrame, column: str, grain: Grain) -> list[str]:
    """The scores as text; that of a baseline says which one it is."""
    scores = [percent(v) for v in table[column]]
    if column != "theirs":
        return scores
    named = zip(scores, table["who"], strict=True)
    return [score if pd.isna(who) else f"{score}  {model_label(str(who), grain).lower()}" for score, who in named]


def _bars(fig: Any, table: pd.DataFrame, grain: Grain, row: int) -> None:
    places = list(range(len(table)))
    for name, column, color, ink in (
        ("Ensemble", "ours", PRIMARY, TEXT),
        ("Best baseline of the group", "theirs", _BASELINE_COLOR, MUTED),
    ):
        fig.add_bar(
            orientation="h",
            y=places,
            # an undefined score has a bar of no length, whose label says that it is undefined
            x=table[column].fillna(0),
            name=name,
            legendgroup=column,
            showlegend=row == 1,
            marker={"color": color, "line": {"width": 0}},
            text=_labels(table, column, grain),
            textposition="outside",
            textfont={"size": 11, "color": ink},
            cliponaxis=False,
            customdata=[[str(g), f"{int(n):,}"] for g, n in zip(table.index, table["n"], strict=True)],
            hovertemplate="%{customdata[0]}: %{text}, %{customdata[1]} rows<extra></extra>",
            row=row,
            col=1,
        )
    reach = float(np.nanmax(table[["ours", "theirs"]].to_numpy())) * 1.3 or 1.0
    fig.update_xaxes(range=[0, reach], tickformat=".0%", nticks=7, row=row, col=1)
    fig.update_yaxes(
        range=[len(table) - 0.5, -0.5],
        tickvals=places,
        ticktext=[f"{shorten(str(g), 22)} · {n:,.0f}" for g, n in zip(table.index, table["n"], strict=True)],
        tickfont={"color": TEXT},
        showgrid=False,
        zeroline=False,
        linecolor=LINE,
        row=row,
        col=1,
    )
