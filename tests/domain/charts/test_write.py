"""Pages on disk: they open offline in a browser, with Inter, without an error, and stay small."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shelfops_pipeline.charts import write
from shelfops_pipeline.charts.error_distribution import error_distribution
from shelfops_pipeline.charts.feature_importance import feature_importance
from shelfops_pipeline.charts.forecast_vs_actual import forecast_vs_actual
from shelfops_pipeline.charts.tier_comparison import tier_comparison
from shelfops_pipeline.charts.training_summary import training_summary
from shelfops_pipeline.charts.write import PLOTLY_JS, copy_pages, figure_html, write_figure, write_figures
from tests.browsers import CHROMIUM, DRAWN, chromium, needs_browser, open_page, wait_until_drawn

CHARTS = ("forecast_vs_actual", "feature_importance", "error_distribution", "tier_comparison", "training_summary")


@pytest.fixture(scope="module")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory,
    forecasts: pd.DataFrame,
    metrics: pd.DataFrame,
    importance: list[dict[str, Any]],
) -> Path:
    """A folder with five charts, and PNG and PDF where there is a browser."""
    folder = tmp_path_factory.mktemp("a run")
    figures = {
        "forecast_vs_actual": forecast_vs_actual(forecasts),
        "feature_importance": feature_importance(importance),
        "error_distribution": error_distribution(forecasts),
        "tier_comparison": tier_comparison(metrics),
        "training_summary": training_summary(forecasts, metrics, {"Version": "v1 <script>alert(1)</script>"}),
    }
    write_figures({folder / f"{name}.html": fig for name, fig in figures.items()})
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@needs_browser
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_opens_offline_with_traces_and_inter(browser: Any, run_folder: Path, name: str) -> None:
    page, trouble = open_page(browser, run_folder / f"{name}.html")
    wait_until_drawn(page)
    assert page.evaluate(f"{DRAWN}.length") > 0
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
def test_the_empty_and_the_one_series_case_open_without_an_error(
    browser: Any, tmp_path: Path, forecasts_of: Any, no_forecasts: pd.DataFrame, metrics: pd.DataFrame
) -> None:
    one = forecasts_of(series=1, folds=1).assign(item_id="a very long name of an item " * 12)
    figures = {
        "no-forecasts": (forecast_vs_actual(no_forecasts), "no row"),
        "no-importance": (feature_importance([]), "No feature importance"),
        "one-forecast": (forecast_vs_actual(one), "Sum of 1 series"),
        "one-error": (error_distribution(one), "1 series"),
        "one-summary": (training_summary(one, metrics, {"data set": "one"}), "WAPE by horizon"),
    }
    for name, (figure, said) in figures.items():
        path = tmp_path / f"{name}.html"
        path.write_text(figure_html(figure))
        page, trouble = open_page(browser, path)
        wait_until_drawn(page)
        assert said in page.locator("#chart").inner_text(), name
        assert trouble == [], name
        page.close()


@needs_browser
def test_pages_that_share_their_script_open_too_and_are_small(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    copy_pages([run_folder / f"{name}.html" for name in CHARTS], kept)
    assert max((kept / f"{name}.html").stat().st_size for name in CHARTS) < 600_000
    assert (kept / PLOTLY_JS).stat().st_size > 1_000_000
    page, trouble = open_page(browser, kept / "training_summary.html")
    wait_until_drawn(page)
    assert trouble == []
    page.close()


@needs_browser
def test_png_and_pdf_are_written_beside_the_page(run_folder: Path) -> None:
    for name in CHARTS:
        png, pdf = ((run_folder / f"{name}.{kind}").read_bytes() for kind in ("png", "pdf"))
        assert png.startswith(b"\x89PNG")
        assert len(png) > 20_000
        assert pdf.startswith(b"%PDF")
        assert b"Inter" in pdf


def test_a_title_from_the_data_cannot_run_code(run_folder: Path) -> None:
    assert "<script>alert(1)" not in (run_folder / "training_summary.html").read_text()


def test_without_a_browser_html_is_written_and_the_log_says_how_to_get_the_rest(
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


def test_the_browser_of_the_tests_is_the_one_that_draws() -> None:
    assert (write.browser_path() is None) == (CHROMIUM is None)


def test_thousands_of_series_stay_a_small_page(forecasts_of: Any) -> None:
    from plotly.offline import get_plotlyjs

    many = forecasts_of(series=2500, models=("ensemble", "seasonal_naive"))
    for fig in (forecast_vs_actual(many), error_distribution(many)):
        assert len(figure_html(fig)) - len(get_plotlyjs()) < 600_000
