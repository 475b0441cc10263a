"""What the pictures of this room share: the standard's look on a Matplotlib figure of its own, and writing it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shelfops_pipeline.charts.pictures import BOLD, TOKENS, register_inter, save_picture
from shelfops_pipeline.charts.theme import BACKGROUND, GRID, MUTED, TEXT, shorten


def save_figure(fig: Any, path: Path) -> None:
    """Write a figure of this module as PNG."""
    save_picture(fig, path, tight=True)


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn."""
    import matplotlib as mpl

    register_inter()
    settings: Any = TOKENS | {"ytick.color": TEXT, "axes.unicode_minus": True}
    with mpl.rc_context(settings):
        yield


def canvas(width: float, height: float, left: float = 0.3) -> tuple[Any, Any]:
    """A figure of its own, outside pyplot's global state, and its axes; `left` is the share that labels get."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), facecolor=BACKGROUND)
    FigureCanvasAgg(fig)
    ax = fig.add_axes((left, 0.8 / height, 0.92 - left, 1 - 1.7 / height))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(length=0)
    ax.grid(axis="x", color=GRID)
    ax.set_axisbelow(True)
    return fig, ax


def title_block(fig: Any, title: str, caption: str) -> None:
    """The title and, below it, what the picture is about."""
    top = 1 - 0.25 / fig.get_figheight()
    fig.text(0.015, top, shorten(title, 90), family=BOLD, fontsize=15, va="top")
    fig.text(0.015, top - 0.34 / fig.get_figheight(), shorten(caption, 120), color=MUTED, va="top")
