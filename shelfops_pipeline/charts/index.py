"""`index.html` of a run: gate, charts, pictures, metrics and model cards on one page that opens offline."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import pandas as pd

from shelfops_pipeline.charts.numbers import METRIC_ORDER, SHORT_LABELS, UNDEFINED, defined, metric_value, number
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
_WIDTH: Final = 720
_COLORS: Final = 96

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
.chart div { aspect-ratio: 16 / 10; overflow: hidden; border-bottom: 1px solid $grid; }
.chart img { display: block; width: 100%; }
.chart span { display: block; padding: 12px 16px; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid $grid; text-align: left; vertical-align: top; }
.metrics td + td, .metrics th + th { text-align: right; white-space: nowrap; }
.badge { background: $grid; border-radius: 99px; padding: 2px 10px; font-size: 12px; white-space: nowrap; }
.badge.champion { background: $primary; color: $background; }
summary { cursor: pointer; font-size: 18px; font-weight: 600; margin-top: 44px; }
.card { border-top: 1px solid $line; margin-top: 12px; padding-top: 4px; }
.card h1 { font-size: 22px; margin-top: 28px; }
code { background: $grid; border-radius: 4px; padding: 1px 5px; font-size: 90%; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="muted">$subtitle</p>
<h2>Gate</h2>
<div class="scroll">$gate</div>
$galleries
<h2>Metrics over all folds</h2>
<div class="scroll">$metrics</div>
$cards
</main>
</body>
</html>
""")


@dataclass(frozen=True)
class Link:
    """A chart or picture of the page: where it is, and a small copy of it if there is one."""

    title: str
    href: str
    png: bytes | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate said of one version, and what the version is now."""

    version: str
    tier: str
    status: str
    mae: float
    reason: str


@dataclass(frozen=True)
class RunPage:
    """All that the page of a run shows."""

    title: str
    subtitle: str
    metrics: pd.DataFrame
    """Columns tier, model, origin, metric, value, n."""
    verdicts: Sequence[Verdict] = ()
    galleries: Mapping[str, Sequence[Link]] = field(default_factory=dict)
    """Heading → charts or pictures."""
    cards: Mapping[str, str] = field(default_factory=dict)
    """Heading → a model card's Markdown; the first is shown, the others unfold."""
    grain: Grain = Grain.DAY


def render_index(page: RunPage) -> str:
    """The page as HTML, with Inter and the small pictures inside."""
    galleries = {name: links for name, links in page.galleries.items() if links}
    return _PAGE.substitute(
        title=escape(page.title),
        subtitle=escape(page.subtitle),
        gate=_gate_table(page.verdicts, page.grain),
        galleries="\n".join(_gallery(name, links) for name, links in galleries.items())
        or f'<h2>Charts</h2>\n<p class="muted">{UNDEFINED} (none was drawn)</p>',
        metrics=_metric_table(page.metrics, page.grain),
        cards="\n".join(_card(i, heading, text) for i, (heading, text) in enumerate(page.cards.items())),
        fonts=font_css(),
        stack=FONT_STACK,
        background=BACKGROUND,
        text=TEXT,
        primary=PRIMARY,
        muted=MUTED,
        line=LINE,
        grid=GRID,
    )


def small_copy(picture: Path) -> bytes | None:
    """A smaller PNG of fewer colours, or None where there is no picture: the page holds many, and is to stay small."""
    return _small(picture.read_bytes()) if picture.is_file() else None


@lru_cache(maxsize=64)
def _small(content: bytes) -> bytes:
    """The pages of one run show the same pictures."""
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        small = image.convert("RGB")
        small.thumbnail((_WIDTH, 10 * _WIDTH), reducing_gap=2.0)
    out = BytesIO()
    small.quantize(_COLORS, method=Image.Quantize.FASTOCTREE).save(out, "PNG")
    return out.getvalue()


def _gallery(heading: str, links: Sequence[Link]) -> str:
    tiles = "\n".join(_tile(link) for link in links)
    return f'<h2>{escape(heading)}</h2>\n<div class="charts">{tiles}</div>'


def _tile(link: Link) -> str:
    source = f"data:image/png;base64,{base64.b64encode(link.png).decode()}" if link.png else ""
    image = f'<div><img src="{source}" alt="{escape(link.title)}"></div>' if source else ""
    return f'<a class="chart" href="{escape(link.href)}">{image}<span>{escape(link.title)}</span></a>'


def _gate_table(verdicts: Sequence[Verdict], grain: Grain) -> str:
    if not verdicts:
        return f'<p class="muted">{UNDEFINED} (no version is registered)</p>'
    head = "".join(f"<th>{h}</th>" for h in ("Version", "Tier", "Status", f"MAE, units per {grain}", "Last decision"))
    rows = "".join(
        f"<tr><td>{escape(v.version)}</td><td>{escape(v.tier.replace('_', ' '))}</td>"
        f'<td><span class="badge {escape(v.status)}">{escape(v.status)}</span></td>'
        f"<td>{number(v.mae)}</td><td>{escape(v.reason)}</td></tr>"
        for v in verdicts
    )
    return f'<table class="gate"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _card(place: int, heading: str, text: str) -> str:
    shown = "" if place else " open"
    return f'<details{shown}><summary>{escape(heading)}</summary><div class="card">{_markdown(text)}</div></details>'


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
