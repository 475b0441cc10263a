"""Accuracy by Horizon: how error, bias and coverage change with the periods after the origin."""

from typing import Any, Final

import pandas as pd

from shelfops_pipeline.charts.layout import LEGEND_BELOW, empty_figure, heading, panel_title
from shelfops_pipeline.charts.score_tables import best_baseline, main_tier, subtitle, wide
from shelfops_pipeline.charts.theme import BASELINES, ENSEMBLE, TEXT, model_color, model_label, use_theme
from shelfops_pipeline.contracts.columns import Grain

TITLE: Final = "Accuracy by horizon"
NOMINAL_COVERAGE: Final = 0.9


def accuracy_by_horizon(scores: pd.DataFrame, grain: Grain = Grain.DAY) -> Any:
    """WAPE of every model by period after the origin; bias of the mean and coverage of the 90 % interval below.

    `scores` has contracts.columns.SCORE_COLUMNS.
    """
    tier = main_tier(scores)
    wape = pd.DataFrame() if tier is None else wide(scores, tier, "horizon", "wape")
    if tier is None or not wape.notna().any(axis=None):
        return empty_figure(TITLE, "The backtest holds no row with both a forecast and an actual.")
    from plotly.subplots import make_subplots

    specs: list[list[dict[str, int] | None]] = [[{"colspan": 2}, None], [{}, {}]]
    fig = make_subplots(
        rows=2, cols=2, specs=specs, vertical_spacing=0.24, horizontal_spacing=0.1, row_heights=[0.6, 0.4]
    )
    best = best_baseline(scores, tier)
    _errors(fig, wape, best, grain)
    _bias(fig, wide(scores, tier, "horizon", "bias"), best, grain)
    _coverage(fig, wide(scores, tier, "horizon", "coverage_90"), grain)
    fig.update_xaxes(title_text=f"{grain.capitalize()}s after the origin", rangemode="tozero")
    fig.update_yaxes(tickformat=".0%")
    fig.update_layout(
        template=use_theme(),
        title=heading(TITLE, subtitle(scores, tier)),
        height=860,
        margin={"t": 150, "b": 110},
        legend={**LEGEND_BELOW, "y": -0.13},
        hovermode="x unified",
    )
    return fig


def _errors(fig: Any, wape: pd.DataFrame, best: str | None, grain: Grain) -> None:
    for model in wape.columns:
        _line(fig, wape[model], model, grain, 1, 1, faint=model in BASELINES and model != best)
    fig.update_yaxes(rangemode="tozero", row=1, col=1)
    panel_title(fig, "WAPE", 0, 1, "absolute error over demand, all folds together, the same rows for all")


def _bias(fig: Any, bias: pd.DataFrame, best: str | None, grain: Grain) -> None:
    for model in bias.columns.intersection([ENSEMBLE, *([] if best is None else [best])]):
        _line(fig, bias[model], model, grain, 2, 1, legend=False)
    fig.add_hline(y=0, line={"color": TEXT, "width": 1}, row=2, col=1)
    named = "" if best is None else f" and {model_label(best, grain).lower()}"
    panel_title(fig, "Bias of the mean", 0, _top(fig, 2, 1), f"ensemble{named}; above 0: forecast too high")


def _coverage(fig: Any, coverage: pd.DataFrame, grain: Grain) -> None:
    known = [NOMINAL_COVERAGE]
    if ENSEMBLE in coverage:
        _line(fig, coverage[ENSEMBLE], ENSEMBLE, grain, 2, 2, legend=False)
        known += coverage[ENSEMBLE].dropna().tolist()
    fig.add_hline(y=NOMINAL_COVERAGE, line={"color": TEXT, "width": 1, "dash": "dot"}, row=2, col=2)
    fig.update_yaxes(range=[max(min(known) - 0.08, 0), min(max(known) + 0.05, 1.01)], row=2, col=2)
    note = "ensemble: share of actuals inside; dotted: as it should be"
    panel_title(fig, "Coverage of the 90 % interval", 0.55, _top(fig, 2, 2), note)


def _top(fig: Any, row: int, col: int) -> float:
    return float(fig.get_subplot(row, col).yaxis.domain[1])


def _line(
    fig: Any,
    values: pd.Series,
    model: str,
    grain: Grain,
    row: int,
    col: int,
    *,
    faint: bool = False,
    legend: bool = True,
) -> None:
    fig.add_scatter(
        x=values.index.astype(int),
        y=values,
        name=model_label(model, grain),
        mode="lines+markers" if len(values) < 8 else "lines",
        line={
            "color": model_color(model),
            "width": 3 if model == ENSEMBLE else 1.6,
            "dash": "dot" if faint else "solid",
        },
        legendgroup=model,
        showlegend=legend,
        hovertemplate="%{y:.1%}",
        row=row,
        col=col,
    )
