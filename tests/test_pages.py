"""The pages of docs/ can be found, and what they name is there: tests, metrics, decisions, the standard's places."""

import re
from pathlib import Path

from shelfops_api.errors import Code
from shelfops_api.main import create_app
from shelfops_api.metrics import Metrics
from shelfops_api.settings import ApiSettings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#\s]+)")


def linked(page: Path) -> set[Path]:
    targets = (target for target in LINK.findall(page.read_text()) if "://" not in target)
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_is_reached_from_the_readme() -> None:
    found, waiting = set[Path](), {ROOT / "README.md"}
    while waiting:
        page = waiting.pop()
        found.add(page)
        waiting |= {p for p in linked(page) - found if p.suffix == ".md" and p.is_file()}
    pages = {page for page in DOCS.rglob("*.md")} | {ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - found) == []


def test_every_test_that_a_page_names_exists() -> None:
    named = {
        name for page in DOCS.rglob("*.md") for name in re.findall(r"tests/[\w/]+\.py(?:::\w+)?", page.read_text())
    }
    assert any("::" in name for name in named)
    missing = []
    for name in sorted(named):
        file, _, test = name.partition("::")
        if not (ROOT / file).is_file() or (test and f"def {test}(" not in (ROOT / file).read_text()):
            missing.append(name)
    assert missing == []


def test_every_metric_is_described_and_nothing_else() -> None:
    page = (DOCS / "operations.md").read_text()
    table = page[page.index("## Metrics") : page.index("### Alerts to set")]
    described = set(re.findall(r"`(shelfops_[a-z_]+)`", table))
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics().registry.collect()
        if family.name.startswith("shelfops_")
    }
    assert described == exported


def test_every_module_of_the_map_is_there() -> None:
    """Paths of the column *here*, relative to either package or to the repository."""
    page = (DOCS / "architecture.md").read_text()
    table = page[page.index("| standard | here |") : page.index("## Deliberate differences")]
    here = [line.split("|")[2] for line in table.splitlines()[2:] if line.startswith("|")]
    paths = {path for cell in here for path in re.findall(r"`([\w/]+(?:\.py|/))`", cell)}
    assert len(paths) > 20
    roots = (ROOT, ROOT / "shelfops_pipeline", ROOT / "shelfops_api")
    made = {"models/<version>/", "reports/runs/<version>/"}
    assert sorted(p for p in paths - made if not any((root / p).exists() for root in roots)) == []


def test_every_route_and_every_problem_is_in_the_api_guide() -> None:
    guide = (DOCS / "api.md").read_text()
    table = guide[: guide.index("## Columns")]
    paths = create_app(ApiSettings(home=ROOT / "nowhere")).openapi()["paths"]
    # One row may stand for several: `/v1/orders/{order_id}/accept`, `.../reject`.
    assert [p for p in paths if p not in table and f"`.../{p.rpartition('/')[2]}`" not in table] == []
    assert [code for code in Code if f"`{code}`" not in guide] == []
