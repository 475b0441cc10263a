"""The pictures of a data set, before any model: what there is to learn, and what is missing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.charts.intermittency import intermittency
from shelfops_pipeline.charts.missingness import missingness
from shelfops_pipeline.charts.pictures import save_picture
from shelfops_pipeline.charts.promotion_lift import promotion_lift
from shelfops_pipeline.charts.seasonality import seasonality
from shelfops_pipeline.data.panel import Panel

PICTURES: Final[Mapping[str, Callable[[Panel], Any]]] = {
    "eda_seasonality": seasonality,
    "eda_promotion_lift": promotion_lift,
    "eda_intermittency": intermittency,
    "eda_missingness": missingness,
}
"""Name of the asset and of the file → what draws it."""


def write_eda(panel: Panel, folder: Path) -> dict[str, Path]:
    """Draw each picture of the data set to `folder/<name>.png`; the paths by name."""
    return {name: save_picture(draw(panel), folder / f"{name}.png") for name, draw in PICTURES.items()}
