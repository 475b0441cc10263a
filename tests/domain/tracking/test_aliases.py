"""What MLflow's aliases should be, by the registry."""

from pathlib import Path

from shelfops_pipeline.contracts.columns import Status
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.aliases import model_name, registry_aliases
from tests.domain.tracking.conftest import MakeRun, register


def test_no_version_has_no_alias(tmp_path: Path) -> None:
    assert registry_aliases(Registry(tmp_path)) == {}


def test_the_challenger_is_the_latest_candidate_newer_than_the_champion(settings: Settings, make_run: MakeRun) -> None:
    runs = {v: make_run(v) for v in ("v1", "v2", "v3", "v4", "v5")}
    statuses = (Status.CANDIDATE, Status.ARCHIVED, Status.CHAMPION, Status.CANDIDATE, Status.CANDIDATE)
    for run, status in zip(runs.values(), statuses, strict=True):
        register(settings, run, status)
    cold = make_run("v6", tier="cold_start")
    register(settings, cold, Status.CHAMPION)
    assert registry_aliases(Registry(settings.models)) == {
        "shelfops-simulated-production": {"champion": runs["v3"].key, "challenger": runs["v5"].key},
        "shelfops-simulated-cold_start": {"champion": cold.key, "challenger": None},
    }


def test_a_candidate_older_than_the_champion_challenges_nobody(settings: Settings, make_run: MakeRun) -> None:
    for version, status in (("v1", Status.CANDIDATE), ("v2", Status.CHAMPION)):
        register(settings, make_run(version), status)
    (aliases,) = registry_aliases(Registry(settings.models)).values()
    assert aliases["challenger"] is None


def test_a_model_name_holds_no_slash_or_colon() -> None:
    assert model_name("maps/my shop:1.yaml", "production") == "shelfops-maps-my-shop-1.yaml-production"
