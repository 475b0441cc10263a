"""The picture of the LSTM's attribution: which inputs matter, and how far back its memory reaches."""

from typing import Any, Final

from shelfops_pipeline.charts.theme import GRID, MODEL_COLORS, MUTED, PRIMARY, TEXT, shorten
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.explain.canvas import canvas, style, title_block
from shelfops_pipeline.explain.recurrent import FUTURE, HISTORY, STATIC

TOP: Final = 20
_FEWEST_AGES: Final = 7
_PARTS: Final = {
    HISTORY: ("recent past", MODEL_COLORS["xgboost"]),
    FUTURE: ("the target period, as known in advance", PRIMARY),
    STATIC: ("store and item", MODEL_COLORS["lstm"]),
}
_NAMES: Final = {
    "demand": "demand",
    "observed": "periods with a record",
    "promo": "promotions",
    "holiday": "holidays",
    "closures": "closures",
    "horizon": "how far ahead",
    "day_of_month": "day of the month",
    "payday_distance": "distance to payday",
}
_AXIS: Final = "Mean absolute change of log demand (0.1 is about 10 %)"


def attribution(importance: dict[str, Any], grain: Grain, caption: str = "", top: int = TOP) -> Any:
    """The inputs as bars, strongest first, and the history by age below; `importance` as in lstm_importance.json.

    Returns a matplotlib Figure.
    """
    rows = importance["inputs"][:top]
    height = 5.1 + 0.3 * len(rows)
    with style():
        fig, ax = canvas(10.5, height)
        ax.set_position((0.3, 3.9 / height, 0.64, 0.3 * len(rows) / height))
        _inputs(ax, rows)
        _ages(fig.add_axes((0.3, 0.75 / height, 0.64, 1.9 / height)), importance["history"], grain)
        title_block(fig, "What drives the LSTM", caption)
    return fig


def _inputs(ax: Any, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows) - 1, -1, -1)
    strength = [row["mean_abs"] for row in rows]
    reach = max(strength, default=0.0) or 1.0
    ax.barh(places, strength, height=0.62, color=[_PARTS[row["part"]][1] for row in rows])
    ax.set_yticks(places, [shorten(_label(row), 34) for row in rows])
    for place, value in zip(places, strength, strict=True):
        ax.text(value + 0.01 * reach, place, f"{value:.2g}", va="center", fontsize=9, color=MUTED)
    ax.set_xlim(0, 1.12 * reach)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel(_AXIS)
    handles = [ax.scatter([], [], marker="s", color=colour, label=said) for said, colour in _PARTS.values()]
    look = {"ncols": 3, "frameon": False, "fontsize": 9, "handletextpad": 0.3, "columnspacing": 1.4}
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1), **look)


def _ages(ax: Any, history: list[dict[str, Any]], grain: Grain) -> None:
    ages = [row["periods_ago"] for row in history]
    ax.bar(ages, [row["mean_abs"] for row in history], width=0.75, color=_PARTS[HISTORY][1])
    ax.set_xlim(max(*ages, _FEWEST_AGES) + 0.5, -0.5)  # the past on the left
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(length=0)
    ax.grid(axis="y", color=GRID)
    ax.set_axisbelow(True)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel(f"{grain.value.capitalize()}s before the last one that is known")
    ax.set_title(
        f"How far back the past counts: the same measure, by {grain.value}", loc="left", fontsize=10, color=TEXT
    )


def _label(row: dict[str, Any]) -> str:
    name = _NAMES.get(row["input"], row["input"].replace("_", " "))
    return f"past {name}" if row["part"] == HISTORY else name
