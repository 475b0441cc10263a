"""`index.html` of a run: its charts, its metrics and its model card on one page that opens offline."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import pandas as pd

from shelfops_pipeline.charts.numbers import METRIC_ORDER, SHORT_LABELS, UNDEFINED, defined, metric_value
from shelfops_pipeline.charts.theme import (
    BACKGROUND,
    FONT_STACK,
    GRID,
    LINE,
    MUTED,
    PRIMARY,
    TEXT,
    model_label,
    sort_models,
)
from shelfops_pipeline.charts.write import font_css
from shelfops_pipeline.contracts.columns import Grain

INDEX: Final = "index.html"
CHARTS: Final[Mapping[str, str]] = {
    "training_summary": "Training summary",
    "forecast_vs_actual": "Forecast vs actual",
    "tier_comparison": "Tier comparison",
    "error_distribution": "Error distribution",
    "feature_importance": "Feature importance",
}

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · ShelfOps</title>
<style>
$fonts
* { box-sizing: border-box; }
body { margin: 0; background: $background; color: $text; font: 15px/1.55 $stack; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 44px 0 12px; }
h1, h2, h3, th { font-weight: 600; }
a { color: $primary; text-decoration: none; }
a:hover { text-decoration: underline; }
.muted { color: $muted; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; }
.chart { border: 1px solid $line; border-radius: 8px; overflow: hidden; display: block; }
.chart img { display: block; width: 100%; aspect-ratio: 16 / 10; object-fit: cover; object-position: top left; }
.chart span { display: block; padding: 12px 16px; font-weight: 600; }
.chart img + span { border-top: 1px solid $grid; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid $grid; text-align: left; vertical-align: top; }
.metrics td + td, .metrics th + th { text-align: right; white-space: nowrap; }
.card { border-top: 1px solid $line; margin-top: 44px; padding-top: 4px; }
.card h1 { font-size: 22px; margin-top: 28px; }
code { background: $grid; border-radius: 4px; padding: 1px 5px; font-size: 90%; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="muted">$subtitle</p>
<h2>Charts</h2>
<div class="charts">$charts</div>
<h2>Metrics over all folds</h2>
<div class="scroll">$metrics</div>
$card
</main>
</body>
</html>
""")


@dataclass(frozen=True)
class ChartLink:
    """A chart of the page: where it is, and its picture if there is one."""

    title: str
    href: str
    png: bytes | None = None


def render_index(
    title: str,
    subtitle: str,
    charts: Sequence[ChartLink],
    metrics: pd.DataFrame,
    card: str | None = None,
    grain: Grain = Grain.DAY,
) -> str:
    """The page. `metrics` has columns tier, model, origin, metric, value, n; `card` is the model card's Markdown."""
    return _PAGE.substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        charts="\n".join(_chart(link) for link in charts) or f'<p class="muted">{UNDEFINED} (none was drawn)</p>',
        metrics=_metric_table(metrics, grain),
        card=f'<div class="card">{_markdown(card)}</div>' if card else "",
        fonts=font_css(),
        stack=FONT_STACK,
        background=BACKGROUND,
        text=TEXT,
        primary=PRIMARY,
        muted=MUTED,
        line=LINE,
        grid=GRID,
    )


def write_index(
    folder: Path,
    title: str,
    subtitle: str,
    metrics: pd.DataFrame,
    card: str | None = None,
    grain: Grain = Grain.DAY,
) -> Path:
    """Write `index.html` into the folder of a run's charts; it links those that are there, with their pictures."""
    links = []
    for name, label in CHARTS.items():
        page, picture = folder / f"{name}.html", folder / f"{name}.png"
        if page.is_file():
            links.append(ChartLink(label, page.name, _thumbnail(picture) if picture.is_file() else None))
    path = folder / INDEX
    path.write_text(render_index(title, subtitle, links, metrics, card, grain), encoding="utf-8")
    return path


def _thumbnail(picture: Path, width: int = 720) -> bytes:
    """A smaller copy: the page holds five, and should stay small enough to mail."""
    from io import BytesIO

    from PIL import Image

    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((width, 10 * width))
    out = BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


def _chart(link: ChartLink) -> str:
    source = f"data:image/png;base64,{base64.b64encode(link.png).decode()}" if link.png else ""
    image = f'<img src="{source}" alt="{escape(link.title)}">' if source else ""
    return f'<a class="chart" href="{escape(link.href)}">{image}<span>{escape(link.title)}</span></a>'


def _metric_table(metrics: pd.DataFrame, grain: Grain) -> str:
    rows = metrics[metrics["origin"].astype(str) == "all"]
    if rows.empty:
        return f'<p class="muted">{UNDEFINED} (the run had no backtest)</p>'
    values = {
        (str(t), str(m), str(k)): float(v)
        for t, m, k, v in zip(rows["tier"], rows["model"], rows["metric"], rows["value"], strict=True)
    }
    head = "".join(f"<th>{escape(h)}</th>" for h in ("Tier · model", *(SHORT_LABELS[m] for m in METRIC_ORDER)))
    lines = []
    for tier in sorted({t for t, _, _ in values}, reverse=True):
        for model in sort_models(m for t, m, _ in values if t == tier):
            cells = "".join(_cell(values.get((tier, model, metric)), metric) for metric in METRIC_ORDER)
            name = escape(f"{tier.replace('_', ' ')} · {model_label(model, grain)}")
            lines.append(f"<tr><td>{name}</td>{cells}</tr>")
    return f'<table class="metrics"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _cell(value: float | None, metric: str) -> str:
    quiet = "" if defined(value) else ' class="muted"'
    return f"<td{quiet}>{metric_value(metric, value).removesuffix(' units')}</td>"


def _markdown(text: str) -> str:
    """Markdown to HTML; HTML inside it is shown, not run."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
