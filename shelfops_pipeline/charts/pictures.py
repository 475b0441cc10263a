"""Pictures by seaborn and matplotlib with the standard's tokens: outside pyplot's global state, saved by one helper."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.charts.theme import BACKGROUND, FONT, FONTS, GRID, LINE, MUTED, PRIMARY, TEXT, shorten

DPI: Final = 160
BOLD: Final = [f"{FONT} SemiBold", "DejaVu Sans"]
BLUES: Final = ("#BFDBFE", "#60A5FA", PRIMARY, "#1E3A8A")
"""From light to dark, around the primary colour: for what has an order."""
TOKENS: Final = {
    "font.family": [FONT, "DejaVu Sans"],
    "font.size": 10,
    "text.color": TEXT,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.parse_math": False,
}
"""The theme in Matplotlib's words. Between two dollars of a name stands no formula: some would not even parse."""
_HEAD: Final = 1.3
"""Inches above the axes: the title, its caption, and the first panel's heading."""


@contextmanager
def picture_style() -> Iterator[None]:
    """Fonts and colours of everything drawn inside; outside of it nothing changes."""
    import matplotlib as mpl
    import seaborn as sns

    register_inter()
    tokens = TOKENS | {
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GRID,
        "xtick.bottom": False,
        "ytick.left": False,
        "legend.frameon": False,
    }
    with mpl.rc_context(sns.axes_style("whitegrid") | tokens):
        yield


@cache
def register_inter() -> None:
    """Make the bundled fonts known to Matplotlib."""
    from matplotlib import font_manager

    for path in FONTS.glob("*.ttf"):
        font_manager.fontManager.addfont(path)


def new_picture(title: str, caption: str, height: float, width: float = 11.0) -> Any:
    """An empty matplotlib Figure, in inches, with its heading; draw below `body_top`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), facecolor=BACKGROUND)
    FigureCanvasAgg(fig)
    top = 1 - 0.2 / height
    fig.text(0.02, top, shorten(title, 90), family=BOLD, fontsize=15, va="top")
    fig.text(0.02, top - 0.33 / height, shorten(caption, 130), color=MUTED, fontsize=10, va="top")
    return fig


def body_top(fig: Any) -> float:
    """The height, as a share of the picture, up to which its panels reach."""
    return 1 - _HEAD / float(fig.get_figheight())


def panel_heading(ax: Any, title: str, note: str = "") -> None:
    """A left-aligned heading above one panel, with a quieter note beside it."""
    ax.set_title("")
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    named = ax.annotate(title, (0, 1), (0, 9), family=BOLD, fontsize=11, **place)
    if note:
        ax.annotate(note, (1, 0), (8, 1), xycoords=named, textcoords="offset points", color=MUTED, fontsize=9)


def unit_axis(ax: Any, top: float) -> None:
    """From 0 to a little above `top`, upwards, with short numbers: 12.5 M, 800 k."""
    ax.set_ylim(0, 1.12 * top if top > 0 else 1)  # NaN: nothing was drawn
    ax.yaxis.set_major_formatter(lambda value, _: _short(value))


def _short(value: float) -> str:
    for least, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def date_axis(ax: Any) -> None:
    """Few, short dates across."""
    from matplotlib import dates

    untyped: Any = dates
    locator = untyped.AutoDateLocator(maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator, show_offset=False))


def ranges(ax: Any, frame: Any, **axes: Any) -> None:
    """By category: the median as a point, the middle half as a thick line, 90 % as a thin one; seaborn's arguments.

    Seaborn 0.13's boxplot uses what Matplotlib 3.13 will no longer have.
    """
    import seaborn as sns

    for share, width in ((90, 1.2), (50, 6.0)):
        line = {"linestyle": "none", "marker": "o", "markersize": 5, "err_kws": {"linewidth": width, "alpha": 0.55}}
        sns.pointplot(frame, estimator="median", errorbar=("pi", share), ax=ax, color=PRIMARY, **line, **axes)


def empty_picture(title: str, reason: str) -> Any:
    """A picture that says why there is nothing to draw."""
    with picture_style():
        fig = new_picture(title, "Nothing to draw", 3.2)
        fig.text(0.5, 0.42, shorten(reason, 120), color=MUTED, fontsize=11, ha="center")
    return fig


def save_picture(fig: Any, path: Path, *, tight: bool = False) -> Path:
    """Write a picture as PNG, whole or not at all; `tight` cuts it to what is drawn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    cut = {"bbox_inches": "tight", "pad_inches": 0.3} if tight else {}
    fig.savefig(draft, format="png", dpi=DPI, facecolor=BACKGROUND, **cut)
    draft.replace(path)
    return path
