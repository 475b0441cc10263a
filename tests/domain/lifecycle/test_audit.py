"""`models verify`: what is found about versions, files that are gone or changed, and the pointer."""

from collections.abc import Callable

from shelfops_pipeline.contracts.columns import Status
from shelfops_pipeline.lifecycle.audit import audit
from shelfops_pipeline.lifecycle.files import write_json
from shelfops_pipeline.lifecycle.registry import Registry

Candidate = Callable[..., str]


def found(registry: Registry) -> dict[str, tuple[bool, str]]:
    return {f.what: (f.ok, f.detail) for f in audit(registry)}


def test_all_is_well_with_what_was_registered_and_promoted(registry: Registry, candidate: Candidate) -> None:
    registry.promote(candidate(), "first")
    candidate()
    assert found(registry) == {
        "v1": (True, "champion; 5 files and the manifest are unchanged"),
        "v2": (True, "candidate; 5 files and the manifest are unchanged"),
        "champion.json": (True, "names v1, as the registry does"),
    }


def test_each_damaged_version_is_named_with_its_first_fault(registry: Registry, candidate: Candidate) -> None:
    for _ in range(3):
        candidate()
    (registry.models / "v1" / "lstm.onnx").unlink()
    (registry.models / "v3" / "calibration.json").write_text("{}")
    told = found(registry)
    assert [told[v][0] for v in ("v1", "v2", "v3")] == [False, True, False]
    assert "lstm.onnx is missing" in told["v1"][1]
    assert "calibration.json does not match its checksum" in told["v3"][1]
    assert told["champion.json"] == (True, "none yet: nothing was promoted")


def test_a_pointer_that_is_behind_is_mended_and_told(registry: Registry, candidate: Candidate) -> None:
    registry.promote(candidate(), "first")
    before = (registry.models / "champion.json").read_bytes()
    registry.promote(candidate(), "second")
    (registry.models / "champion.json").write_bytes(before)
    assert found(registry)["champion.json"] == (
        True,
        "names v2, as the registry does; it was behind, and has been written again",
    )
    assert registry.is_settled()


def test_a_registry_that_was_lost_is_told_and_the_pointer_stays(registry: Registry, candidate: Candidate) -> None:
    registry.promote(candidate(), "first")
    (registry.models / "registry.json").unlink()
    told = found(registry)
    assert told["champion.json"] == (
        False,
        "names a version, but registry.json has no champion; restore registry.json from a backup",
    )
    assert told["v1"] == (True, "not registered: a run was cut short; the folder may be deleted")
    assert (registry.models / "champion.json").is_file()


def test_two_champions_of_a_tier_made_by_hand_are_told(registry: Registry, candidate: Candidate) -> None:
    for _ in range(2):
        candidate()
    entries = [e.model_copy(update={"status": Status.CHAMPION}) for e in registry.entries()]
    write_json(registry.models / "registry.json", [e.model_dump(mode="json") for e in entries])
    assert found(registry)["registry.json"] == (
        False,
        "2 champions of the production tier; promote one of them again",
    )
    registry.promote("v1", "this one")
    assert "registry.json" not in found(registry)
