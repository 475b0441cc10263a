"""SHAP pictures: the beeswarm of a model, the waterfall of one prediction in units. Matplotlib, Agg."""

import textwrap
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.charts.theme import DANGER, LINE, MUTED, PRIMARY, TEXT, shorten
from shelfops_pipeline.contracts.features import Feature
from shelfops_pipeline.explain.canvas import canvas, style, title_block
from shelfops_pipeline.explain.shap_values import Explanation, UnitExplanation
from shelfops_pipeline.explain.words import Categories, amount, reasons, signed

TOP: Final = 20
TOP_LOCAL: Final = 9
_NOTE: Final = 62  # letters of a note in one line
_FEWEST: Final = 7  # rows of a beeswarm for which there is room: its scale needs as much
_UNKNOWN: Final = "#C4C9D1"
Doubles = NDArray[np.float64]


def beeswarm(explanation: Explanation, about: str = "", top: int = TOP) -> Any:
    """One row per feature, strongest first; a point per explained forecast, coloured by the feature's value.

    Right of the line the feature raises the forecast; `about` says whose. Returns a matplotlib Figure.
    """
    strength = np.abs(explanation.values).mean(axis=0)
    order = np.argsort(-strength, kind="stable")[:top]
    with style():
        from matplotlib.colors import LinearSegmentedColormap

        tall = max(len(order), _FEWEST)
        fig, ax = canvas(10.5, 1.9 + 0.36 * tall)
        colours = LinearSegmentedColormap.from_list("value", [PRIMARY, "#A78BFA", DANGER])
        for place, column in enumerate(order):
            _swarm(
                ax,
                explanation.values[:, column],
                explanation.data[:, column],
                len(order) - 1 - place,
                colours,
            )
        ax.axvline(0, color=LINE, linewidth=1, zorder=0)
        names = [shorten(explanation.names[i], 34) for i in order]
        ax.set_yticks(range(len(order) - 1, -1, -1), names)
        ax.set_ylim(len(order) - tall - 0.8, len(order) - 0.2)
        ax.set_xlabel("SHAP value: change of log demand (0.1 is about 10 %)")
        n = len(explanation.values)
        shown = f"top {len(order)} of {len(explanation.names)} features, {n:,} forecast{'s' if n != 1 else ''}"
        title_block(fig, "What drives the forecast", f"{about}{' · ' if about else ''}{shown}")
        _value_scale(fig, ax, colours)
    return fig


def waterfall(
    explanation: Explanation,
    units: UnitExplanation,
    row: int,
    features: Sequence[Feature],
    title: str,
    caption: str = "",
    categories: Categories | None = None,
    per: str = "period",
    top: int = TOP_LOCAL,
) -> Any:
    """From the start to the prediction of one row, feature by feature, in units per `per`: a matplotlib Figure."""
    ordered = reasons(list(units.parts[row]), list(explanation.data[row]), features, categories)
    shown, rest = ordered[:top], sum(r.units for r in ordered[top:])
    steps = [(r.feature, r.note, r.units) for r in shown]
    if len(ordered) > top:
        steps.append((f"{len(ordered) - top} other features", "", rest))
    start, end = float(units.start[row]), float(units.prediction[row])
    with style():
        fig, ax = canvas(11.5, 2.2 + 0.58 * (len(steps) + 2), left=0.37)
        _bars(ax, start, end, [s[2] for s in steps])
        _step_labels(ax, steps, units.begins)
        ax.set_xlabel(f"Units per {per}")
        ax.xaxis.set_major_formatter(lambda value, _: amount(value))
        title_block(fig, title, caption)
    return fig


