"""Forecast vs Actual: what the model said before each fold and what was sold, in total and by series."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from shelfops_pipeline.charts.aggregate import main_model, representative_series, scored
from shelfops_pipeline.charts.layout import LEGEND_BELOW, empty_figure, heading
from shelfops_pipeline.charts.theme import (
    BACKGROUND,
    BAND_50,
    BAND_90,
    LINE,
    PRIMARY,
    TEXT,
    model_color,
    model_label,
    shorten,
    sort_models,
    use_theme,
)
from shelfops_pipeline.contracts.columns import (
    ACTUAL,
    DATE,
    ITEM_ID,
    MEAN,
    MODEL,
    ORIGIN,
    POINT,
    QUANTILE_COLUMNS,
    STORE_ID,
    Grain,
)

TITLE: Final = "Forecast vs actual"
_BANDS: Final = (("90 % interval", "q05", "q95", BAND_90), ("50 % interval", "q25", "q75", BAND_50))
_MOST_TICKS: Final = 12
_VALUES: Final = [MEAN, POINT, *QUANTILE_COLUMNS]


@dataclass(frozen=True)
class _View:
    """One entry of the dropdown: its rows are sums by (origin, date), one frame per model."""

    label: str
    subtitle: str
    models: dict[str, pd.DataFrame]
    value: str
    band_note: str = ""


def forecast_vs_actual(forecasts: pd.DataFrame, grain: Grain = Grain.DAY, unit: str = "units") -> Any:
    """Totals over the folds with the interval band, and a dropdown of representative series.

    `forecasts` has BACKTEST_COLUMNS. Rows without a known actual are left out of forecast and actual alike.
    The total is the sum of `mean`; a series shows its `point`. The band of the total adds up the series'
    quantiles, as if all series were high or low together: wider than the interval of the total itself, and
    labelled so.
    """
    rows = scored(forecasts)
    main = main_model(rows)
    if main is None:
        return empty_figure(TITLE, "The backtest holds no row with both a forecast and an actual.")
    import plotly.graph_objects as go

    views = [_total(rows, main), *_series_views(rows, main)]
    traces = [(i, trace) for i, view in enumerate(views) for trace in _traces(view, main, grain, unit)]

    def visible(chosen: int) -> list[bool | str]:
        return [trace["visible"] if i == chosen else False for i, trace in traces]

    fig = go.Figure([{**trace, "visible": shown} for (_, trace), shown in zip(traces, visible(0), strict=True)])
    buttons = [
        {"label": view.label, "method": "update"}
        | {"args": [{"visible": visible(i)}, {"title.subtitle.text": view.subtitle}]}
        for i, view in enumerate(views)
    ]
    _decorate(fig, views[0].subtitle, buttons, rows, grain, unit)
    return fig


def _total(rows: pd.DataFrame, main: str) -> _View:
    sums = rows.groupby([MODEL, ORIGIN, DATE], observed=True)[[*_VALUES, ACTUAL]].sum(min_count=1).reset_index()
    models = {m: sums[sums[MODEL] == m].sort_values([ORIGIN, DATE]) for m in sort_models(sums[MODEL].unique())}
    n = rows.loc[rows[MODEL] == main, [STORE_ID, ITEM_ID]].drop_duplicates().shape[0]
    folds = rows[ORIGIN].nunique()
    subtitle = (
        f"Sum of {n:,} series over {folds} fold{'s' * (folds > 1)}; each fold is forecast from its origin "
        "(dotted) without later data. The band adds up the series' intervals."
    )
    return _View(f"All series ({n:,})", subtitle, models, MEAN, ", added up")


def _series_views(rows: pd.DataFrame, main: str) -> list[_View]:
    chosen = representative_series(rows[rows[MODEL] == main])
    views = []
    for reason, (store, item) in chosen.items():
        own = rows[(rows[STORE_ID] == store) & (rows[ITEM_ID] == item) & (rows[MODEL] == main)]
        name = f"{shorten(str(store), 28)} · {shorten(str(item), 36)}"
        subtitle = f"Store {shorten(str(store), 40)}, item {shorten(str(item), 60)}: {reason} of the scored series"
        views.append(_View(f"{name} ({reason})", subtitle, {main: own.sort_values([ORIGIN, DATE])}, POINT))
    return views


def _traces(view: _View, main: str, grain: Grain, unit: str) -> list[dict[str, Any]]:
    own = view.models[main]
    bands = [band for band in _BANDS if own[[band[1], band[2]]].notna().all(axis=None)]
    traces = [_band(own, band[0] + view.band_note, *band[1:]) for band in bands]
    traces += [
        _line(
            own,
            f"{model_label(model, grain)} forecast",
            view.value,
            model,
            unit,
            visible=True if model == main else "legendonly",
        )
        for model, own in view.models.items()
    ]
    actual = own.drop_duplicates(DATE).sort_values(DATE)
    traces.append(
        {
            "type": "scatter",
            "name": "Actual",
            "legendrank": 1,
            "x": _days(actual[DATE]),
            "y": _round(actual[ACTUAL]),
            "mode": "lines" if len(actual) > 120 else "lines+markers",
            "line": {"color": TEXT, "width": 1.6},
            "marker": {"size": 4},
            "hovertemplate": f"%{{y:,.4~g}} {unit}",
            "visible": True,
        }
    )
    return traces


def _line(own: pd.DataFrame, name: str, value: str, model: str, unit: str, visible: bool | str) -> dict[str, Any]:
    x: list[str | None] = []
    y: list[float | None] = []
    for _, fold in own.groupby(ORIGIN, observed=True):
        x += [*_days(fold[DATE]), None]
        y += [*_round(fold[value]), None]
    return {
        "type": "scatter",
        "name": name,
        "x": x,
        "y": y,
        "mode": "lines",
        "line": {"color": model_color(model), "width": 2.4 if visible is True else 1.6},
        "hovertemplate": f"%{{y:,.4~g}} {unit}",
        "visible": visible,
    }


def _band(own: pd.DataFrame, name: str, low: str, high: str, color: str) -> dict[str, Any]:
    """One closed outline per fold, so that folds are not joined."""
    x: list[str | None] = []
    y: list[float | None] = []
    for _, fold in own.groupby(ORIGIN, observed=True):
        days = _days(fold[DATE])
        x += [*days, *reversed(days), days[0], None]
        upper, lower = _round(fold[high]), _round(fold[low])
        y += [*upper, *reversed(lower), upper[0], None]
    return {
        "type": "scatter",
        "name": name,
        "x": x,
        "y": y,
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": color,
        "hoverinfo": "skip",
        "visible": True,
    }


def _decorate(
    fig: Any, subtitle: str, buttons: list[dict[str, Any]], rows: pd.DataFrame, grain: Grain, unit: str
) -> None:
    ends = (rows[ORIGIN].min(), rows[DATE].max() + pd.Timedelta(days=grain.days))
    menu = {
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1.04,
        "yanchor": "bottom",
        "font": {"size": 12},
    }
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, subtitle),
        height=620,
        hovermode="x unified",
        legend=LEGEND_BELOW,
        margin={"t": 150},
        xaxis={"range": [str(end.date()) for end in ends], **_ticks(*ends, grain)},
        yaxis={"title": {"text": f"Demand, {unit} per {grain}"}, "rangemode": "tozero", "tickformat": ",~g"},
        updatemenus=[{**menu, "bgcolor": BACKGROUND, "bordercolor": LINE}],
    )
    for origin in sorted(rows[ORIGIN].unique()):
        fig.add_vline(
            x=str(pd.Timestamp(origin).date()),
            line={"color": PRIMARY, "width": 1, "dash": "dot"},
            opacity=0.5,
        )


def _ticks(first: pd.Timestamp, last: pd.Timestamp, grain: Grain) -> dict[str, Any]:
    """A week is named by its Monday; left to itself, Plotly would put the ticks on Sundays."""
    if grain is Grain.DAY:
        return {}
    weeks = -(-(last - first).days // (7 * _MOST_TICKS))
    return {"tick0": str(first.date()), "dtick": weeks * 7 * 86_400_000, "hoverformat": "Week of %-d %b %Y"}


def _days(dates: pd.Series) -> list[str]:
    return list(dates.dt.strftime("%Y-%m-%d"))


def _round(values: pd.Series) -> list[float | None]:
    """Four significant digits are more than a screen shows, and keep the page small."""
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values.to_numpy(dtype=float)]
