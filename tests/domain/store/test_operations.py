"""Operational alerts: one per job and cause while it lasts, closed by the job's next success."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from shelfops_pipeline.store.operations import operational_alerts_of, raise_alert, resolve_alerts
from tests.domain.store.support import SHOP

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def fail(engine: Engine, run: str, minutes: int = 0, *, job: str = "train", cause: str = "lstm: MemoryError") -> None:
    raise_alert(engine, SHOP, job, cause, message=f"in {run}", run_id=run, at=NOON + timedelta(minutes=minutes))


def test_one_alert_counts_the_failures_of_a_job_for_one_cause(warehouse: Engine) -> None:
    fail(warehouse, "r1")
    fail(warehouse, "r2", 5)
    fail(warehouse, "r2", 5)  # told twice
    fail(warehouse, "r3", 6, cause="panel: DataError")
    fail(warehouse, "r4", 7, job="ingest")
    alerts = {(a.job, a.cause): a for a in operational_alerts_of(warehouse, SHOP)}
    assert {key: a.occurrences for key, a in alerts.items()} == {
        ("train", "lstm: MemoryError"): 2,
        ("train", "panel: DataError"): 1,
        ("ingest", "lstm: MemoryError"): 1,
    }
    first = alerts["train", "lstm: MemoryError"]
    assert (first.raised_at, first.last_at) == (NOON, NOON + timedelta(minutes=5))
    assert (first.run_id, first.message) == ("r2", "in r2")
    assert operational_alerts_of(warehouse, "another shop") == []


def test_a_later_success_of_the_job_resolves_its_alerts_and_only_those(warehouse: Engine) -> None:
    fail(warehouse, "r1")
    fail(warehouse, "r2", job="ingest")
    assert resolve_alerts(warehouse, SHOP, "train", run_id="r0", at=NOON - timedelta(minutes=1)) == 0
    assert resolve_alerts(warehouse, SHOP, "train", run_id="r3", at=NOON + timedelta(minutes=1)) == 1
    assert [a.job for a in operational_alerts_of(warehouse, SHOP)] == ["ingest"]
    [_, resolved] = operational_alerts_of(warehouse, SHOP, resolved=True)
    assert resolved.resolved_by == "r3"


def test_what_fails_again_after_it_was_resolved_is_a_new_alert(warehouse: Engine) -> None:
    fail(warehouse, "r1")
    resolve_alerts(warehouse, SHOP, "train", run_id="r2", at=NOON + timedelta(minutes=1))
    fail(warehouse, "r1")  # told late, and again
    assert operational_alerts_of(warehouse, SHOP) == []
    fail(warehouse, "r3", 2)
    [alert] = operational_alerts_of(warehouse, SHOP)
    assert (alert.occurrences, alert.raised_at) == (1, NOON + timedelta(minutes=2))
    assert len(operational_alerts_of(warehouse, SHOP, resolved=True)) == 2
