"""A bundle appears whole or not at all, and damage to it is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from shelfops_pipeline.contracts.bundle import (
    CALIBRATION,
    LSTM_NATIVE,
    LSTM_ONNX,
    MANIFEST,
    SCHEMA_VERSION,
    XGBOOST_NATIVE,
    XGBOOST_ONNX,
)
from shelfops_pipeline.contracts.columns import QUANTILES
from shelfops_pipeline.contracts.features import feature_list
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models import bundle
from shelfops_pipeline.models.bundle import Trained, read_manifest, sha256, verify, write_bundle
from shelfops_pipeline.models.recipe import Recipe
from shelfops_pipeline.models.serve import origin_state

FILES = (CALIBRATION, XGBOOST_NATIVE, XGBOOST_ONNX, LSTM_NATIVE, LSTM_ONNX)


@pytest.fixture
def copy(bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(bundles["log"], tmp_path / "v1"))


@pytest.fixture
def cheap_export(bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a finished bundle in place of a slow export of the same models."""

    def export(members: object, folder: Path) -> None:
        for name in FILES[1:]:
            shutil.copy(bundles["log"] / name, folder / name)

    monkeypatch.setattr(bundle, "export_members", export)


@pytest.fixture
def state(retailer_panel: Panel, trained_log: Trained) -> SeriesState:
    return origin_state(retailer_panel, trained_log.members, retailer_panel.n_observed - 1)


def test_a_fresh_bundle_verifies_and_its_manifest_says_what_it_is(
    bundles: dict[str, Path], retailer_panel: Panel, trained_log: Trained
) -> None:
    manifest = verify(bundles["log"])
    assert set(manifest.sha256) == set(FILES)
    assert (manifest.version, manifest.dataset) == ("v1", "simulated")
    assert manifest.training_cutoff == retailer_panel.last_observed
    assert manifest.quantiles == QUANTILES
    assert manifest.features == feature_list(manifest.spec, log=True)
    assert Recipe.model_validate(manifest.recipe) == trained_log.recipe
    assert manifest.static_categories["store_id"] == ("S001", "S002", "S003", "S004")
    assert manifest.metrics["mae"] == trained_log.metrics["mae"]
    assert {p.name for p in bundles["log"].iterdir()} == {MANIFEST, *FILES}


def test_only_inert_formats_are_in_a_bundle(bundles: dict[str, Path]) -> None:
    assert {p.suffix for p in bundles["count"].iterdir()} == {".json", ".ubj", ".onnx", ".keras"}


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_found_in_any_file(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(BundleError, match=f"{name} does not match its checksum"):
        verify(copy)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        verify(copy)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"schema_version": %d}' % SCHEMA_VERSION])
def test_a_damaged_manifest_is_one_clear_line(copy: Path, damage: bytes) -> None:
    (copy / MANIFEST).write_bytes(damage)
    with pytest.raises(BundleError, match=r"manifest\.json is damaged") as error:
        read_manifest(copy)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("other", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
def test_a_manifest_of_another_schema_is_refused(copy: Path, other: int) -> None:
    raw = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(raw | {"schema_version": other}))
    with pytest.raises(BundleError, match=f"version {other} is not {SCHEMA_VERSION}; use the release that wrote it"):
        read_manifest(copy)


def test_a_manifest_that_vouches_for_nothing_is_refused(copy: Path) -> None:
    raw = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(raw | {"sha256": {}}))
    with pytest.raises(BundleError, match="has no checksum of"):
        verify(copy)


def test_a_version_is_never_overwritten(
    copy: Path, retailer_panel: Panel, trained_log: Trained, state: SeriesState
) -> None:
    before = {p.name: sha256(p) for p in copy.iterdir()}
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(copy, "v1", retailer_panel, trained_log, state)
    assert {p.name: sha256(p) for p in copy.iterdir()} == before


@pytest.mark.usefixtures("cheap_export")
def test_a_bundle_whose_graph_is_wrong_leaves_nothing_behind(
    retailer_panel: Panel, trained_log: Trained, state: SeriesState, tmp_path: Path
) -> None:
    wrong = replace(trained_log, members=replace(trained_log.members, backend=_Louder(trained_log)))
    with pytest.raises(BundleError, match="xgboost: the ONNX graph differs"):
        write_bundle(tmp_path / "v2", "v2", retailer_panel, wrong, state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("cheap_export")
def test_a_crash_while_writing_leaves_nothing_behind_and_the_next_attempt_succeeds(
    retailer_panel: Panel, trained_log: Trained, state: SeriesState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def full(_: Calibration) -> str:
            raise OSError("no space left on device")

        patch.setattr(Calibration, "to_json", full)
        with pytest.raises(OSError, match="no space left"):
            write_bundle(tmp_path / "v2", "v2", retailer_panel, trained_log, state)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".v2.draft").mkdir()  # what a killed process leaves
    write_bundle(tmp_path / "v2", "v2", retailer_panel, trained_log, state)
    assert verify(tmp_path / "v2").version == "v2"
    assert [p.name for p in tmp_path.iterdir()] == ["v2"]


class _Louder:
    """A native backend that answers 1 % more than the exported booster."""

    def __init__(self, trained: Trained) -> None:
        self._backend = trained.members.backend

    def xgboost(self, rows: object) -> object:
        return self._backend.xgboost(rows) * 1.01 + 0.01  # type: ignore[arg-type]

    def lstm(self, *inputs: object) -> object:
        return self._backend.lstm(*inputs)  # type: ignore[arg-type]
