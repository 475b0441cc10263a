"""The standard's design tokens, and the Plotly template made of them. No chart spells a font itself."""

from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.contracts.columns import Grain

PRIMARY: Final = "#2563EB"
BACKGROUND: Final = "#FFFFFF"
GRID: Final = "#F3F4F6"
FONT: Final = "Inter"
BASE_TEMPLATE: Final = "plotly_white"
TEMPLATE: Final = "shelfops"

TEXT: Final = "#111827"
MUTED: Final = "#6B7280"
LINE: Final = "#D1D5DB"
DANGER: Final = "#DC2626"
BAND_90: Final = "rgba(37, 99, 235, 0.14)"
BAND_50: Final = "rgba(37, 99, 235, 0.26)"
FONT_STACK: Final = f"{FONT}, system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

FONTS: Final = Path(__file__).parent / "fonts"
FONT_WEIGHTS: Final = {400: "Inter-Regular", 600: "Inter-SemiBold"}

ENSEMBLE: Final = "ensemble"
MODEL_COLORS: Final = {
    ENSEMBLE: PRIMARY,
    "xgboost": "#0D9488",
    "lstm": "#D97706",
    "seasonal_naive": "#9CA3AF",
    "seasonal_mean": "#7C8594",
    "seasonal_promo_mean": "#5B6472",
    "profile_mean": "#B6BDC8",
}
MODEL_LABELS: Final = {
    ENSEMBLE: "Ensemble",
    "xgboost": "XGBoost",
    "lstm": "LSTM",
    "seasonal_naive": "Seasonal naive",
    "seasonal_mean": "Weekday mean",
    "seasonal_promo_mean": "Weekday × promo mean",
    "profile_mean": "Store-category profile",
}
_WEEKLY_LABELS: Final = {
    "seasonal_naive": "Naive (last week)",
    "seasonal_mean": "4-week mean",
    "seasonal_promo_mean": "13-week mean × promo",
}
"""A week has no weekday: these baselines are plain there."""
BASELINES: Final = ("seasonal_naive", "seasonal_mean", "seasonal_promo_mean", "profile_mean")
_OTHER_COLORS: Final = ("#7C3AED", "#DB2777", "#65A30D", "#0891B2")


def model_color(model: str) -> str:
    """The colour of a model; a name that is not known here gets a stable one of its own."""
    return MODEL_COLORS.get(model) or _OTHER_COLORS[sum(model.encode()) % len(_OTHER_COLORS)]


def model_label(model: str, grain: Grain = Grain.DAY) -> str:
    """The name of a model as a reader sees it."""
    labels = MODEL_LABELS | (_WEEKLY_LABELS if grain is Grain.WEEK else {})
    return labels.get(model, shorten(model.replace("_", " ").capitalize(), 28))


def sort_models(models: Any) -> list[str]:
    """Models in reading order: ours first, then the baselines, then what is not known here."""
    known = {name: i for i, name in enumerate(MODEL_LABELS)}
    return sorted({str(m) for m in models}, key=lambda m: (known.get(m, len(known)), m))


def shorten(text: str, width: int) -> str:
    """`text` cut in the middle to at most `width` characters, so that both ends stay readable."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 3
    return f"{text[: width - 1 - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"


def use_theme() -> str:
    """Register the `shelfops` template (plotly_white with the tokens above) and return its name."""
    import plotly.graph_objects as go
    import plotly.io as pio

    if TEMPLATE not in pio.templates:
        base = pio.templates[BASE_TEMPLATE].to_plotly_json()
        ours = go.layout.Template(layout=_layout())
        pio.templates[TEMPLATE] = go.layout.Template(base).update(ours.to_plotly_json())
    return TEMPLATE


def _layout() -> dict[str, Any]:
    axis = {
        "gridcolor": GRID,
        "linecolor": LINE,
        "zerolinecolor": LINE,
        "zerolinewidth": 1,
        "automargin": True,
        "title": {"font": {"size": 12, "color": MUTED}, "standoff": 12},
        "tickfont": {"size": 12, "color": MUTED},
    }
    title = {"font": {"size": 20, "weight": 600}, "x": 0.02, "xref": "container", "xanchor": "left"}
    title |= {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 22}}
    return {
        "font": {"family": FONT_STACK, "size": 13, "color": TEXT},
        "title": title,
        "paper_bgcolor": BACKGROUND,
        "plot_bgcolor": BACKGROUND,
        "colorway": [PRIMARY, *list(MODEL_COLORS.values())[1:]],
        "xaxis": axis,
        "yaxis": axis,
        "hoverlabel": {"bgcolor": BACKGROUND, "bordercolor": LINE, "font": {"family": FONT_STACK, "color": TEXT}},
        "legend": {"font": {"size": 12}, "bgcolor": "rgba(255,255,255,0)"},
        "margin": {"l": 72, "r": 32, "t": 104, "b": 64},
    }
