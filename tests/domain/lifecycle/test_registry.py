"""The registry: one champion per tier, whatever happens at once, and never a damaged one."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from shelfops_pipeline.contracts.bundle import LSTM_ONNX, ChampionPointer, Manifest
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.errors import BundleError, PromotionError
from shelfops_pipeline.lifecycle.candidate import register_candidate
from shelfops_pipeline.lifecycle.files import write_json
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.models.bundle import sha256
from shelfops_pipeline.models.recipe import default_recipe
from tests.domain.support import difficult_panel

Candidate = Callable[..., str]
PRODUCTION, COLD = Tier.PRODUCTION, Tier.COLD_START


def statuses(registry: Registry) -> dict[str, Status]:
    return {e.version: e.status for e in registry.entries()}


def pointer_file(registry: Registry) -> dict[str, object]:
    return dict(json.loads((registry.models / "champion.json").read_text()))


def test_an_empty_registry_has_no_entries_no_champion_and_a_first_version(registry: Registry) -> None:
    assert registry.entries() == []
    assert registry.champion() is None
    assert registry.champion_of(PRODUCTION) is None
    assert registry.next_version() == "v1"
    with pytest.raises(BundleError, match="no model version 'v9'; known versions: none yet"):
        registry.entry("v9")


def test_a_registered_version_is_a_candidate_and_serves_nothing(registry: Registry, candidate: Candidate) -> None:
    version = candidate(mae=3.25)
    entry = registry.entry(version)
    assert (entry.status, entry.mae, entry.feature_tier, entry.dataset) == (Status.CANDIDATE, 3.25, PRODUCTION, "shop")
    assert registry.champion() is None
    assert not (registry.models / "champion.json").exists()


def test_version_numbers_are_never_used_twice(registry: Registry, candidate: Candidate) -> None:
    assert [candidate(), candidate()] == ["v1", "v2"]
    (registry.models / "v7").mkdir()  # left by a crash, never registered
    (registry.models / ".v9.draft").mkdir()
    assert registry.next_version() == "v8"


def test_what_a_later_release_said_of_a_version_survives_a_promotion_by_this_one(
    registry: Registry, candidate: Candidate
) -> None:
    version, path = candidate(), registry.models / "registry.json"
    [entry] = json.loads(path.read_text())
    write_json(path, [entry | {"approved_by": ["ann", "bob"]}])
    assert registry.promote(version, "better").version == version
    assert json.loads(path.read_text())[0]["approved_by"] == ["ann", "bob"]


@pytest.mark.parametrize("mae", [float("nan"), float("inf"), -1.0])
def test_a_model_that_cannot_be_scored_is_not_registered(
    registry: Registry, make_bundle: Callable[..., Manifest], mae: float
) -> None:
    with pytest.raises(PromotionError, match=r"v1: MAE is .*; a model that cannot be scored is not registered"):
        registry.register(make_bundle("v1"), mae, "trained")
    assert registry.entries() == []


def test_a_promotion_makes_a_champion_and_archives_the_old_one(registry: Registry, candidate: Candidate) -> None:
    first, second = candidate(mae=3.0), candidate(mae=2.0)
    registry.promote(first, "first")
    pointer = registry.promote(second, "better")
    assert statuses(registry) == {first: Status.ARCHIVED, second: Status.CHAMPION}
    assert registry.entry(first).reason == "succeeded by v2"
    assert registry.entry(second).reason == "better"
    assert (pointer.version, pointer.mae, pointer.cold_start) == (second, 2.0, None)
    assert registry.champion() == pointer
    assert pointer_file(registry)["status"] == "champion"
    assert (registry.models / first).is_dir()


def test_rollback_is_the_promotion_of_an_archived_version(registry: Registry, candidate: Candidate) -> None:
    first, second = candidate(), candidate()
    for version in (first, second, first):
        registry.promote(version, "by hand")
    assert statuses(registry) == {first: Status.CHAMPION, second: Status.ARCHIVED}
    assert pointer_file(registry)["version"] == first


def test_promoting_the_champion_again_changes_nothing_but_the_reason(registry: Registry, candidate: Candidate) -> None:
    version = candidate()
    registry.promote(version, "first")
    registry.promote(version, "again")
    assert statuses(registry) == {version: Status.CHAMPION}


def test_each_tier_has_its_own_champion_and_the_pointer_names_both(registry: Registry, candidate: Candidate) -> None:
    cold = candidate(COLD, mae=4.0)
    alone = registry.promote(cold, "first")
    assert (alone.version, alone.feature_tier, alone.cold_start) == (cold, COLD, None)  # serves everything meanwhile
    assert alone.release == "v1"
    production = candidate(PRODUCTION, mae=3.0)
    pair = registry.promote(production, "first")
    assert pair.version == production
    assert pair.cold_start is not None
    assert (pair.cold_start.version, pair.cold_start.mae) == (cold, 4.0)
    assert pair.release == "v2+v1"
    newer = candidate(COLD, mae=3.5)
    assert registry.promote(newer, "better").release == "v2+v3"
    assert statuses(registry) == {cold: Status.ARCHIVED, production: Status.CHAMPION, newer: Status.CHAMPION}
    assert registry.champion_of(COLD) == newer
    assert registry.champion_of(PRODUCTION) == production


def test_a_refused_candidate_keeps_its_place_and_the_reason(registry: Registry, candidate: Candidate) -> None:
    champion, other = candidate(), candidate()
    registry.promote(champion, "first")
    registry.refuse(other, "not better")
    assert statuses(registry) == {champion: Status.CHAMPION, other: Status.CANDIDATE}
    assert registry.entry(other).reason == "not better"
    assert registry.entry(champion).reason == "first"
    with pytest.raises(BundleError, match="no model version 'v9'"):
        registry.refuse("v9", "not better")


def flip(folder: Path) -> None:
    data = bytearray((folder / LSTM_ONNX).read_bytes())
    data[3] ^= 1
    (folder / LSTM_ONNX).write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, "lstm.onnx does not match its checksum"),
        (lambda folder: (folder / LSTM_ONNX).unlink(), "lstm.onnx is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
    ],
)
def test_a_damaged_bundle_is_not_promoted_and_the_old_champion_goes_on_serving(
    registry: Registry, candidate: Candidate, damage: Callable[[Path], object], message: str
) -> None:
    old, new = candidate(), candidate()
    registry.promote(old, "first")
    before = pointer_file(registry)
    damage(registry.models / new)
    with pytest.raises(BundleError, match=message):
        registry.promote(new, "better")
    assert pointer_file(registry) == before
    assert statuses(registry) == {old: Status.CHAMPION, new: Status.CANDIDATE}


def test_a_manifest_that_was_changed_after_it_was_registered_is_not_promoted(
    registry: Registry, candidate: Candidate
) -> None:
    """It lists the checksums of the other files, so that nothing else would notice."""
    version = candidate()
    path = registry.models / version / "manifest.json"
    path.write_text(path.read_text().replace('"seed":7', '"seed":8'))
    with pytest.raises(BundleError, match=r"manifest.json does not match its checksum"):
        registry.promote(version, "better")
    assert registry.champion() is None


@pytest.mark.parametrize("metrics", [{"mae": None}, {"mae": 2.0, "wape": float("inf")}, {}])
def test_a_version_whose_metrics_are_no_numbers_is_not_promoted(
    registry: Registry, candidate: Candidate, metrics: dict[str, float | None]
) -> None:
    version = candidate()
    path = registry.models / version / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": metrics}))
    entries = [e.model_copy(update={"manifest_sha256": sha256(path)}) for e in registry.entries()]
    write_json(registry.models / "registry.json", [e.model_dump(mode="json") for e in entries])
    with pytest.raises(PromotionError, match=r"v1: (mae|wape) is not a number; train it anew"):
        registry.promote(version, "better")


def test_an_undefined_metric_other_than_the_mae_is_no_obstacle(registry: Registry, candidate: Candidate) -> None:
    assert registry.promote(candidate(metrics={"mae": 2.0, "mape": None}), "no demand but zeros").version == "v1"


def test_an_entry_whose_mae_is_nan_is_not_promoted(registry: Registry, candidate: Candidate) -> None:
    version = candidate()
    path = registry.models / "registry.json"
    path.write_text(path.read_text().replace('"mae": 2.0', '"mae": NaN'))
    with pytest.raises(PromotionError, match="v1: MAE is nan; train it anew"):
        registry.promote(version, "better")


def test_a_bundle_put_in_the_place_of_another_is_not_promoted(registry: Registry, candidate: Candidate) -> None:
    cold, main = candidate(COLD), candidate(PRODUCTION)
    shutil.rmtree(registry.models / main)
    shutil.copytree(registry.models / cold, registry.models / main)
    with pytest.raises(BundleError, match=r"v2/manifest.json does not match its checksum"):
        registry.promote(main, "better")
    entries = [e.model_copy(update={"manifest_sha256": None}) for e in registry.entries()]  # of an older release
    write_json(registry.models / "registry.json", [e.model_dump(mode="json") for e in entries])
    with pytest.raises(PromotionError, match="v2 holds v1 of shop, cold_start, not what was registered"):
        registry.promote(main, "better")


def test_a_version_is_registered_once(registry: Registry, make_bundle: Callable[..., Manifest]) -> None:
    manifest = make_bundle("v1")
    registry.register(manifest, 2.0, "trained")
    with pytest.raises(PromotionError, match="v1 is registered already"):
        registry.register(manifest, 1.0, "trained")


def test_a_run_that_is_repeated_gets_the_candidate_that_it_registered(
    registry: Registry, make_bundle: Callable[..., Manifest]
) -> None:
    ours = registry.register(make_bundle("v1"), 2.0, "trained", "run-1")
    other = registry.register(make_bundle("v2"), 2.0, "trained", "run-2")
    panel, unused = difficult_panel(), cast(Any, None)  # nothing is scored, nor fitted
    recipe = default_recipe(panel, ours.feature_tier, 14, seed=7)
    assert register_candidate(registry, panel, unused, recipe, None, None, "run-1") == ours
    assert registry.entries() == [ours, other]
    assert registry.of_run("run-1", Tier.COLD_START) is None


def test_an_unknown_version_cannot_be_promoted(registry: Registry, candidate: Candidate) -> None:
    candidate()
    with pytest.raises(BundleError, match="no model version 'v5'; known versions: v1"):
        registry.promote("v5", "typo")


def test_concurrent_promotions_in_threads_leave_one_champion_per_tier(registry: Registry, candidate: Candidate) -> None:
    versions = [candidate(tier) for _ in range(5) for tier in Tier]
    with ThreadPoolExecutor(8) as pool:
        pointers = list(pool.map(lambda v: registry.promote(v, "race"), versions))
    assert_one_champion_per_tier(registry, len(versions))
    assert all(isinstance(p, ChampionPointer) for p in pointers)


def assert_one_champion_per_tier(registry: Registry, n: int) -> None:
    """And the pointer names just these, in a file that is valid JSON."""
    entries = registry.entries()
    assert len(entries) == n
    held = {
        tier: [e.version for e in entries if e.status is Status.CHAMPION and e.feature_tier is tier] for tier in Tier
    }
    assert {tier: len(v) for tier, v in held.items()} == {PRODUCTION: 1, COLD: 1}
    pointer = registry.champion()
    assert pointer is not None
    assert pointer.versions == (held[PRODUCTION][0], held[COLD][0])


def test_readers_see_a_valid_pointer_at_every_moment_of_a_promotion(registry: Registry, candidate: Candidate) -> None:
    versions = [candidate() for _ in range(6)]
    registry.promote(versions[0], "first")
    with ThreadPoolExecutor(2) as pool:
        promotions = pool.submit(lambda: [registry.promote(v, "next") for v in versions * 3])
        seen = set()
        while not promotions.done():
            seen.add(pointer_file(registry)["version"])
        promotions.result()
    assert seen <= set(versions)


def test_a_promotion_cut_short_leaves_valid_files(
    registry: Registry, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = candidate(), candidate()
    registry.promote(old, "first")

    def fail(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("shelfops_pipeline.lifecycle.files.os.fsync", fail)
        with pytest.raises(OSError, match="power cut"):
            registry.promote(new, "better")
    assert pointer_file(registry)["version"] == old
    registry.promote(new, "better")
    assert pointer_file(registry)["version"] == new
    assert not [p for p in registry.models.iterdir() if p.name.endswith((".tmp", ".draft")) or ".json." in p.name]
