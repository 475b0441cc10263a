"""The champion in memory: loaded from checked bytes, swapped as one immutable snapshot."""

import asyncio
import ctypes
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import numpy as np
import onnxruntime.capi.onnxruntime_pybind11_state as onnx_errors
import structlog

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

CHAMPION: Final = "champion.json"
_LONGEST_RETRY_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)

# onnxruntime's exceptions have no common base of their own.
_ONNX_ERRORS: Final[tuple[type[Exception], ...]] = tuple(
    kind for kind in vars(onnx_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
# What reading damaged or foreign data leads to; ValueError covers JSON and Pydantic.
_REFUSALS: Final[tuple[type[Exception], ...]] = (
    BundleError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    *_ONNX_ERRORS,
)


@dataclass(frozen=True)
class Snapshot:
    """A release: its pointer, and each of its versions ready to predict. Read once per request, never changed."""

    pointer: ChampionPointer
    models: Mapping[str, ServedModel]
    manifests: Mapping[str, Manifest]

    @property
    def release(self) -> str:
        return self.pointer.release

    @property
    def manifest(self) -> Manifest:
        """The manifest of the champion itself."""
        return self.manifests[self.pointer.version]

    def model(self, version: str) -> ServedModel:
        """Raises BundleError for a version that is not of this release: its rows were published wrongly."""
        if version not in self.models:
            raise BundleError(f"release {self.release} has rows of version {version}, which is not part of it")
        return self.models[version]


def load_snapshot(models: Path, pointer: ChampionPointer) -> Snapshot:
    """Load every version that `pointer` names.

    Raises BundleError for a bundle that is incomplete, changed, of an unknown schema, or made for other features
    than this release of ShelfOps computes; damage within a file that has its checksum raises what the reader raises.
    """
    loaded = {version: _load_version(models / version, pointer.dataset) for version in pointer.versions}
    return Snapshot(
        pointer,
        MappingProxyType({version: model for version, (_, model) in loaded.items()}),
        MappingProxyType({version: manifest for version, (manifest, _) in loaded.items()}),
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


class Champion:
    """Keeps the snapshot up to date with champion.json.

    `is_published` tells whether the warehouse has a release's rows: a running service goes on with the old release
    until it has, since a promotion changes champion.json before all rows are written.
    """

    def __init__(self, models: Path, is_published: Callable[[str], bool]) -> None:
        self._models, self._is_published = models, is_published
        self._snapshot: Snapshot | None = None
        self._seen: tuple[int, int, int] | None = None
        self._refused: tuple[int, int, int] | None = None
        self._retry_at, self._retry_after = 0.0, 1.0

    @property
    def snapshot(self) -> Snapshot | None:
        """What serves now, or None before the first promotion. One attribute read: no lock is needed."""
        return self._snapshot

    async def watch(self, seconds: float) -> NoReturn:
        """Look for a new champion every so often; loading happens in a worker thread."""
        while True:
            swapped = await asyncio.to_thread(self.refresh)
            await asyncio.sleep(seconds)
            if swapped:  # by now the last requests on the old snapshot have ended
                release_memory()

    def refresh(self) -> bool:
        """Load what champion.json names if it has changed; True if another snapshot serves now.

        A bundle that cannot be used is logged, and tried again ever more seldom; the old one goes on serving. One
        caller at a time.
        """
        stamp = self._stamp()
        waiting = stamp == self._refused and time.monotonic() < self._retry_at
        if stamp is None or stamp == self._seen or waiting:
            return False
        try:
            pointer = ChampionPointer.model_validate_json((self._models / CHAMPION).read_bytes())
            if self._snapshot is not None and not self._is_published(pointer.release):
                return False
            snapshot = load_snapshot(self._models, pointer)
        except _REFUSALS as error:
            self._refuse(stamp, error)
            return False
        self._snapshot, self._seen, self._refused = snapshot, stamp, None
        log.info("champion_loaded", release=snapshot.release, dataset=pointer.dataset)
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        """Identifies the content of champion.json, which is only ever replaced whole; None: there is none."""
        try:
            state = (self._models / CHAMPION).stat()
        except FileNotFoundError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def _refuse(self, stamp: tuple[int, int, int], error: Exception) -> None:
        again = stamp == self._refused
        self._retry_after = min(2 * self._retry_after, _LONGEST_RETRY_SECONDS) if again else 1.0
        self._refused, self._retry_at = stamp, time.monotonic() + self._retry_after
        serving = None if self._snapshot is None else self._snapshot.release
        log.error("champion_refused", reason=f"{type(error).__name__}: {error}", still_serving=serving)


def release_memory() -> None:
    """Hand freed memory back to the system where the C library can (glibc): a swap leaves hundreds of MB."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
