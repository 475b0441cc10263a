"""Error Distribution: how large errors are, how they grow with the horizon, whether quantiles hold."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shelfops_pipeline.charts.aggregate import HORIZON, MEDIAN, WAPE, errors_by, main_model, scored, with_horizon
from shelfops_pipeline.charts.layout import empty_figure, heading, panel_title
from shelfops_pipeline.charts.numbers import UNDEFINED, number, percent
from shelfops_pipeline.charts.quantile_reliability import add_hit_ranges
from shelfops_pipeline.charts.theme import BAND_50, MUTED, PRIMARY, TEXT, model_label, use_theme
from shelfops_pipeline.contracts.columns import (
    ACTUAL,
    ITEM_ID,
    MEAN,
    MODEL,
    QUANTILE_COLUMNS,
    STORE_ID,
    Grain,
)

TITLE: Final = "Error distribution"
BINS: Final = 61
GROUPS: Final = 5
MAX_BOXES: Final = 56
FloatArray = NDArray[np.float64]
_ERROR: Final = "error"
_LEVELS: Final = [0.05, 0.25, 0.5, 0.75, 0.95]


def error_distribution(forecasts: pd.DataFrame, grain: Grain = Grain.DAY, unit: str = "units") -> Any:
    """Four panels on the ensemble: histogram of errors, by horizon, reliability, WAPE by series volume.

    An error is the median forecast less the actual: above 0 means forecast too high. Everything is aggregated here, so
    the page does not grow with the number of series.
    """
    rows = scored(forecasts)
    model = main_model(rows)
    if model is None:
        return empty_figure(TITLE, "The backtest holds no row with both a forecast and an actual.")
    from plotly.subplots import make_subplots

    rows = with_horizon(rows[rows[MODEL] == model], grain)
    rows = rows.assign(**{_ERROR: rows[MEDIAN] - rows[ACTUAL]})
    fig = make_subplots(rows=2, cols=2, horizontal_spacing=0.11, vertical_spacing=0.24)
    _histogram(fig, rows, unit)
    _by_horizon(fig, rows, grain, unit)
    _reliability(fig, rows)
    _by_volume(fig, rows, grain)
    subtitle = (
        f"{model_label(model)}, {len(rows):,} scored forecasts · error = median − actual, "
        f"in {unit} per {grain} · bias of the mean {percent(_bias(rows), signed=True)}"
    )
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, subtitle),
        height=860,
        showlegend=False,
        bargap=0.06,
        margin={"t": 160},
    )
    return fig


def _bias(rows: pd.DataFrame) -> float:
    known = rows[rows[MEAN].notna()]
    total = float(known[ACTUAL].sum())
    return (float(known[MEAN].sum()) - total) / total if total > 0 else float("nan")


def _histogram(fig: Any, rows: pd.DataFrame, unit: str) -> None:
    errors = rows[_ERROR].to_numpy(dtype=float)
    edges = _edges(errors)
    reach = edges[-1]
    counts, _ = np.histogram(np.clip(errors, -reach, reach), bins=edges)
    middles = (edges[:-1] + edges[1:]) / 2
    fig.add_bar(
        x=middles,
        y=counts / errors.size,
        width=np.diff(edges) * 0.94,
        marker_color=PRIMARY,
        customdata=np.stack([edges[:-1], edges[1:]], axis=1),
        hovertemplate="%{customdata[0]:.3~g} to %{customdata[1]:.3~g} " + unit + ": %{y:.1%}<extra></extra>",
        row=1,
        col=1,
    )
    median = float(np.median(errors))
    fig.add_vline(x=0, line={"color": TEXT, "width": 1}, row=1, col=1)
    fig.update_xaxes(title_text=f"Error, {unit}", range=[-reach, reach], row=1, col=1)
    fig.update_yaxes(title_text="Share of forecasts", tickformat=".0%", row=1, col=1)
    low, high = (number(v) for v in np.quantile(errors, [0.05, 0.95]))
    note = f"median {number(median)}, 90 % between {low} and {high}; the outermost bars hold the rest"
    panel_title(fig, "Histogram of errors", 0, 1, note)


def _edges(errors: FloatArray) -> FloatArray:
    """At most BINS bins around 0 that reach the 98 % quantile. Whole errors get whole bins: no comb."""
    reach = max(float(np.quantile(np.abs(errors), 0.98)), 0.5)
    half = BINS // 2
    step = 2 * reach / BINS
    if np.array_equal(errors, np.round(errors)):
        step = float(np.ceil(reach / half))
        half = int(np.ceil(reach / step))
    edges: FloatArray = (np.arange(2 * half + 2, dtype=np.float64) - half - 0.5) * step
    return edges


def _by_horizon(fig: Any, rows: pd.DataFrame, grain: Grain, unit: str) -> None:
    # Long horizons are drawn in equal groups: more boxes than this cannot be told apart.
    step = int(np.ceil(rows[HORIZON].max() / MAX_BOXES))
    groups = ((rows[HORIZON] - 1) // step) * step + 1
    levels = rows.groupby(groups)[_ERROR].quantile(np.asarray(_LEVELS)).unstack()
    fig.add_box(
        x=levels.index,
        lowerfence=levels[0.05],
        q1=levels[0.25],
        median=levels[0.5],
        q3=levels[0.75],
        upperfence=levels[0.95],
        marker_color=PRIMARY,
        fillcolor=BAND_50,
        line={"width": 1.2, "color": PRIMARY},
        width=0.62 * step,
        row=1,
        col=2,
    )
    fig.update_xaxes(title_text=f"Horizon, {grain}s after the origin", row=1, col=2)
    fig.update_yaxes(title_text=f"Error, {unit}", row=1, col=2)
    panel_title(fig, "Error by horizon", 0.555, 1, "box: middle half of the errors; whiskers: 5 to 95 %")


def _reliability(fig: Any, rows: pd.DataFrame) -> None:
    """Observed share below each quantile. For counts, ties make it a range: P(y < q) to P(y <= q)."""
    known = rows[rows[list(QUANTILE_COLUMNS)].notna().all(axis=1)]
    actual = known[ACTUAL].to_numpy()[:, None]
    levels = known[list(QUANTILE_COLUMNS)].to_numpy()
    if len(known):
        below, reached = (actual < levels).mean(axis=0), (actual <= levels).mean(axis=0)
        add_hit_ranges(fig, below, reached, row=2, col=1)
        coverage = float(((actual[:, 0] >= levels[:, 0]) & (actual[:, 0] <= levels[:, -1])).mean())
        note = f"90 % interval holds {percent(coverage)} of actuals; bars: range that ties allow"
    else:
        note = f"{UNDEFINED}: the model gives no quantiles"
    fig.update_xaxes(title_text="Nominal quantile", range=[0, 1], tickformat=".0%", row=2, col=1)
    fig.update_yaxes(title_text="Observed share at or below", range=[0, 1.02], tickformat=".0%", row=2, col=1)
    panel_title(fig, "Reliability of the quantiles", 0, 0.38, note)


def _by_volume(fig: Any, rows: pd.DataFrame, grain: Grain) -> None:
    keys = [STORE_ID, ITEM_ID]
    volume = rows.groupby(keys, observed=True)[ACTUAL].mean().rename("volume")
    groups = min(GROUPS, len(volume))
    place = volume.rank(method="first") - 1
    group = (place * groups // len(volume)).astype(int).rename("group")
    table = errors_by(rows.join(group, on=keys), ["group"])
    means = volume.groupby(group).mean()
    names = [f"{number(means[g])}" for g in table["group"]]
    fig.add_bar(
        x=list(range(len(table))),
        y=table[WAPE],
        text=[percent(v) for v in table[WAPE]],
        textposition="outside",
        textfont={"color": MUTED},
        marker_color=PRIMARY,
        width=0.6,
        cliponaxis=False,
        hovertemplate="%{text} WAPE<extra></extra>",
        row=2,
        col=2,
    )
    fig.update_xaxes(
        title_text=f"Mean demand per {grain} of the group",
        tickvals=list(range(len(table))),
        ticktext=names,
        row=2,
        col=2,
    )
    fig.update_yaxes(title_text="WAPE", tickformat=".0%", rangemode="tozero", row=2, col=2)
    note = f"{len(volume):,} series" + (f" in {groups} equal groups, slow to fast" if groups > 1 else "")
    panel_title(fig, "WAPE by volume of the series", 0.555, 0.38, note)
