"""A real browser for the tests of pages: the system's Chromium, driven by Playwright, without a network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
DRAWN = "document.querySelector('#chart.js-plotly-plot')?.data"
"""The traces of a chart's page, in the page's own language."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def open_page(browser: Any, path: Path) -> tuple[Any, list[str]]:
    """(page, what went wrong on it so far): errors of the console and of scripts, failed requests, requests that leave
    the machine."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(f"{request.url[:200]}: {request.failure}"))
    page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
    page.goto(path.as_uri())
    return page, trouble


def wait_until_drawn(page: Any) -> None:
    """Until Plotly has drawn the page's chart."""
    page.wait_for_function(DRAWN, timeout=15_000)
    page.wait_for_selector("#chart .main-svg")
