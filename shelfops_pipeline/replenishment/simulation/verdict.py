"""What the replays say together: means over retailers, and what one policy saves beside another, with its interval."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from shelfops_pipeline.replenishment.simulation.replay import EVERYTHING, OURS, POLICIES, Account

LEVEL: Final = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean of paired differences over retailers, and where it lies with 95 % confidence (Student's t). NaN: one
    retailer says nothing of another."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """A policy, as the mean over retailers."""

    policy: str
    fill_rate: float
    stockout_days: float
    """share of open days"""
    stock: float
    wasted: float
    holding: float
    lost_margin: float
    ordering: float
    waste: float
    cost: float


@dataclass(frozen=True)
class Saving:
    """What our policy saves beside a rival."""

    rival: str
    cost: Interval
    """share of the rival's cost"""
    fill_rate: Interval
    """difference, in shares of demand"""


def standings(accounts: Sequence[Account], category: str = EVERYTHING) -> list[Standing]:
    """One per policy that was replayed."""
    found = []
    for policy in POLICIES:
        own = [a for a in accounts if a.policy == policy and a.category == category]
        if not own:
            continue
        mean = {name: float(np.mean([getattr(a, name) for a in own])) for name in _MEANS}
        out = float(np.mean([a.stockout_days / a.open_days for a in own]))
        found.append(Standing(policy=policy, stockout_days=out, **mean))
    return found


_MEANS = ("fill_rate", "stock", "wasted", "holding", "lost_margin", "ordering", "waste", "cost")


def savings(accounts: Sequence[Account], category: str = EVERYTHING) -> list[Saving]:
    """Beside every other policy that was replayed, retailer by retailer."""
    by = {(a.policy, a.seed): a for a in accounts if a.category == category}
    seeds = sorted({seed for _, seed in by})
    found = []
    for rival in (p for p in POLICIES if p != OURS and (p, seeds[0]) in by):
        pairs = [(by[OURS, seed], by[rival, seed]) for seed in seeds]
        found.append(
            Saving(
                rival,
                interval([1 - ours.cost / theirs.cost for ours, theirs in pairs]),
                interval([ours.fill_rate - theirs.fill_rate for ours, theirs in pairs]),
            )
        )
    return found


def interval(differences: Sequence[float]) -> Interval:
    """Student's t over independent retailers."""
    from scipy.stats import t

    mean, n = float(np.mean(differences)), len(differences)
    if n < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * np.std(differences, ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half)


def as_json(accounts: Sequence[Account]) -> dict[str, Any]:
    """Everything, for other programs: standings and savings by category, and each retailer's accounts. NaN is null."""
    categories = list(dict.fromkeys(a.category for a in accounts))
    return {
        "standings": {c: [_plain(asdict(s)) for s in standings(accounts, c)] for c in categories},
        "savings": {c: [_plain(asdict(s)) for s in savings(accounts, c)] for c in categories},
        "accounts": [_plain(asdict(a)) for a in accounts],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
