"""Pieces of layout that several charts share."""

from typing import Any, Final

from shelfops_pipeline.charts.theme import MUTED, shorten, use_theme

LEGEND_BELOW: Final = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.12, "yanchor": "top"}


def heading(title: str, subtitle: str) -> dict[str, Any]:
    """A layout title with a quieter line below it."""
    return {"text": shorten(title, 90), "subtitle": {"text": subtitle, "font": {"size": 13, "color": MUTED}}}


def empty_figure(title: str, reason: str) -> Any:
    """A figure that says why there is nothing to draw."""
    import plotly.graph_objects as go

    fig = go.Figure(
        layout={
            "template": use_theme(),
            "title": heading(title, "Nothing to draw"),
            "height": 360,
            "xaxis": {"visible": False},
            "yaxis": {"visible": False},
        }
    )
    fig.add_annotation(
        text=shorten(reason, 140),
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        showarrow=False,
        font={"size": 15, "color": MUTED},
    )
    return fig


def panel_title(fig: Any, text: str, x: float, y: float, note: str = "") -> None:
    """A left-aligned panel heading at paper coordinates, with a quieter line below it."""
    lines = f"<b>{text}</b>" + (f"<br><span style='color:{MUTED};font-size:12px'>{note}</span>" if note else "")
    fig.add_annotation(
        text=lines,
        x=x,
        y=y,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        align="left",
        showarrow=False,
        font={"size": 14},
        yshift=10,
    )
