"""The history of versions: who made what of whom, when and why; and the way back."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.errors import BundleError, PromotionError
from shelfops_pipeline.lifecycle import registry as module
from shelfops_pipeline.lifecycle import succession
from shelfops_pipeline.lifecycle.registry import Registry, system_user
from shelfops_pipeline.settings import Settings

Candidate = Callable[..., str]
PRODUCTION, COLD = Tier.PRODUCTION, Tier.COLD_START


def told(registry: Registry, version: str) -> list[tuple[Status, str, str]]:
    return [(change.status, change.by, change.reason) for change in registry.entry(version).history]


def test_every_change_is_kept_with_who_when_and_why(registry: Registry, candidate: Candidate) -> None:
    before = datetime.now(UTC)
    first, second = candidate(), candidate()
    gate, anna = (Registry(registry.models, by=name) for name in ("gate (weekly)", "anna"))
    gate.promote(first, "better than the baselines")
    gate.refuse(second, "not better")
    anna.promote(second, "agreed with the planners")
    me = system_user()
    assert told(registry, first) == [
        (Status.CANDIDATE, me, "trained"),
        (Status.CHAMPION, "gate (weekly)", "better than the baselines"),
        (Status.ARCHIVED, "anna", "succeeded by v2"),
    ]
    assert told(registry, second) == [
        (Status.CANDIDATE, me, "trained"),
        (Status.CANDIDATE, "gate (weekly)", "not better"),
        (Status.CHAMPION, "anna", "agreed with the planners"),
    ]
    times = [change.at for v in (first, second) for change in registry.entry(v).history]
    assert all(before <= at <= datetime.now(UTC) for at in times)


def test_an_entry_says_what_its_last_change_says(registry: Registry, candidate: Candidate) -> None:
    for version in (candidate(), candidate(), candidate()):
        registry.promote(version, f"because of {version}")
    for entry in registry.entries():
        assert (entry.status, entry.reason) == (entry.history[-1].status, entry.history[-1].reason)


def test_changes_keep_their_order_although_a_clock_goes_back(
    registry: Registry, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [candidate() for _ in range(3)]

    class Slow(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(hours=1)

    registry.promote(versions[0], "first")
    monkeypatch.setattr(succession, "datetime", Slow)
    registry.promote(versions[1], "second")
    registry.promote(versions[2], "third")
    assert registry.predecessor(PRODUCTION) == versions[1]


def test_who_comes_from_the_settings_or_is_the_systems_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Registry.of(Settings(user="anna")).by == "anna"
    assert Registry.of(Settings(user="anna"), by="gate (weekly)").by == "gate (weekly)"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(module.getpass, "getuser", nobody)
    assert system_user() == f"uid {os.getuid()}"


def test_a_registry_of_an_older_release_is_read_and_goes_on(registry: Registry, candidate: Candidate) -> None:
    """It had neither history nor a checksum of the manifest."""
    first, second = candidate(), candidate()
    kept = {"version", "feature_tier", "dataset", "mae", "status", "created_at", "reason"}
    entries = [e.model_dump(mode="json", include=kept) for e in registry.entries()]
    module.write_json(registry.models / "registry.json", entries)
    registry.promote(first, "first")
    assert registry.promote(second, "second").version == second
    assert registry.predecessor(PRODUCTION) == first


# The way back.


def test_a_rollback_lets_the_champion_before_serve_again(registry: Registry, candidate: Candidate) -> None:
    first, second = candidate(), candidate()
    for version in (first, second):
        registry.promote(version, "gate")
    assert registry.predecessor(PRODUCTION) == first
    pointer = Registry(registry.models, by="anna").rollback(PRODUCTION, "orders too high")
    assert pointer.version == first
    assert registry.champion() == pointer
    assert told(registry, first)[-1] == (Status.CHAMPION, "anna", "orders too high")
    assert told(registry, second)[-1] == (Status.ARCHIVED, "anna", "succeeded by v1")


def test_a_second_rollback_goes_one_further_and_not_forth_again(registry: Registry, candidate: Candidate) -> None:
    versions = [candidate() for _ in range(3)]
    for version in versions:
        registry.promote(version, "gate")
    assert [registry.rollback(PRODUCTION, "bad").version for _ in range(2)] == versions[1::-1]
    with pytest.raises(PromotionError, match="the production tier has no earlier champion to return to; choose"):
        registry.rollback(PRODUCTION, "bad")
    newest = candidate()
    registry.promote(newest, "gate")
    assert registry.predecessor(PRODUCTION) == versions[0]


def test_a_rollback_concerns_one_tier_only(registry: Registry, candidate: Candidate) -> None:
    cold, newer = candidate(COLD), candidate(COLD)
    main = candidate(PRODUCTION)
    for version in (cold, newer, main):
        registry.promote(version, "gate")
    with pytest.raises(PromotionError, match="the production tier has no earlier champion"):
        registry.rollback(PRODUCTION, "bad")
    assert registry.rollback(COLD, "bad").release == f"{main}+{cold}"


def test_a_damaged_predecessor_is_not_returned_to(registry: Registry, candidate: Candidate) -> None:
    first, second = candidate(), candidate()
    for version in (first, second):
        registry.promote(version, "gate")
    (registry.models / first / "lstm.onnx").unlink()
    with pytest.raises(BundleError, match=r"v1/lstm.onnx is missing"):
        registry.rollback(PRODUCTION, "bad")
    assert registry.champion_of(PRODUCTION) == second


# One home, one retailer.


def test_two_homes_never_mix(tmp_path: Path, make_bundle_in: Callable[..., str]) -> None:
    homes = [Registry.of(Settings(home=tmp_path / name, dataset=name)) for name in ("north", "south")]
    for registry in homes:
        registry.promote(make_bundle_in(registry, dataset=registry.dataset), "first")
    for registry in homes:
        (entry,) = registry.entries()
        pointer = registry.champion()
        assert pointer is not None
        assert (entry.dataset, pointer.dataset, pointer.version) == (registry.dataset, registry.dataset, "v1")


def test_a_model_of_another_retailer_is_not_registered(registry: Registry, make_bundle_in: Callable[..., str]) -> None:
    make_bundle_in(registry, dataset="shop")
    with pytest.raises(PromotionError, match=r"holds models of shop, not of fair: one home serves one retailer"):
        make_bundle_in(registry, dataset="fair")
    assert [e.dataset for e in registry.entries()] == ["shop"]
