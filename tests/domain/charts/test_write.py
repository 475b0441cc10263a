"""Pages on disk: they open offline in a browser, with Inter, without an error, and stay small."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shelfops_pipeline.charts import write
from shelfops_pipeline.charts.error_distribution import error_distribution
from shelfops_pipeline.charts.feature_importance import feature_importance
from shelfops_pipeline.charts.forecast_vs_actual import forecast_vs_actual
from shelfops_pipeline.charts.index import CHARTS, write_index
from shelfops_pipeline.charts.tier_comparison import tier_comparison
from shelfops_pipeline.charts.training_summary import training_summary
from shelfops_pipeline.charts.write import write_figure, write_figures

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory,
    forecasts: pd.DataFrame,
    metrics: pd.DataFrame,
    importance: list[dict[str, Any]],
) -> Path:
    """A run's folder with its five charts, PNGs where there is a browser, and the index."""
    folder = tmp_path_factory.mktemp("a run")
    figures = {
        "forecast_vs_actual": forecast_vs_actual(forecasts),
        "feature_importance": feature_importance(importance),
        "error_distribution": error_distribution(forecasts),
        "tier_comparison": tier_comparison(metrics),
        "training_summary": training_summary(forecasts, metrics, {"Version": "v1 <script>alert(1)</script>"}),
    }
    write_figures({folder / f"{name}.html": fig for name, fig in figures.items()})
    write_index(folder, "v1", "simulated", metrics, "# Card\n\n| a | b |\n|---|---|\n| 1 | <b>2</b> |\n")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def open_page(browser: Any, path: Path) -> tuple[Any, list[str]]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
    page.goto(path.as_uri())
    return page, trouble


@needs_browser
@pytest.mark.parametrize("name", list(CHARTS))
def test_a_chart_opens_offline_with_traces_and_inter(browser: Any, run_folder: Path, name: str) -> None:
    page, trouble = open_page(browser, run_folder / f"{name}.html")
    page.wait_for_function("document.querySelector('#chart.js-plotly-plot')?.data?.length > 0", timeout=15_000)
    page.wait_for_selector("#chart .main-svg")
    fonts = page.evaluate("[...document.fonts].map((font) => `${font.family} ${font.weight} ${font.status}`)")
    assert sorted(fonts) == ["Inter 400 loaded", "Inter 600 loaded"]
    assert "Inter" in page.evaluate("getComputedStyle(document.querySelector('#chart text')).fontFamily")
    assert trouble == []
    page.close()


@needs_browser
def test_the_dropdown_changes_what_is_drawn(browser: Any, run_folder: Path) -> None:
    page, trouble = open_page(browser, run_folder / "forecast_vs_actual.html")
    page.wait_for_selector("#chart .updatemenu-header-group")
    page.locator(".updatemenu-header").click()
    page.locator(".updatemenu-dropdown-button").nth(1).click()
    page.wait_for_function("document.querySelector('#chart').data[0].visible === false")
    assert "highest volume" in page.locator(".gtitle-subtitle").text_content()
    assert trouble == []
    page.close()


@needs_browser
def test_the_index_links_charts_that_open_and_shows_the_card(browser: Any, run_folder: Path) -> None:
    page, trouble = open_page(browser, run_folder / "index.html")
    hrefs = page.eval_on_selector_all("a.chart", "links => links.map(a => a.getAttribute('href'))")
    assert hrefs == [f"{name}.html" for name in CHARTS]
    assert all((run_folder / href).is_file() for href in hrefs)
    assert page.locator(".chart img").count() == 5
    assert page.locator(".card td").last.inner_text() == "<b>2</b>"
    assert page.locator("table.metrics tbody tr").count() == 14
    assert trouble == []
    page.close()


@needs_browser
def test_png_is_written_beside_the_page(run_folder: Path) -> None:
    for name in CHARTS:
        content = (run_folder / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 20_000


def test_a_title_from_the_data_cannot_run_code(run_folder: Path) -> None:
    assert "<script>alert(1)" not in (run_folder / "training_summary.html").read_text()


def test_without_a_browser_html_is_written_and_the_log_says_how_to_get_png(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, metrics: pd.DataFrame
) -> None:
    from choreographer.browsers.chromium import Chromium

    monkeypatch.setattr(Chromium, "find_browser", classmethod(lambda cls, **_: None))
    write.browser_path.cache_clear()
    paths = [tmp_path / "one.html", tmp_path / "two.html"]
    for path in paths:
        assert write_figure(tier_comparison(metrics), path) == [path]
    write.browser_path.cache_clear()
    said = [r.getMessage() for r in caplog.records if "PNG" in r.getMessage()]
    assert len(said) == 1
    assert "apt-get install chromium" in said[0]


def test_thousands_of_series_stay_a_small_page(forecasts_of: Any) -> None:
    from plotly.offline import get_plotlyjs

    many = forecasts_of(series=2500, models=("ensemble", "seasonal_naive"))
    for fig in (forecast_vs_actual(many), error_distribution(many)):
        assert len(write.figure_html(fig)) - len(get_plotlyjs()) < 600_000
