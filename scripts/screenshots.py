"""Screenshots of a run's pages for docs/images/: `make screenshots`, after `make demo`.

Each page of a home's reports/ is opened in the system's Chromium and saved under its name, the pictures of the data and
of SHAP likewise; in few colours, so that a file stays below MOST_BYTES.
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from shelfops_pipeline.charts.write import HOW_TO_GET_BROWSER, browser_path
from shelfops_pipeline.contracts.bundle import SHAP_SUMMARY
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.settings import Settings

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES: Final = 300_000
WIDTH: Final = 1280
_NAMES: Final = {"index": "run_page"}
_INDEX_HEIGHT: Final = 1500  # of a page that goes on for long: the rest is tables


def main() -> None:
    """Take a picture of every page and picture of the home's latest run. Exits with one line where there is none."""
    settings = Settings()
    pages = sorted(settings.reports.glob("*.html"))
    if not pages:
        sys.exit(f"{settings.reports} holds no page: run `make demo` first, or set SHELFOPS_HOME")
    browser = browser_path()
    if browser is None:
        sys.exit(f"no browser: {HOW_TO_GET_BROWSER}")
    pictures = {path.stem: path for path in sorted(settings.reports.glob("eda_*.png"))}
    champion = Registry(settings.models).champion()
    if champion is not None:
        pictures["shap_summary"] = settings.models / champion.version / SHAP_SUMMARY
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        shots = {path.stem: screenshot(opened, path) for path in pages}
        opened.close()
    shots |= {name: path.read_bytes() for name, path in pictures.items() if path.is_file()}
    for name, content in shots.items():
        target = IMAGES / f"{_NAMES.get(name, name).replace('_', '-')}.png"
        target.write_bytes(small(content))
        print(f"{target.relative_to(Path.cwd())} {target.stat().st_size:,} bytes")


def screenshot(browser: Browser, path: Path) -> bytes:
    """The page as PNG: whole, or its beginning where it is long."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 400}, device_scale_factor=1.25)
    page.goto(path.as_uri())
    if path.stem != "index":
        page.wait_for_selector("#chart .main-svg")
    page.evaluate("document.fonts.ready")
    height = min(int(page.evaluate("document.documentElement.scrollHeight")), _INDEX_HEIGHT)
    page.set_viewport_size({"width": WIDTH, "height": height})
    content = page.screenshot()
    page.close()
    return content


def small(content: bytes) -> bytes:
    """The picture in as many colours as its limit allows, then smaller."""
    image = Image.open(BytesIO(content)).convert("RGB")
    for colors, share in ((256, 1.0), (128, 1.0), (64, 1.0), (64, 0.8), (32, 0.7)):
        drawn = image.resize((int(image.width * share), int(image.height * share))) if share < 1 else image
        out = BytesIO()
        drawn.quantize(colors).save(out, "PNG", optimize=True)
        if out.tell() < MOST_BYTES:
            return out.getvalue()
    raise ValueError(f"a picture of {image.width} x {image.height} pixels does not fit into {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
