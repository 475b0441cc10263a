"""A shop of three series and ten days that can be counted on one's fingers, and forecasts for it."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shelfops_pipeline.contracts import columns as c
from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.defs.artifacts import ArtifactRoot
from shelfops_pipeline.monitoring.archive import Archive
from shelfops_pipeline.monitoring.issued import Issued, Role, issue
from tests.domain.lifecycle.conftest import candidate, make_bundle_in, registry  # noqa: F401

SERIES = (("a", "milk"), ("a", "bun"), ("b", "bun"))
FIRST = date(2025, 3, 3)
IssueAt = Callable[..., Issued]


def forecast_rows(
    origin: date, mean: list[list[float]], versions: tuple[str, ...] = ("v1",) * 3, series: tuple[int, ...] = (0, 1, 2)
) -> pa.Table:
    """Forecasts like those that are served: `mean` [series, periods]; the median is it, the interval one unit wide."""
    values, H = np.array(mean, dtype=np.float32), len(mean[0])
    columns: dict[str, object] = {
        c.STORE_ID: [SERIES[s][0] for s in series for _ in range(H)],
        c.ITEM_ID: [SERIES[s][1] for s in series for _ in range(H)],
        c.DATE: [origin + timedelta(days=h + 1) for _ in series for h in range(H)],
        c.MEAN: values.ravel(),
        c.POINT: values.ravel(),
        "model_version": [v for v in versions for _ in range(H)],
    }
    shifts = dict(zip(c.QUANTILE_COLUMNS, (-1, -0.5, 0, 0.5, 1), strict=True))
    columns |= {name: values.ravel() + np.float32(by) for name, by in shifts.items()}
    return pa.table(columns).sort_by([(name, "ascending") for name in (c.STORE_ID, c.ITEM_ID, c.DATE)])


def issued_table(origin: date, mean: list[list[float]], role: Role = Role.CHAMPION, **more: object) -> pa.Table:
    known = more.pop("known_until", {})
    return issue(forecast_rows(origin, mean, **more), origin, role, Grain.DAY, known)  # type: ignore[arg-type]


@pytest.fixture
def issued_at() -> IssueAt:
    """Forecasts as they would be read back."""

    def make(origin: date, mean: list[list[float]], role: Role = Role.CHAMPION, **more: object) -> Issued:
        return Issued.read(issued_table(origin, mean, role, **more))

    return make


@pytest.fixture
def shop() -> Panel:
    """Demand 1 to 10 on ten days, times one, two and three; on day 8 series 1 was closed and series 2 out of stock."""
    demand = np.arange(1, 11) * np.array([[1.0], [2.0], [3.0]])
    state = np.full(demand.shape, State.OBSERVED, dtype=np.uint8)
    state[1, 7], state[2, 7] = State.CLOSED, State.STOCKOUT
    demand[state != State.OBSERVED] = np.nan
    return Panel(
        dataset="shop",
        grain=Grain.DAY,
        store_ids=np.array([s for s, _ in SERIES]),
        item_ids=np.array([i for _, i in SERIES]),
        dates=np.datetime64(FIRST) + np.arange(10),
        n_observed=10,
        demand=demand.astype(np.float32),
        state=state,
    )


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Of three origins."""
    return Archive(ArtifactRoot(str(tmp_path / "artifacts"), tmp_path / "cache"), keep=3)
