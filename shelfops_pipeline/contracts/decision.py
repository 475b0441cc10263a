"""What the promotion gate decided about a version, with every figure: `models/<version>/decision.json`."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import Field

from shelfops_pipeline.contracts.bundle import Frozen
from shelfops_pipeline.contracts.columns import Tier

SCHEMA_VERSION: Final = 1


class Verdict(StrEnum):
    """What a figure says about the promotion."""

    PASSED = "passed"
    FAILED = "failed"
    """It forbids the promotion."""
    WARNING = "warning"
    """It would forbid it, were there a champion to compare with."""
    NOT_JUDGED = "not judged"


class Figure(Frozen):
    """One number of the comparison; None where it is undefined."""

    metric: str
    by: str = Field("all", description="all, store or category")
    group: str = "all"
    candidate: float | None
    rival: float | None
    change: float | None = Field(
        description="Of the MAE, candidate / rival; of bias and coverage, how much further off than the rival"
    )
    low: float | None = Field(description="90 % interval of `change`, by a paired block bootstrap")
    high: float | None
    rows: int
    limit: str = Field(description="What is asked for, in words")
    verdict: Verdict
    why: str = Field("", description="Why it was not judged")


class GateDecision(Frozen):
    """The gate's answer, and all that it rests on."""

    schema_version: int = SCHEMA_VERSION
    version: str
    tier: Tier
    promote: bool
    reason: str
    rival: str = Field(description="The champion's version, or the best baseline's name")
    rival_is_champion: bool
    compared: str = Field(description="How the rival was asked for its forecasts")
    folds: tuple[str, ...] = Field(description="Origins of the folds compared")
    periods: int = Field(description="Periods ahead that both forecast")
    rows: int = Field(description="Forecasts compared: those whose demand was observed")
    blocks: int = Field(description="Blocks of periods that the bootstrap draws from")
    figures: tuple[Figure, ...]
    decided_at: datetime
    by: str

    @property
    def mae(self) -> Figure:
        """The figure that decides; the others can only forbid."""
        return self.figures[0]

    @property
    def numbers(self) -> dict[str, float]:
        """Flat names and values, for a tracker: those over all rows that are defined."""
        flat = {"candidate_mae": self.mae.candidate, "rival_mae": self.mae.rival, "ratio": self.mae.change}
        flat |= {"ratio_low": self.mae.low, "ratio_high": self.mae.high}
        for figure in (f for f in self.figures[1:] if f.by == "all"):
            flat |= {f"candidate_{figure.metric}": figure.candidate, f"rival_{figure.metric}": figure.rival}
        return {name: value for name, value in flat.items() if value is not None}

    @property
    def objections(self) -> tuple[Figure, ...]:
        """Figures other than the MAE that failed, or warn."""
        return tuple(f for f in self.figures[1:] if f.verdict in (Verdict.FAILED, Verdict.WARNING))