def _swarm(ax: Any, shap: Doubles, value: NDArray[np.float32], y: float, colours: Any) -> None:
    """Points of one feature, stacked where they are dense."""
    known = np.isfinite(value)
    rank = np.full(len(value), np.nan)
    if known.any():
        low, high = np.nanquantile(value, [0.05, 0.95])
        rank[known] = np.clip((value[known] - low) / (high - low), 0, 1) if high > low else 0.5
    height = _stacked(shap)
    style = {"s": 7, "linewidths": 0, "alpha": 0.85}
    ax.scatter(shap[~known], y + height[~known], color=_UNKNOWN, **style)
    ax.scatter(shap[known], y + height[known], c=rank[known], cmap=colours, vmin=0, vmax=1, **style)


def _stacked(shap: Doubles, bins: int = 120, reach: float = 0.36) -> Doubles:
    """Offsets in [-reach, reach] that spread points of equal SHAP value around the middle."""
    span = float(np.ptp(shap)) if len(shap) else 0.0
    cell = np.zeros(len(shap), dtype=np.int64) if span == 0 else ((shap - shap.min()) / span * bins).astype(np.int64)
    order = np.argsort(cell, kind="stable")
    sorted_cells = cell[order]
    first = np.searchsorted(sorted_cells, sorted_cells)
    place = np.empty(len(shap))
    place[order] = np.arange(len(shap)) - first
    side = np.where(place % 2 == 0, 1, -1) * np.ceil(place / 2)
    most = max(float(np.abs(side).max(initial=0)), 8.0)
    return side / most * reach


def _value_scale(fig: Any, ax: Any, colours: Any) -> None:
    from matplotlib.cm import ScalarMappable

    box = ax.get_position()
    bar = fig.colorbar(ScalarMappable(cmap=colours), cax=fig.add_axes((box.x1 + 0.015, box.y0, 0.008, box.height)))
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=MUTED)
    bar.set_label("Feature value (grey: unknown)", color=MUTED, labelpad=-14)


def _bars(ax: Any, start: float, end: float, parts: list[float]) -> None:
    levels = start + np.concatenate([[0.0], np.cumsum(parts)])
    rows = len(parts)
    y = np.arange(rows + 1, -1, -1)  # start on top, prediction at the bottom
    reach = max(float(levels.max()), 0.0) - min(float(levels.min()), 0.0) or 1.0
    ax.barh(y[0], start, height=0.5, color=LINE)
    ax.barh(y[1:-1], parts, left=levels[:-1], height=0.5, color=[PRIMARY if p >= 0 else DANGER for p in parts])
    ax.barh(y[-1], end, height=0.5, color=TEXT)
    for i in range(rows + 1):
        ax.plot([levels[i]] * 2, [y[i] - 0.25, y[i + 1] + 0.25], color=MUTED, linewidth=0.6, linestyle=":")
    texts = [amount(start), *(signed(p) for p in parts), amount(end)]
    rights = [start, *np.maximum(levels[:-1], levels[1:]), end]
    for height, text, right in zip(y, texts, rights, strict=True):
        ax.text(max(right, 0) + 0.012 * reach, height, text, va="center", fontsize=10)
    ax.set_xlim(min(float(levels.min()), 0.0) * 1.08, max(float(levels.max()), 0.0) + 0.12 * reach)
    ax.set_ylim(-0.7, rows + 1.7)
    ax.set_yticks([])
    ax.axvline(0, color=LINE, linewidth=1, zorder=0)


def _step_labels(ax: Any, steps: list[tuple[str, str, float]], begins: str) -> None:
    """Feature names with their reason below, left of the bars."""
    place = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
    ends = (("Start", f"{begins}, before any feature is known"), ("Prediction", "of the XGBoost member"))
    labels = [ends[0], *((name, why) for name, why, _ in steps), ends[1]]
    for i, (name, why) in enumerate(labels):
        lines = textwrap.wrap(textwrap.shorten(why, 2 * _NOTE - 8, placeholder=" …"), _NOTE, break_on_hyphens=False)
        y = len(labels) - 1 - i + 0.13 * len(lines)
        ax.text(-0.02, y, shorten(name, 40), fontsize=10, **place)
        for number, line in enumerate(lines):
            ax.text(-0.02, y - 0.28 - 0.22 * number, line, fontsize=8, color=MUTED, **place)
