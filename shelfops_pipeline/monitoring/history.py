"""The drift reports of the latest origins, one small file each: what the chart over time is drawn from."""

import json
from dataclasses import dataclass
from typing import Final

from shelfops_pipeline.contracts.columns import ORIGIN
from shelfops_pipeline.monitoring.archive import Files
from shelfops_pipeline.monitoring.drift import DRIFTED
from shelfops_pipeline.monitoring.report import INPUTS, Report

_FOLDER: Final = "drift_history"
_SUFFIX: Final = ".json"
_KEEP: Final = 120  # origins: four months of days
_FEATURES: Final = 10


@dataclass(frozen=True)
class History:
    """The reports of one retailer."""

    files: Files

    def write(self, report: Report) -> None:
        """Keep a report, its furthest features only, in place of that of the same origin."""
        kept = sorted(report[INPUTS], key=lambda row: (row[DRIFTED], row["psi"] or 0), reverse=True)[:_FEATURES]
        text = json.dumps(report | {INPUTS: kept}, allow_nan=False)
        self.files.write(f"{_FOLDER}/{report[ORIGIN]}{_SUFFIX}", lambda stream: stream.write(text.encode()))
        for old in self._names()[:-_KEEP]:
            self.files.remove(f"{_FOLDER}/{old}")

    def read(self) -> list[Report]:
        """The reports kept, oldest first."""
        reports = []
        for name in self._names():
            with self.files.open(f"{_FOLDER}/{name}") as stream:
                reports.append(json.load(stream))
        return reports

    def _names(self) -> list[str]:
        return sorted(n for n in self.files.names(_FOLDER) if n.endswith(_SUFFIX) and n[0] != ".")
