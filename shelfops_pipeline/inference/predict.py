"""`predict_demand()`: the one inference function behind the graph, the command line and the API."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import CALIBRATION, MANIFEST, MEMBERS, Manifest, Transform
from shelfops_pipeline.contracts.columns import Metric
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.inference import calibration as cal
from shelfops_pipeline.inference.backends import Backend, NativeBackend
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.matrix import Targets, model_matrix
from shelfops_pipeline.inference.sequence import Scales, decoder_inputs, demand_from_output, static_inputs
from shelfops_pipeline.inference.state import Layout, SeriesState

Floats = NDArray[np.float32]

_BLOCK = 4096  # series per block: bounds the model matrix to a few hundred MB at any number of series


@dataclass(frozen=True)
class Members:
    """The fitted ensemble members of a tier, before calibration."""

    spec: TierSpec
    transform: Transform
    channel_scales: Scales
    static_categories: dict[str, tuple[str, ...]]
    holiday_kinds: tuple[str, ...]
    backend: Backend

    def predict(self, state: SeriesState, names: Sequence[str] = MEMBERS) -> dict[str, Floats]:
        """Expected demand by member, [S, H] each, in units; 0 on closed periods. Only `names` need be fitted."""
        parts = [self._block(state.take(slice(i, i + _BLOCK)), names) for i in range(0, state.n_series, _BLOCK)]
        return {name: np.concatenate([p[name] for p in parts]) for name in names}

    def _block(self, state: SeriesState, names: Sequence[str]) -> dict[str, Floats]:
        one = {"xgboost": self._boosted, "lstm": self._recurrent}
        closed, targets = state.closed(), Targets.of(self.spec, state)
        return {name: np.where(closed, 0, one[name](state, targets)) for name in names}

    def _boosted(self, state: SeriesState, targets: Targets) -> Floats:
        rows = model_matrix(self.spec, state, targets)
        margin = self.backend.xgboost(rows.reshape(-1, rows.shape[2])).reshape(rows.shape[:2])
        if self.transform == "log":
            margin = np.expm1(np.maximum(margin + targets.base, 0))
        return np.maximum(margin, 0)

    def _recurrent(self, state: SeriesState, targets: Targets) -> Floats:
        decoder = decoder_inputs(self.spec, state, self.transform, self.channel_scales, targets)
        output = self.backend.lstm(state.encoder, decoder, static_inputs(self.spec, state))
        return demand_from_output(self.spec, state, self.transform, output, targets.base)


@dataclass(frozen=True)
class ServedModel:
    """A calibrated ensemble, ready to predict."""

    version: str
    members: Members
    calibration: Calibration

    @property
    def spec(self) -> TierSpec:
        return self.members.spec

    @property
    def transform(self) -> Transform:
        return self.members.transform

    @property
    def channel_scales(self) -> Scales:
        return self.members.channel_scales

    @property
    def static_categories(self) -> dict[str, tuple[str, ...]]:
        return self.members.static_categories

    @property
    def holiday_kinds(self) -> tuple[str, ...]:
        return self.members.holiday_kinds

    @classmethod
    def of(cls, manifest: Manifest, calibration: Calibration, backend: Backend) -> Self:
        members = Members(
            spec=manifest.spec,
            transform=manifest.transform,
            channel_scales=manifest.channel_scales,
            static_categories=manifest.static_categories,
            holiday_kinds=manifest.holiday_kinds,
            backend=backend,
        )
        return cls(manifest.version, members, calibration)

    @classmethod
    def load_native(cls, folder: Path) -> Self:
        """A bundle with its native models."""
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
        calibration = Calibration.from_json((folder / CALIBRATION).read_text())
        return cls.of(manifest, calibration, NativeBackend.load(folder))


@dataclass(frozen=True)
class Forecast:
    """S series, H periods, in units of demand per period."""

    dates: NDArray[np.datetime64]
    """[H]"""
    mean: Floats
    """[S, H] expected demand, for sums and orders."""
    point: Floats
    """[S, H] optimal for the declared metric."""
    points: dict[Metric, Floats]
    """[S, H] optimal for each metric that was asked for: for all, so that each is scored on what it asks for."""
    quantiles: Floats
    """[S, H, 5] at contracts.columns.QUANTILES."""
    members: dict[str, Floats]
    """[S, H] by ensemble member, uncalibrated."""

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The forecast of some of the series."""
        return replace(
            self,
            mean=self.mean[rows],
            point=self.point[rows],
            points={k: v[rows] for k, v in self.points.items()},
            quantiles=self.quantiles[rows],
            members={k: v[rows] for k, v in self.members.items()},
        )


def predict_demand(
    model: ServedModel, state: SeriesState, metric: Metric = Metric.MAE, *, others: bool = True
) -> Forecast:
    """Forecast every series and period of the state; without `others`, points are of `metric` only.

    Raises ValueError when the state was made for another layout than the model's.
    """
    check_layout(model.spec, state)
    members = model.members.predict(state)
    return calibrated(model.calibration, state, members, metric, tuple(Metric) if others else (metric,))


def calibrated(
    calibration: Calibration,
    state: SeriesState,
    members: dict[str, Floats],
    metric: Metric,
    metrics: Collection[Metric] = tuple(Metric),
) -> Forecast:
    """The calibrated forecast from the members' expected demand; `metric` is one of `metrics`, which have points."""
    parts = []
    for i in range(0, state.n_series, _BLOCK):
        rows = slice(i, i + _BLOCK)
        some = {k: v[rows] for k, v in members.items()}
        parts.append(_calibrated_block(calibration, state.take(rows), some, metrics))
    means, quantiles, points = zip(*parts, strict=True)
    by_metric = {m: np.concatenate([p[m] for p in points]) for m in metrics}
    return Forecast(
        dates=state.target_dates,
        mean=np.concatenate(means),
        point=by_metric[metric],
        points=by_metric,
        quantiles=np.concatenate(quantiles),
        members=members,
    )


def _calibrated_block(
    calibration: Calibration, state: SeriesState, members: dict[str, Floats], metrics: Collection[Metric]
) -> tuple[Floats, Floats, dict[Metric, Floats]]:
    classes = cal.demand_class(state)
    open_ = ~state.closed()
    members = calibration.reconciled(members, state.shift)
    mean = calibration.mean(calibration.blend(members, classes), classes) * open_
    levels = calibration.levels(mean, classes, cal.whole_units(state, calibration.integer)) * open_[..., None]
    return mean, cal.published(levels), {m: cal.point(levels, mean, m) for m in metrics}


def check_layout(spec: TierSpec, state: SeriesState) -> None:
    """Raises ValueError unless the state has the arrays that `spec` describes."""
    if state.layout != Layout.of(spec):
        raise ValueError(f"state was made for other features than the {spec.tier} model's")
