"""Print how many lines of each room the last tests with `--cov` ran; exit 1 where the whole is under the limit."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="shelfops-coverage-") as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
        if not report.exists():
            return status
        found = json.loads(report.read_text())
    lines, run = Counter[str](), Counter[str]()
    for name, file in found["files"].items():
        lines[room(name)] += file["summary"]["num_statements"]
        run[room(name)] += file["summary"]["covered_lines"]
    for name in sorted(lines, key=lambda name: run[name] / max(lines[name], 1)):
        print(f"{name:34}{run[name]:6,} of {lines[name]:6,} lines{run[name] / max(lines[name], 1):8.1%}")
    total = found["totals"]
    print(
        f"{'all':34}{total['covered_lines']:6,} of {total['num_statements']:6,} lines{total['percent_covered']:8.1f}%"
    )
    return status


def room(name: str) -> str:
    """The folder of a package that a file lies in; the API is one room."""
    parts = Path(name).parts
    return parts[0] if parts[0] == "shelfops_api" or len(parts) < 3 else "/".join(parts[:2])


if __name__ == "__main__":
    sys.exit(main())
