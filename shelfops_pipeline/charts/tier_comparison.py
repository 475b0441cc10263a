"""Tier Comparison: every model and baseline in each feature tier: WAPE, MAE and coverage."""

from typing import Any, Final

import pandas as pd

from shelfops_pipeline.charts.layout import empty_figure, heading, panel_title
from shelfops_pipeline.charts.numbers import METRIC_LABELS, SHARES, defined, metric_value
from shelfops_pipeline.charts.theme import MUTED, TEXT, model_color, model_label, sort_models, use_theme
from shelfops_pipeline.contracts.columns import Grain

TITLE: Final = "Tier comparison"
ALL: Final = "all"
PANELS: Final = ("wape", "mae", "coverage_90")
NOMINAL_COVERAGE: Final = 0.9
_ROW: Final = 30
_HEAD: Final = 96


def tier_comparison(metrics: pd.DataFrame, grain: Grain = Grain.DAY) -> Any:
    """Bars by model (rows), metric (columns) and tier (blocks); whiskers show the lowest and highest fold.

    `metrics` has columns tier, model, origin (a date, or "all"), metric, value, n. An undefined value is
    written out, not drawn.
    """
    known = metrics[metrics["metric"].isin(PANELS)]
    tiers = sorted(known["tier"].astype(str).unique(), reverse=True)  # production first
    models = sort_models(known["model"].unique())
    if not tiers or not models:
        return empty_figure(TITLE, "No metric was computed: the run had no backtest.")
    from plotly.subplots import make_subplots

    labels = {model: model_label(model, grain) for model in models}
    height = (_ROW * len(models) + _HEAD) * len(tiers) + 130
    gap = _HEAD / (height - 200) if len(tiers) > 1 else 0.0
    fig = make_subplots(
        rows=len(tiers), cols=len(PANELS), shared_yaxes=True, horizontal_spacing=0.05, vertical_spacing=gap
    )
    for row, tier in enumerate(tiers, start=1):
        for col, metric in enumerate(PANELS, start=1):
            values = known[(known["tier"].astype(str) == tier) & (known["metric"] == metric)]
            _panel(fig, values, metric, labels, row, col)
            axis = fig.get_subplot(row, col)
            note = _tier_note(values) if col == 1 else ""
            title = f"MAE, units per {grain}" if metric == "mae" else METRIC_LABELS[metric]
            text = f"{_tier_name(tier)} tier · {title}" if col == 1 else title
            panel_title(fig, text, axis.xaxis.domain[0], axis.yaxis.domain[1], note)
    _arrange(fig, list(labels.values()), height)
    return fig


def _arrange(fig: Any, labels: list[str], height: int) -> None:
    fig.update_yaxes(
        range=[len(labels) - 0.5, -0.5],  # first model on top
        tickvals=list(range(len(labels))),
        ticktext=labels,
        tickfont={"color": TEXT},
        zeroline=False,
        showgrid=False,
    )
    fig.update_layout(
        template=use_theme(),
        title=heading(
            TITLE, "Models and baselines on the same rows, all folds together; whiskers: lowest and highest fold"
        ),
        height=height,
        showlegend=False,
        bargap=0.35,
        margin={"t": 150, "b": 50},
    )


def _tier_name(tier: str) -> str:
    return tier.replace("_", " ").capitalize()


def _tier_note(values: pd.DataFrame) -> str:
    overall = values[values["origin"].astype(str) == ALL]
    return f"{int(overall['n'].max()):,} scored forecasts" if len(overall) and overall["n"].notna().any() else ""


def _panel(fig: Any, values: pd.DataFrame, metric: str, labels: dict[str, str], row: int, col: int) -> None:
    models, place = list(labels), {"row": row, "col": col}
    is_all = values["origin"].astype(str) == ALL
    overall = values[is_all].drop_duplicates("model").set_index("model")["value"]
    folds = values[~is_all].groupby("model", observed=True)["value"].agg(["min", "max"])
    shown = [m for m in models if defined(overall.get(m))]
    missing = [m for m in models if m not in shown]
    spread = folds.reindex(shown)
    bars = [float(overall[m]) for m in shown]
    tops = [max(bar, high) if defined(high) else bar for bar, high in zip(bars, spread["max"], strict=True)]
    fig.add_bar(
        orientation="h",
        x=bars,
        y=[models.index(m) for m in shown],
        marker_color=[model_color(m) for m in shown],
        error_x={
            "array": [top - bar for top, bar in zip(tops, bars, strict=True)],
            "arrayminus": [
                max(bar - low, 0) if defined(low) else 0 for bar, low in zip(bars, spread["min"], strict=True)
            ],
            "color": TEXT,
            "thickness": 1,
            "width": 3,
        },
        customdata=[[metric_value(metric, bar), labels[m]] for m, bar in zip(shown, bars, strict=True)],
        hovertemplate="%{customdata[1]}: %{customdata[0]}<extra></extra>",
        **place,
    )
    for model, at, value in [*zip(shown, tops, bars, strict=True), *((m, 0.0, None) for m in missing)]:
        fig.add_annotation(
            x=at,
            y=models.index(model),
            text=metric_value(metric, value).removesuffix(" units"),
            showarrow=False,
            xanchor="left",
            xshift=6,
            font={"size": 12, "color": MUTED if value is None else TEXT},
            **place,
        )
    _scale(fig, metric, tops, place)


def _scale(fig: Any, metric: str, tops: list[float], place: dict[str, int]) -> None:
    """The axis of values, with room for what is written beside the bars."""
    reach = max([*tops, NOMINAL_COVERAGE if metric == "coverage_90" else 0.0]) * 1.32 or 1.0
    fig.update_xaxes(range=[0, reach], tickformat=".0%" if metric in SHARES else None, nticks=5, **place)
    if metric == "coverage_90":
        fig.update_xaxes(tickvals=[0, 0.25, 0.5, 0.75, 0.9], **place)
        fig.add_vline(x=NOMINAL_COVERAGE, line={"color": TEXT, "width": 1, "dash": "dot"}, **place)
