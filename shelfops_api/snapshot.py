"""A release in memory: loaded from checked bytes, and never changed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np

from shelfops_pipeline.contracts.bundle import (
    CALIBRATION,
    LSTM_ONNX,
    MANIFEST,
    SCHEMA_VERSION,
    SERVED_FILES,
    XGBOOST_ONNX,
    ChampionPointer,
    Manifest,
)
from shelfops_pipeline.contracts.columns import OPEN, QUANTILES
from shelfops_pipeline.contracts.features import feature_names
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.inference.backends import OnnxBackend
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.inference.state import Layout, SeriesState


@dataclass(frozen=True)
class Snapshot:
    """A release: its pointer, and each of its versions ready to predict. Read once per request, never changed."""

    pointer: ChampionPointer
    models: Mapping[str, ServedModel]
    manifests: Mapping[str, Manifest]
    published_at: datetime | None = None
    """When the warehouse got the rows that are served, as far as is known. The same release is published daily."""

    @property
    def release(self) -> str:
        return self.pointer.release

    @property
    def edition(self) -> str | None:
        """Names these very rows, see `edition_of`; None while the warehouse has not told."""
        return None if self.published_at is None else edition_of(self.release, self.published_at)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the champion itself."""
        return self.manifests[self.pointer.version]

    def model(self, version: str) -> ServedModel:
        """Raises BundleError for a version that is not of this release: its rows were published wrongly."""
        if version not in self.models:
            raise BundleError(f"release {self.release} has rows of version {version}, which is not part of it")
        return self.models[version]


def edition_of(release: str, published_at: datetime) -> str:
    """Names the rows that `release` was given at one time: what caches, ETags and cursors are bound to."""
    return f"{release}@{int(published_at.timestamp() * 1e6):x}"


def load_snapshot(models: Path, pointer: ChampionPointer, published_at: datetime | None = None) -> Snapshot:
    """Load every version that `pointer` names.

    Raises BundleError for a bundle that is incomplete, changed, of an unknown schema, or made for other features
    than this release of ShelfOps computes; damage within a file that has its checksum raises what the reader raises.
    """
    loaded = {version: _load_version(models / version, pointer.dataset) for version in pointer.versions}
    return Snapshot(
        pointer,
        MappingProxyType({version: model for version, (_, model) in loaded.items()}),
        MappingProxyType({version: manifest for version, (manifest, _) in loaded.items()}),
        published_at,
    )


def _load_version(folder: Path, dataset: str) -> tuple[Manifest, ServedModel]:
    manifest = _read_manifest(folder, dataset)
    data = {name: _checked_bytes(folder / name, manifest.sha256.get(name)) for name in SERVED_FILES}
    backend = OnnxBackend(data[XGBOOST_ONNX], data[LSTM_ONNX])
    model = ServedModel.of(manifest, Calibration.from_json(data[CALIBRATION]), backend)
    forecast = predict_demand(model, blank_state(manifest.spec))
    if not np.isfinite(forecast.mean).all() or not np.isfinite(forecast.quantiles).all():
        raise BundleError(f"{folder}: the model's forecast of a blank series is not finite")
    return manifest, model


def _read_manifest(folder: Path, dataset: str) -> Manifest:
    path = folder / MANIFEST
    raw = json.loads(path.read_bytes())
    if raw.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(f"{path}: schema version {raw.get('schema_version')} is not {SCHEMA_VERSION}")
    manifest = Manifest.model_validate(raw)
    if (manifest.version, manifest.dataset) != (folder.name, dataset):
        found = f"{manifest.version} of {manifest.dataset}"
        raise BundleError(f"{path} says that it is {found}, not {folder.name} of {dataset}")
    names = tuple(feature.name for feature in manifest.features)
    if names != feature_names(manifest.spec) or manifest.quantiles != QUANTILES:
        raise BundleError(f"{path}: made for other features or quantiles than this release of ShelfOps has; train anew")
    return manifest


def _checked_bytes(path: Path, expected: str | None) -> bytes:
    data = path.read_bytes()
    if expected is None or hashlib.sha256(data).hexdigest() != expected:
        raise BundleError(f"{path} does not match its checksum; restore the bundle from a backup")
    return data


def blank_state(spec: TierSpec) -> SeriesState:
    """One open series of which everything is 0 and every static attribute unknown."""
    size = sum(int(np.prod(shape)) for shape in Layout.of(spec).shapes.values())
    state = SeriesState.unpack(spec, np.datetime64("2024-01-01"), [np.zeros(size, "<f4").tobytes()])
    state.scalars[:, state.layout.scalars.index("spread")] = 1
    for name in spec.static:
        state.scalars[:, state.layout.scalars.index(f"static_{name}")] = np.nan
    if OPEN in spec.channels:
        state.channels[:, state.layout.channels.index(OPEN)] = 1
    return state
