"""Writes figures: HTML that opens offline (plotly.js and Inter inside), and PNG and PDF where a browser is found."""

import base64
import logging
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from shelfops_pipeline.charts.theme import BACKGROUND, FONT, FONT_STACK, FONT_WEIGHTS, FONTS

WIDTH: Final = 1200
"""Pixels; a figure's own layout gives its height."""
STATIC_FORMATS: Final = ("png", "pdf")
PLOTLY_JS: Final = "plotly.min.js"
HOW_TO_GET_BROWSER: Final = "install Chromium (apt-get install chromium), or run `kaleido_get_chrome`"

log = logging.getLogger(__name__)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{fonts}
body {{ margin: 0; background: {background}; font-family: {stack}; }}
#chart {{ max-width: 1400px; margin: 0 auto; padding: 8px 16px; }}
</style>
{plotly_js}
</head>
<body>
<div id="chart"></div>
<script>
const figure = {figure};
const draw = () => Plotly.newPlot("chart", figure.data, figure.layout, {config});
// Plotly measures labels when it draws, so the font has to be there first.
Promise.all({loads}.map((font) => document.fonts.load(font))).then(draw, draw);
</script>
</body>
</html>
"""


@cache
def font_css() -> str:
    """The @font-face rules with Inter inside, for pages that must show it offline."""
    rule = "@font-face {{ font-family: '{}'; font-weight: {}; src: url(data:font/woff2;base64,{}) format('woff2'); }}"
    fonts = {w: base64.b64encode((FONTS / f"{name}.woff2").read_bytes()) for w, name in FONT_WEIGHTS.items()}
    return "\n".join(rule.format(FONT, weight, data.decode()) for weight, data in fonts.items())


def figure_html(fig: Any) -> str:
    """`fig` as one HTML page that needs nothing from the network."""
    import json
    from html import escape

    title = fig.layout.title.text or "ShelfOps"
    return _PAGE.format(
        title=escape(f"{title} · ShelfOps"),
        fonts=font_css(),
        background=BACKGROUND,
        stack=FONT_STACK,
        plotly_js=_inlined(),
        figure=fig.to_json(engine="json").replace("</", "<\\/"),
        config=json.dumps({"responsive": True, "displaylogo": False}),
        loads=json.dumps([f"{weight} 12px {FONT}" for weight in FONT_WEIGHTS]),
    )


def write_figure(fig: Any, path_html: Path) -> list[Path]:
    """Write one figure; see `write_figures`."""
    return write_figures({path_html: fig})


def write_figures(figures: Mapping[Path, Any]) -> list[Path]:
    """Write each figure to its `.html` path and, where Chrome or Chromium is found, to `.png` and `.pdf` beside it.

    Returns the paths written. One browser draws them all. A file that cannot be drawn is logged, never fatal.
    """
    for path, fig in figures.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(figure_html(fig), encoding="utf-8")
    return [*figures, *_write_static(figures)]


def copy_pages(pages: Iterable[Path], folder: Path) -> None:
    """Copy pages of `write_figures` into `folder`, where they share one plotly.js beside them: 0.4 MB each, not 5."""
    from plotly.offline import get_plotlyjs

    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLOTLY_JS).write_text(get_plotlyjs(), encoding="utf-8")
    for page in pages:
        text = page.read_text(encoding="utf-8").replace(_inlined(), f'<script src="{PLOTLY_JS}"></script>', 1)
        (folder / page.name).write_text(text, encoding="utf-8")


def _inlined() -> str:
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"


@cache
def browser_path() -> str | None:
    """The browser that draws PNG and PDF: BROWSER_PATH, Kaleido's own download, or the system's; None if none.

    Its absence is logged once per process.
    """
    from choreographer.browsers.chromium import Chromium

    found = Chromium.find_browser(skip_local=False)
    if found is None:
        log.warning("Charts are HTML only, without PNG and PDF: no Chrome or Chromium found; %s", HOW_TO_GET_BROWSER)
    return found


def _write_static(figures: Mapping[Path, Any]) -> list[Path]:
    if not figures or browser_path() is None:
        return []
    import kaleido
    from choreographer.errors import ChromeNotFoundError

    jobs = [_job(fig, path, format_) for path, fig in figures.items() for format_ in STATIC_FORMATS]
    # MathJax would come from a CDN. Chromium's sandbox stays off (Kaleido's default): it does not start as
    # root with it.
    options = {"mathjax": False, "timeout": 60, "browser_cls": _browser_with_inter()}
    for job in jobs:
        job["path"].unlink(missing_ok=True)
    failures: tuple[Exception, ...]
    try:
        failures = kaleido.write_fig_from_object_sync(jobs, kopts=options) or ()
    except (ChromeNotFoundError, OSError, RuntimeError, TimeoutError) as error:
        failures = (error,)
    for failure in failures:
        log.warning("A chart lacks its PNG or PDF: %s: %s", type(failure).__name__, failure)
    return [job["path"] for job in jobs if job["path"].is_file()]


def _job(fig: Any, page: Path, format_: str) -> dict[str, Any]:
    size = {"width": WIDTH, "height": fig.layout.height or 600}
    scale = {"scale": 2} if format_ == "png" else {}
    return {"fig": fig, "path": page.with_suffix(f".{format_}"), "opts": {"format": format_, **size, **scale}}


def _browser_with_inter() -> Any:
    """Kaleido's Chromium, told by fontconfig about the bundled fonts.

    Plotly turns a figure into PNG through an SVG image, where the page's web fonts do not apply; a system
    font does. Without fontconfig (macOS, Windows) the PNG shows Inter where it is installed, and the next
    font of the stack where not.
    """
    from choreographer.browsers.chromium import Chromium

    class ChromiumWithInter(Chromium):
        def get_env(self) -> dict[str, str]:
            return {**super().get_env(), "FONTCONFIG_FILE": str(FONTS / "fonts.conf")}

    return ChromiumWithInter
