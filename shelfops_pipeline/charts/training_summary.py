"""Training Summary: one page on what was trained, on what, how good it is, and whether it was promoted."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import pandas as pd

from shelfops_pipeline.charts.aggregate import HORIZON, WAPE, errors_by_horizon, main_model
from shelfops_pipeline.charts.layout import empty_figure, heading, panel_title
from shelfops_pipeline.charts.numbers import (
    METRIC_ORDER,
    SHORT_LABELS,
    UNDEFINED,
    defined,
    metric_value,
    number,
    percent,
)
from shelfops_pipeline.charts.theme import (
    BACKGROUND,
    BASELINES,
    GRID,
    LINE,
    MUTED,
    PRIMARY,
    TEXT,
    model_color,
    model_label,
    shorten,
    sort_models,
    use_theme,
)
from shelfops_pipeline.contracts.columns import MODEL, Grain

TITLE: Final = "Training summary"
ALL: Final = "all"
Fact = str | int | float | None
_TOP: Final = 100
_BOTTOM: Final = 28
_LINE: Final = 27
_WRAP: Final = 54
"""Characters of a fact that fit on one line of a page that is 1200 pixels wide."""
_GAPS: Final = (84, 112, 64)


def training_summary(
    forecasts: pd.DataFrame,
    metrics: pd.DataFrame,
    facts: Mapping[str, Fact],
    tier: str | None = None,
    grain: Grain = Grain.DAY,
) -> Any:
    """Key figures, WAPE by model, WAPE by horizon, every metric by model, and the facts of the run.

    `forecasts` has BACKTEST_COLUMNS; `metrics` columns tier, model, origin, metric, value, n; `facts` are
    shown in order, label to value. `tier` says which tier of `metrics` the page is about (default: the first
    in it).
    """
    table = _by_model(metrics, tier)
    if table.empty and not facts:
        return empty_figure(TITLE, "The run left no metric and no facts.")
    import plotly.graph_objects as go

    page = _Page(models=len(table), facts=max(map(_lines, _fact_columns(facts))))
    fig = go.Figure()
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, " · ".join(shorten(_fact(v), 60) for v in list(facts.values())[:3])),
        height=page.height,
        showlegend=True,
        margin={"t": _TOP, "b": _BOTTOM, "l": 28, "r": 28},
        legend={"x": 1, "xanchor": "right", "y": page.below_charts, "yanchor": "top", "orientation": "h"},
        xaxis={"domain": [0.15, 0.44], "anchor": "y"},
        yaxis={"domain": page.charts, "anchor": "x", "automargin": False},
        xaxis2={"domain": [0.55, 1], "anchor": "y2"},
        yaxis2={"domain": page.charts, "anchor": "x2", "automargin": False},
    )
    _cards(fig, page, table, grain)
    _wape_by_model(fig, page, table, grain, _tier_note(tier))
    _wape_by_horizon(fig, page, forecasts, table, grain)
    _metric_table(fig, page, table, grain, _tier_note(tier))
    _fact_table(fig, page, facts)
    return fig


@dataclass(frozen=True)
class _Page:
    """Where the four bands of the page lie, as (bottom, top) in paper coordinates; heights are in pixels."""

    models: int
    facts: int

    @property
    def _heights(self) -> tuple[int, int, int, int]:
        return 104, 270, _LINE * (self.models + 1) + 4, max(_LINE * self.facts, _LINE) + 4

    @property
    def height(self) -> int:
        return _TOP + sum(self._heights) + sum(_GAPS) + _BOTTOM

    def _band(self, i: int) -> list[float]:
        inner = self.height - _TOP - _BOTTOM
        top = inner - sum(self._heights[:i]) - sum(_GAPS[:i])
        return [max(top - self._heights[i], 0) / inner, top / inner]

    @property
    def cards(self) -> list[float]:
        return self._band(0)

    @property
    def charts(self) -> list[float]:
        return self._band(1)

    @property
    def below_charts(self) -> float:
        """Under the tick labels."""
        return max(self.charts[0] - 28 / (self.height - _TOP - _BOTTOM), 0)

    @property
    def metrics(self) -> list[float]:
        return self._band(2)

    @property
    def data(self) -> list[float]:
        return self._band(3)


def _by_model(metrics: pd.DataFrame, tier: str | None) -> pd.DataFrame:
    """Models (rows, in reading order) by metric (columns) over all folds; NaN where undefined or absent."""
    rows = metrics[metrics["origin"].astype(str) == ALL]
    if rows.empty:
        return pd.DataFrame(columns=list(METRIC_ORDER), dtype=float)
    chosen = str(tier if tier is not None else rows["tier"].iloc[0])
    rows = rows[rows["tier"].astype(str) == chosen].drop_duplicates(["model", "metric"])
    table = rows.pivot(index="model", columns="metric", values="value")
    return table.reindex(index=sort_models(table.index), columns=list(METRIC_ORDER)).astype(float)


def _tier_note(tier: str | None) -> str:
    return "all folds together, the same rows for all" + (f", {tier.replace('_', ' ')} tier" if tier else "")


def _best_baseline(table: pd.DataFrame) -> str | None:
    wape = table["wape"].reindex(list(BASELINES)).dropna()
    return str(wape.idxmin()) if len(wape) else None


def _cards(fig: Any, page: _Page, table: pd.DataFrame, grain: Grain) -> None:
    main = table.iloc[0] if len(table) else pd.Series(dtype=float)
    baseline = _best_baseline(table)
    gain = float("nan")
    if baseline is not None and defined(main.get("wape")) and table["wape"][baseline] > 0:
        gain = 1 - float(main["wape"]) / float(table["wape"][baseline])
    cards = [
        ("WAPE", percent(main.get("wape")), "absolute error / demand"),
        ("MAE", number(main.get("mae")), f"units per {grain}"),
        ("Bias of the mean", percent(main.get("bias"), signed=True), "above 0: forecast too high"),
        ("Coverage", percent(main.get("coverage_90")), "of actuals in the 90 % interval"),
        (
            "Improvement in WAPE",
            percent(gain),
            f"on {model_label(baseline, grain).lower()}" if baseline else "no baseline was scored",
        ),
    ]
    width = 0.184
    bottom, top = page.cards
    for i, (label, value, note) in enumerate(cards):
        left = i * (1 - width) / (len(cards) - 1)
        frame = {"x0": left, "x1": left + width, "y0": bottom, "y1": top, "xref": "paper", "yref": "paper"}
        fig.add_shape(type="rect", **frame, line={"color": LINE, "width": 1}, layer="below")
        color = MUTED if value == UNDEFINED else PRIMARY if i == 0 else TEXT
        for text, size, ink, y in (
            (label, 12, MUTED, 0.82),
            (f"<b>{value}</b>", 24, color, 0.5),
            (note, 11, MUTED, 0.17),
        ):
            fig.add_annotation(
                text=text,
                x=left + 0.012,
                y=bottom + y * (top - bottom),
                xref="paper",
                yref="paper",
                xanchor="left",
                yanchor="middle",
                showarrow=False,
                font={"size": size, "color": ink},
            )


def _wape_by_model(fig: Any, page: _Page, table: pd.DataFrame, grain: Grain, note: str) -> None:
    models = list(table.index)
    known = table["wape"].map(defined) if models else pd.Series(dtype=bool)
    fig.add_bar(
        orientation="h",
        x=[v if defined(v) else 0 for v in table["wape"]],
        y=models,
        text=[percent(v) for v in table["wape"]],
        textposition="outside",
        cliponaxis=False,
        marker={"color": [model_color(m) for m in models], "line": {"width": 0}},
        showlegend=False,
        hovertemplate="%{text} WAPE<extra></extra>",
    )
    top = float(table["wape"].max()) if known.any() else 1.0
    fig.update_layout(
        xaxis={"tickformat": ".0%", "range": [0, top * 1.2 or 1.0], "nticks": 6},
        yaxis={
            "autorange": "reversed",
            "tickvals": models,
            "ticktext": [model_label(m, grain) for m in models],
            "showgrid": False,
        }
        | {"tickfont": {"color": TEXT}},
    )
    panel_title(fig, "WAPE by model", 0, page.charts[1], note)


def _wape_by_horizon(fig: Any, page: _Page, forecasts: pd.DataFrame, table: pd.DataFrame, grain: Grain) -> None:
    panel_title(fig, "WAPE by horizon", 0.505, page.charts[1], f"{grain}s after the origin, as served")
    fig.update_layout(
        xaxis2={"dtick": None, "rangemode": "tozero"}, yaxis2={"tickformat": ".0%", "rangemode": "tozero"}
    )
    if main_model(forecasts) is None:
        fig.add_annotation(
            text=UNDEFINED, x=0.75, y=0.63, xref="paper", yref="paper", showarrow=False, font={"color": MUTED}
        )
        return
    baseline = _best_baseline(table)
    shown = [m for m in sort_models(forecasts[MODEL].unique()) if m not in BASELINES or m == baseline]
    curves = errors_by_horizon(forecasts[forecasts[MODEL].isin(shown)], grain)
    for model in shown:
        own = curves[curves[MODEL] == model]
        fig.add_scatter(
            x=own[HORIZON],
            y=own[WAPE],
            name=model_label(model, grain),
            mode="lines+markers" if len(own) < 3 else "lines",
            line={"color": model_color(model), "width": 2.6 if model == shown[0] else 1.6},
            hovertemplate="%{y:.1%}",
            xaxis="x2",
            yaxis="y2",
        )


def _metric_table(fig: Any, page: _Page, table: pd.DataFrame, grain: Grain, note: str) -> None:
    cells = [[metric_value(c, v).removesuffix(" units") for v in table[c]] for c in METRIC_ORDER]
    fig.add_table(
        domain={"x": [0, 1], "y": page.metrics},
        columnwidth=[2.1] + [1] * len(METRIC_ORDER),
        header=_cells(["Model", *(SHORT_LABELS[c] for c in METRIC_ORDER)], header=True),
        cells=_cells([[model_label(m, grain) for m in table.index], *cells]),
    )
    panel_title(fig, "Every metric by model", 0, page.metrics[1], note)


def _fact_table(fig: Any, page: _Page, facts: Mapping[str, Fact]) -> None:
    for i, part in enumerate(_fact_columns(facts)):
        if part:
            left = 0.51 * i
            fig.add_table(
                domain={"x": [left, left + 0.49], "y": page.data},
                columnwidth=[1, 2.2],
                header={"values": ["", ""], "height": 0, "line": {"width": 0}, "fill": {"color": BACKGROUND}},
                cells=_cells([[escape(k) for k, _ in part], [escape(v) for _, v in part]]),
            )
    panel_title(fig, "Data and training", 0, page.data[1])


def _fact_columns(facts: Mapping[str, Fact]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    shown = [(shorten(k, 24), shorten(_fact(v), 110)) for k, v in facts.items()]
    half = (len(shown) + 1) // 2
    return shown[:half], shown[half:]


def _lines(column: list[tuple[str, str]]) -> int:
    """Lines that the column takes: a long value wraps."""
    return sum(1 + len(value) // _WRAP for _, value in column)


def _fact(value: Fact) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else number(value)


def _cells(values: list[Any], header: bool = False) -> dict[str, Any]:
    return {
        "values": values,
        "align": ["left", *["right"] * (len(values) - 1)] if len(values) > 2 else "left",
        "height": _LINE,
        "font": {"size": 12, "color": MUTED if header else TEXT},
        "fill": {"color": BACKGROUND},
        "line": {"color": GRID, "width": 1},
    }
