"""Run the tests marked `soak` and write docs/soak.md: what ran, on what, how long, with the counts they recorded.

A soak test says how much it did with pytest's `record_property(name, value)`.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "soak.md"
NO_TESTS = 5
"""pytest's exit status when nothing was selected."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="shelfops-soak-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "soak", "--timeout", "7200", f"--junit-xml={report}"]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
        if status == NO_TESTS:
            print("no test is marked soak: docs/soak.md is left as it is")
            return 1
        PAGE.write_text(render(ElementTree.parse(report), status))  # noqa: S314  # pytest wrote it a moment ago
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return status


def render(report: "ElementTree.ElementTree[ElementTree.Element]", status: int) -> str:
    """The page."""
    result = "all passed" if status == 0 else "NOT all passed"
    return "\n".join(
        [
            "# Long-running proofs",
            "",
            f"`make soak` of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {result}.",
            f"Commit {_commit()}; Python {platform.python_version()} on {platform.system()} {platform.machine()}.",
            "",
            "| test | result | seconds | did |",
            "|---|---|---:|---|",
            *(_row(case) for case in _cases(report)),
            "",
        ]
    )


def _cases(report: "ElementTree.ElementTree[ElementTree.Element]") -> Iterator[ElementTree.Element]:
    return report.getroot().iter("testcase")


def _row(case: ElementTree.Element) -> str:
    result = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
    did = ", ".join(f"{p.get('name')} {p.get('value')}" for p in case.iter("property"))
    name = (case.get("name") or "").removeprefix("test_").replace("_", " ")
    return f"| {name} (`{case.get('classname')}`) | {result} | {float(case.get('time') or 0):.0f} | {did} |"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
