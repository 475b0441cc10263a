"""Feature Importance: what the XGBoost member of the ensemble looks at, with definitions."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from shelfops_pipeline.charts.layout import empty_figure, heading
from shelfops_pipeline.charts.numbers import number
from shelfops_pipeline.charts.theme import BACKGROUND, LINE, MUTED, PRIMARY, TEXT, shorten, use_theme

TITLE: Final = "Feature importance"
TOP: Final = 20
_MEASURES: Final = {
    "mean_abs_shap": (
        "Mean |SHAP|",
        "Mean |SHAP|: average size of the change of log demand that the feature causes",
    ),
    "gain": ("Gain", "Gain: average reduction of the training loss by a split on the feature"),
}


def feature_importance(importance: Sequence[Mapping[str, Any]], top: int = TOP) -> Any:
    """Horizontal bars of the `top` features by mean |SHAP|, with a switch to gain.

    `importance` has rows of feature, definition, mean_abs_shap and gain. A feature whose value is not known
    is not drawn as 0; it is left out of that view.
    """
    views = {key: _ranked(importance, key, top) for key in _MEASURES}
    views = {key: rows for key, rows in views.items() if rows}
    if not views:
        return empty_figure(TITLE, "No feature importance was computed for this version.")
    import plotly.graph_objects as go

    fig = go.Figure([_bars(rows, key, first=i == 0) for i, (key, rows) in enumerate(views.items())])
    key, rows = next(iter(views.items()))
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, _subtitle(len(rows), len(importance))),
        height=170 + 36 * max(len(rows) for rows in views.values()),
        bargap=0.42,
        showlegend=False,
        margin={"t": 120},
        updatemenus=[_switch(views, len(importance))] if len(views) > 1 else [],
    )
    fig.update_layout(_axes(rows, key, len(importance)))
    return fig


def _switch(views: Mapping[str, list[Mapping[str, Any]]], total: int) -> dict[str, Any]:
    """A button for each view, which hides the others."""
    buttons = [
        {
            "label": _MEASURES[key][0],
            "method": "update",
            "args": [{"visible": [k == key for k in views]}, _axes(rows, key, total)],
        }
        for key, rows in views.items()
    ]
    return {
        "type": "buttons",
        "direction": "right",
        "x": 1,
        "xanchor": "right",
        "y": 1,
        "yanchor": "bottom",
        "showactive": True,
        "buttons": buttons,
        "pad": {"b": 12},
        "bgcolor": BACKGROUND,
        "bordercolor": LINE,
    }


def _ranked(importance: Sequence[Mapping[str, Any]], key: str, top: int) -> list[Mapping[str, Any]]:
    known = [row for row in importance if row.get(key) is not None and math.isfinite(row[key])]
    return sorted(known, key=lambda row: -row[key])[:top]


def _subtitle(shown: int, total: int) -> str:
    return f"The {shown} strongest of {total} features of the XGBoost model, with their definitions"


def _bars(rows: Sequence[Mapping[str, Any]], key: str, first: bool) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": _MEASURES[key][0],
        "x": [row[key] for row in rows],
        "y": [row["feature"] for row in rows],
        "text": [number(row[key]) for row in rows],
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"color": TEXT, "size": 12},
        "marker": {"color": PRIMARY},
        "customdata": [[escape(str(row["definition"]))] for row in rows],
        "hovertemplate": "<b>%{y}</b><br>%{customdata[0]}<br>" + _MEASURES[key][0] + " %{text}<extra></extra>",
        "visible": first,
    }


def _brief(definition: str) -> str:
    return textwrap.shorten(definition, 68, placeholder="…")


def _axes(rows: Sequence[Mapping[str, Any]], key: str, total: int) -> dict[str, Any]:
    """Axis settings of a view, spelled to serve both as a layout and as a button's arguments."""
    ticks = [
        f"<span style='color:{TEXT};font-size:13px'>{escape(shorten(str(row['feature']), 44))}</span>"
        f"<br><span style='color:{MUTED};font-size:11px'>{escape(_brief(str(row['definition'])))}</span>"
        for row in rows
    ]
    return {
        "xaxis.title.text": _MEASURES[key][1],
        "xaxis.rangemode": "tozero",
        "yaxis.autorange": "reversed",
        "yaxis.tickmode": "array",
        "yaxis.tickvals": [row["feature"] for row in rows],
        "yaxis.ticktext": ticks,
        "title.subtitle.text": _subtitle(len(rows), total),
    }
