"""What a run leaves under reports/: every chart the standard asks for, in every form, opened in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shelfops_pipeline.charts.eda import PICTURES
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.lifecycle.reports import CHARTS
from shelfops_pipeline.lifecycle.run_page import write_run_pages
from tests.browsers import CHROMIUM, DRAWN, chromium, needs_browser, open_page, wait_until_drawn
from tests.defs.conftest import Graph

REQUIRED = {"forecast_vs_actual", "feature_importance", "error_distribution", "tier_comparison", "training_summary"}
PAGES = sorted(REQUIRED | {"accuracy_by_horizon", "accuracy_by_group", "quantile_reliability"})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def run_folders(graph: Graph) -> list[Path]:
    pointer = Registry(graph.settings.models).champion()
    assert pointer is not None
    return [graph.settings.reports / "runs" / version for version in pointer.versions]


def test_every_chart_and_picture_is_there_for_the_latest_run_and_for_each_version(graph: Graph) -> None:
    kinds = ("html", "png", "pdf") if CHROMIUM else ("html",)
    expected = {f"{page}.{kind}" for page in PAGES for kind in kinds} | {f"{name}.png" for name in PICTURES}
    assert len(CHARTS) == len(PAGES)
    for folder in (graph.settings.reports, *run_folders(graph)):
        found = {path.name: path.stat().st_size for path in folder.iterdir()}
        assert expected | {"index.html"} <= found.keys()
        assert min(found[name] for name in expected) > 10_000


def test_a_kept_run_takes_a_fraction_of_the_space(graph: Graph) -> None:
    size = sum(path.stat().st_size for path in graph.settings.reports.glob("*.html"))
    for folder in run_folders(graph):
        assert sum(path.stat().st_size for path in folder.iterdir()) < size / 2


@needs_browser
@pytest.mark.parametrize("name", [*PAGES, "drift_over_time"])
def test_a_page_of_the_run_renders_its_traces(browser: Any, graph: Graph, name: str) -> None:
    page, trouble = open_page(browser, graph.settings.reports / f"{name}.html")
    wait_until_drawn(page)
    assert page.evaluate(f"{DRAWN}.length") > 0
    assert trouble == []
    page.close()


@needs_browser
def test_a_kept_page_renders_its_traces(browser: Any, graph: Graph) -> None:
    page, trouble = open_page(browser, run_folders(graph)[0] / "forecast_vs_actual.html")
    wait_until_drawn(page)
    assert page.evaluate(f"{DRAWN}.length") > 0
    assert trouble == []
    page.close()


@needs_browser
def test_the_index_shows_everything_and_every_link_leads_somewhere(browser: Any, graph: Graph) -> None:
    for folder in (graph.settings.reports, *run_folders(graph)):
        page, trouble = open_page(browser, folder / "index.html")
        hrefs = page.eval_on_selector_all("a.chart", "links => links.map(a => a.getAttribute('href'))")
        assert {f"{name}.html" for name in PAGES} | {f"{name}.png" for name in PICTURES} <= set(hrefs)
        assert sum("shap" in href for href in hrefs) == 6 * len(run_folders(graph))
        assert ("drift_over_time.html" in hrefs) == (folder == graph.settings.reports)
        assert [href for href in hrefs if not (folder / href).is_file()] == []
        shown = page.eval_on_selector_all(".chart img", "images => images.map(i => i.naturalWidth)")
        assert len(shown) == len(hrefs)
        assert min(shown) > 300
        assert page.locator("table.gate tbody tr").count() == len(run_folders(graph))
        assert page.locator("table.metrics tbody tr").count() == 7 * len(run_folders(graph))
        assert page.locator(".card").count() == len(run_folders(graph))
        assert trouble == []
        page.close()


def test_a_chart_that_comes_later_is_on_the_page_when_it_is_written_again(graph: Graph, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    shutil.copytree(graph.settings.reports, reports, ignore=shutil.ignore_patterns("runs", "*.pdf"))
    shutil.copyfile(reports / "tier_comparison.html", reports / "on_request.html")
    assert write_run_pages(reports, graph.settings.models) == [reports / "index.html"]
    text = (reports / "index.html").read_text()
    assert 'href="on_request.html"' in text
    assert "On request" in text


def test_the_page_says_what_a_version_is_now(graph: Graph, tmp_path: Path) -> None:
    reports, models = tmp_path / "reports", tmp_path / "models"
    shutil.copytree(graph.settings.reports, reports, ignore=shutil.ignore_patterns("runs", "*.pdf"))
    shutil.copytree(graph.settings.models, models)
    registry = models / "registry.json"
    registry.write_text(registry.read_text().replace('"champion"', '"archived"'))
    write_run_pages(reports, models)
    assert "badge champion" not in (reports / "index.html").read_text()
    assert "badge archived" in (reports / "index.html").read_text()


def test_without_a_run_there_is_no_page_to_write(tmp_path: Path) -> None:
    assert write_run_pages(tmp_path, tmp_path) == []
