"""Write and verify a model bundle: a directory that appears whole or not at all."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path

from shelfops_pipeline.contracts.bundle import (
    CALIBRATION,
    LSTM_NATIVE,
    LSTM_ONNX,
    MANIFEST,
    REFERENCE,
    SCHEMA_VERSION,
    XGBOOST_NATIVE,
    XGBOOST_ONNX,
    Manifest,
)
from shelfops_pipeline.contracts.columns import QUANTILES
from shelfops_pipeline.contracts.features import feature_list
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import BundleError, OtherReleaseError
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.export import check_parity, export_members
from shelfops_pipeline.models.recipe import Recipe

_HASHED = (CALIBRATION, XGBOOST_NATIVE, XGBOOST_ONNX, LSTM_NATIVE, LSTM_ONNX)
_LIBRARIES = ("numpy", "xgboost", "keras", "tensorflow", "onnx", "onnxruntime", "onnxmltools", "tf2onnx")


@dataclass(frozen=True)
class Trained:
    """A tier fitted on everything, calibrated on its backtest."""

    recipe: Recipe
    members: Members
    calibration: Calibration
    metrics: dict[str, float | None]
    reference: str | None = None
    """reference.json: what drift is measured from."""


def write_bundle(folder: Path, version: str, panel: Panel, trained: Trained, state: SeriesState) -> Manifest:
    """Export, check parity, and write the bundle to `folder`, which must not exist yet.

    Everything is written to a sibling directory first and renamed at the end, so that a crash leaves no half bundle.
    """
    if folder.exists():
        raise BundleError(f"{folder} exists already; versions are never overwritten")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        export_members(trained.members, draft)
        check_parity(trained.members, draft, state)
        (draft / CALIBRATION).write_text(trained.calibration.to_json())
        if trained.reference is not None:
            (draft / REFERENCE).write_text(trained.reference)
        checksums = {name: sha256(draft / name) for name in (*_HASHED, REFERENCE) if (draft / name).is_file()}
        manifest = _manifest(version, panel, trained, checksums)
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2))
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return manifest


def _manifest(version: str, panel: Panel, trained: Trained, checksums: dict[str, str]) -> Manifest:
    recipe = trained.recipe
    return Manifest(
        version=version,
        dataset=panel.dataset,
        tier=recipe.spec.tier,
        grain=panel.grain,
        horizon=recipe.spec.horizon,
        transform=recipe.transform,
        integer_demand=recipe.integer_demand,
        spec=recipe.spec,
        features=feature_list(recipe.spec, log=recipe.transform == "log"),
        static_categories=trained.members.static_categories,
        channel_scales=trained.members.channel_scales,
        quantiles=QUANTILES,
        training_start=panel.dates[0].astype("datetime64[D]").item(),
        training_cutoff=panel.last_observed,
        created_at=datetime.now(UTC),
        seed=recipe.seed,
        holiday_kinds=trained.members.holiday_kinds,
        recipe=recipe.model_dump(mode="json"),
        metrics=trained.metrics,
        library_versions={name: _library_version(name) for name in _LIBRARIES},
        sha256=checksums,
    )


def _library_version(name: str) -> str:
    """The release of a library; the worker's image has CPU builds, which are distributions of their own."""
    try:
        return distribution_version(name)
    except PackageNotFoundError:
        return distribution_version(f"{name}-cpu")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle. Raises BundleError when it is missing, unreadable or of an unknown schema."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{path} is missing; list the versions there are with `shelfops models list`")
    try:
        raw = json.loads(path.read_text())
        found = raw.get("schema_version")
        if found != SCHEMA_VERSION:
            raise OtherReleaseError(
                f"{path}: schema version {found} is not {SCHEMA_VERSION}; use the release that wrote it"
            )
        return Manifest.model_validate(raw)
    except (ValueError, AttributeError) as error:  # not UTF-8, not JSON, not an object, not a manifest
        first = str(error).splitlines()[0]
        raise BundleError(f"{path} is damaged ({first}); restore the bundle from a backup") from None


def read_calibration(folder: Path) -> Calibration:
    """The calibration of a bundle, whose checksum the caller has verified."""
    return Calibration.from_json((folder / CALIBRATION).read_text())


def verify(folder: Path) -> Manifest:
    """Check every checksum. Raises BundleError naming the first file that is missing or changed."""
    manifest = read_manifest(folder)
    for name in _HASHED:
        if name not in manifest.sha256:
            raise BundleError(f"{folder / MANIFEST} has no checksum of {name}; restore the bundle from a backup")
    for name, expected in manifest.sha256.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; restore the bundle from a backup")
        if sha256(path) != expected:
            raise BundleError(f"{path} does not match its checksum; restore the bundle from a backup")
    return manifest


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
