"""Drift over Time: the champion's errors, level, coverage and inputs at the latest origins, each with its threshold."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.charts.layout import LEGEND_BELOW, empty_figure, heading, panel_title
from shelfops_pipeline.charts.theme import DANGER, MUTED, PRIMARY, TEXT, use_theme
from shelfops_pipeline.contracts.columns import Grain

TITLE: Final = "Drift over time"
_BLOCK_COLORS: Final = (PRIMARY, "#0D9488", "#D97706", "#7C3AED")
_FEW: Final = 6  # origins; each gets a tick of its own
_SPACE: Final = {"vertical_spacing": 0.2, "horizontal_spacing": 0.1}

Report = Mapping[str, Any]


def drift_over_time(reports: Sequence[Report], grain: Grain = Grain.DAY) -> Any:
    """Four panels by origin: WAPE and level of issued forecasts beside the backtest's, by block of the horizon;
    coverage of the 90 % interval; how near the inputs are to their limits. Red: what was called drift.

    `reports` are drift reports, oldest first.
    """
    if not reports:
        return empty_figure(TITLE, "No drift report yet: forecasts have to be published first.")
    from plotly.subplots import make_subplots

    fig = make_subplots(rows=2, cols=2, shared_xaxes="all", **_SPACE)
    errors = _errors(reports)
    _by_block(fig, errors, "wape", 1, 1, grain)
    _by_block(fig, errors, "level", 1, 2, grain)
    _coverage(fig, reports)
    _inputs(fig, reports)
    _titles(fig, grain)
    days = [pd.Timestamp(r["origin"]) for r in reports]
    room = pd.Timedelta(days=grain.days) * max(len(days) * 0.04, 1)
    fig.update_xaxes(range=[days[0] - room, days[-1] + room], showticklabels=True, tickformat="%-d %b<br>%Y")
    fig.update_xaxes(**({"tickvals": days} if len(days) <= _FEW else {"nticks": 6}))
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, _subtitle(reports)),
        height=860,
        margin={"t": 150, "b": 110},
        legend={**LEGEND_BELOW, "y": -0.13},
    )
    return fig


def _subtitle(reports: Sequence[Report]) -> str:
    last, drifted = reports[-1], sum(bool(r["drifted"]) for r in reports)
    now = "drift" if last["drifted"] else "no drift"
    return (
        f"{last['version'] or 'no champion'}: {now} at {last['origin']}; drift at {drifted} of {len(reports)} origins"
    )


def _errors(reports: Sequence[Report]) -> pd.DataFrame:
    """One row per origin and block that was judged, with ratios to what the backtest promised."""
    rows = [{**row, "origin": pd.Timestamp(r["origin"])} for r in reports for row in r["errors"] if row["judged"]]
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    promised = table[["wape promised", "level promised"]].astype(float)
    return table.assign(
        wape_ratio=table["wape"].astype(float) / promised["wape promised"],
        wape_most=table["wape limit"].astype(float) / promised["wape promised"],
        level_ratio=np.exp(table["level"].astype(float) - promised["level promised"]),
        level_most=np.exp(table["level limit"].astype(float)),
    )


def _by_block(fig: Any, table: pd.DataFrame, name: str, row: int, col: int, grain: Grain) -> None:
    if table.empty:
        _nothing(fig, "No forecast came due lately", row, col)
        return
    for at, (block, part) in enumerate(table.groupby("block", sort=False)):
        color = _BLOCK_COLORS[at % len(_BLOCK_COLORS)]
        legend = {"name": f"{block} {grain}s ahead", "legendgroup": block, "showlegend": name == "wape"}
        ratio, most = part[f"{name}_ratio"], part[f"{name}_most"]
        _line(fig, part["origin"], ratio, part["drifted"], color, row, col, "%{y:.2f}", **legend)
        limits = [most] if name == "wape" else [most, 1 / most]
        for limit in limits:
            _limit(fig, part["origin"], limit, color, row, col)
    fig.add_hline(y=1, line={"color": TEXT, "width": 1}, row=row, col=col)
    if name == "wape":
        fig.update_yaxes(rangemode="tozero", row=row, col=col)


def _coverage(fig: Any, reports: Sequence[Report]) -> None:
    rows = [{**r["coverage"], "origin": pd.Timestamp(r["origin"])} for r in reports if r["coverage"] is not None]
    if not rows:
        _nothing(fig, "No interval came due lately", 2, 1)
        return
    table = pd.DataFrame(rows)
    _line(fig, table["origin"], table["coverage"], table["drifted"], PRIMARY, 2, 1, "%{y:.1%}", showlegend=False)
    _limit(fig, table["origin"], table["lowest"], PRIMARY, 2, 1)
    fig.add_hline(y=float(table["nominal"].iloc[-1]), line={"color": TEXT, "width": 1}, row=2, col=1)
    low = min(table["coverage"].min(), table["lowest"].min())
    fig.update_yaxes(tickformat=".0%", range=[max(low - 0.05, 0), 1.01], row=2, col=1)


def _inputs(fig: Any, reports: Sequence[Report]) -> None:
    rows = [
        {"origin": pd.Timestamp(r["origin"]), **near} for r in reports if (near := _nearest(r["inputs"])) is not None
    ]
    if not rows:
        _nothing(fig, "Inputs were compared at no origin", 2, 2)
        return
    table = pd.DataFrame(rows)
    _line(
        fig,
        table["origin"],
        table["near"],
        table["drifted"],
        PRIMARY,
        2,
        2,
        "%{customdata}: %{y:.2f}",
        showlegend=False,
        customdata=table["features"],
    )
    _limit(fig, table["origin"], pd.Series(1.0, table.index), PRIMARY, 2, 2)
    fig.update_yaxes(rangemode="tozero", row=2, col=2)


def _nearest(inputs: Sequence[Report]) -> dict[str, Any] | None:
    """How near the second furthest feature is to its limits (drift takes two, by PSI and by KS), and which they are."""
    known = [row for row in inputs if row["psi"] is not None and row["ks"] is not None]
    if not known:
        return None
    near = {row["feature"]: min(row["psi"] / row["psi limit"], row["ks"] / row["ks limit"]) for row in known}
    furthest = sorted(near, key=near.__getitem__, reverse=True)[:2]
    values = [near[name] for name in furthest]
    return {"near": values[-1], "features": ", ".join(furthest), "drifted": len(values) > 1 and values[-1] > 1}


def _line(
    fig: Any, x: pd.Series, y: pd.Series, drifted: pd.Series, color: str, row: int, col: int, hover: str, **more: Any
) -> None:
    marks = np.where(drifted.astype(bool), DANGER, color)
    marker = {"color": marks, "size": np.where(drifted.astype(bool), 9, 5)}
    fig.add_scatter(
        x=x, y=y, mode="lines+markers", line={"color": color, "width": 2}, marker=marker, row=row, col=col, **more
    )
    fig.data[-1].hovertemplate = "%{x|%-d %b %Y}<br>" + hover + "<extra></extra>"


def _limit(fig: Any, x: pd.Series, y: pd.Series, color: str, row: int, col: int) -> None:
    line = {"color": color, "width": 1, "dash": "dot"}
    marker = {
        "symbol": "line-ew-open",
        "size": 12,
        "color": color,
        "opacity": float(len(x) == 1),
    }  # no line of one point
    mode = "lines+markers"
    fig.add_scatter(x=x, y=y, mode=mode, line=line, marker=marker, showlegend=False, hoverinfo="skip", row=row, col=col)


def _nothing(fig: Any, text: str, row: int, col: int) -> None:
    axes = fig.get_subplot(row, col)
    x, y = (float(np.mean(axis.domain)) for axis in (axes.xaxis, axes.yaxis))
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "center"}
    fig.add_annotation(text=text, showarrow=False, font={"color": MUTED}, **place)


def _titles(fig: Any, grain: Grain) -> None:
    top = {(r, c): float(fig.get_subplot(r, c).yaxis.domain[1]) for r in (1, 2) for c in (1, 2)}
    right = float(fig.get_subplot(1, 2).xaxis.domain[0])
    panel_title(fig, "WAPE over the backtest's", 0, top[1, 1], "of the latest forecasts that came due; dotted: limits")
    panel_title(
        fig, "Forecast over actual demand", right, top[1, 2], "beside the backtest's; above 1: forecast too high"
    )
    panel_title(
        fig, "Coverage of the 90 % interval", 0, top[2, 1], f"of the latest {grain}s; dotted: the lowest allowed"
    )
    panel_title(fig, "Inputs beside training", right, top[2, 2], "second furthest feature over its limit; 1: drift")
