"""From the members' expected demand to a calibrated distribution: ensemble weights, bias factor, quantile table.

All tables are indexed by horizon block and demand class; fitting is in `models.calibrate`.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS, Transform
from shelfops_pipeline.contracts.columns import QUANTILES, Metric
from shelfops_pipeline.inference.state import SeriesState

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

CLASSES = ("smooth", "erratic", "intermittent", "lumpy", "new", "dormant", "new_item", "new_store")
ADI_BORDER, CV2_BORDER = 1.32, 0.49
"""Between the first four: Syntetos, Boylan and Croston (2005)."""
NEW_CLASSES = ("new", "new_item", "new_store")
"""Those of series without history."""

# Equal steps of probability, so that a mean over them is an expectation; the published quantiles are among them.
LEVELS = tuple(round(0.025 * k, 3) for k in range(1, 40))
_ARRAYS = ("trust", "weights", "bias", "log_share", "ratios")
_PUBLISHED = [LEVELS.index(q) for q in QUANTILES]


def demand_class(state: SeriesState) -> NDArray[np.intp]:
    """[S] class of each series by demand interval and variation (`ADI_BORDER`, `CV2_BORDER`). A series that was
    observed but of late never sold is `dormant`; one without history is `new_item` where no store sells its item,
    `new_store` where its store sells nothing, else `new`: how sure one can be differs widely."""
    adi, cv2, history = state.scalar("adi"), state.scalar("cv2"), state.scalar("history")
    known = np.isfinite(adi) & np.isfinite(cv2)
    index = 2 * (adi > ADI_BORDER).astype(np.intp) + (cv2 > CV2_BORDER)
    new = np.full(state.n_series, CLASSES.index("new"))
    for key in ("store", "item"):
        level = next(name for name in state.layout.scalars if name.startswith(f"{key}_level_"))
        new[(history == 0) & np.isnan(state.scalar(level))] = CLASSES.index(f"new_{key}")
    return np.where(known, index, np.where(history > 0, CLASSES.index("dormant"), new))


@dataclass(frozen=True)
class Calibration:
    """B horizon blocks, C demand classes, K knots of expected demand, L = len(LEVELS) probabilities."""

    blocks: tuple[int, ...]
    """Last horizon of each block."""
    transform: Transform
    integer: bool
    """All of the retailer's demand comes in whole units: so, then, does that of series without history."""
    trust: Doubles
    """[B, M] how far each member is moved towards what its totals' own forecast says: 0 not at all, 1 all the way."""
    weights: Doubles
    """[B, C] weight of XGBoost; the LSTM has the rest."""
    bias: Doubles
    """[B, C] factor that makes the blend's sum right."""
    log_share: Doubles
    """[K] positions of the knots, log(1 + mean)."""
    ratios: Doubles
    """[B, C, K, L] quantiles of (demand + jitter) / (mean + offset)."""

    def block_of(self, horizon: int) -> NDArray[np.intp]:
        """[H] block of each target period; periods past the last block belong to it."""
        block = np.searchsorted(self.blocks, np.arange(1, horizon + 1))
        return np.minimum(block, len(self.blocks) - 1)

    def reconciled(self, members: dict[str, Floats], shift: Floats) -> dict[str, Floats]:
        """The members, each moved part of the way towards its totals; `shift` [S, M, H] as in `SeriesState`."""
        return reconciled(members, shift, self.trust, self.block_of(shift.shape[2]))

    def blend(self, members: dict[str, Floats], classes: NDArray[np.intp]) -> Floats:
        """[S, H] weighted mean of the members: geometric-like (in log1p) for `log`, arithmetic for `count`."""
        xgboost, lstm = members["xgboost"], members["lstm"]
        weight = self.weights[self.block_of(xgboost.shape[1])][:, classes].T
        return blend(xgboost, lstm, weight, self.transform)

    def mean(self, blended: Floats, classes: NDArray[np.intp]) -> Floats:
        """[S, H] expected demand: the blend times the bias factor."""
        return (blended * self.bias[self.block_of(blended.shape[1])][:, classes].T).astype(np.float32)

    def levels(self, mean: Floats, classes: NDArray[np.intp], whole: Bools) -> Floats:
        """[S, H, L] demand at each probability of LEVELS, non-negative and non-decreasing; `whole` is [S].

        Whole-unit demand was jittered by U(0, 1) before its quantiles were taken, which makes them move smoothly with
        the mean; floor() then gives back the exact quantile of the counts, since floor(Q(y + U)) = Q(y).
        """
        block = self.block_of(mean.shape[1])
        at = np.interp(np.log1p(mean), self.log_share, np.arange(len(self.log_share)))
        low = (
            np.minimum(at.astype(np.intp), len(self.log_share) - 2)
            if len(self.log_share) > 1
            else np.zeros_like(at, np.intp)
        )
        share = (at - low)[..., None]
        high = np.minimum(low + 1, len(self.log_share) - 1)
        b, c = np.broadcast_arrays(block[None, :], classes[:, None])
        ratio = (1 - share) * self.ratios[b, c, low] + share * self.ratios[b, c, high]
        values = np.maximum(ratio * (mean + offset(whole)[:, None])[..., None], 0)
        values[whole] = np.floor(values[whole])
        if not (values[..., 1:] >= values[..., :-1]).all():  # they hardly ever cross
            values.sort(axis=2)
        return values.astype(np.float32)

    def to_json(self) -> str:
        raw = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}
        return json.dumps(raw | {"levels": LEVELS})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises ValueError when the file was written for other probabilities or classes, or is damaged."""
        raw: dict[str, Any] = json.loads(text)
        if tuple(raw.pop("levels")) != LEVELS:
            raise ValueError("calibration was fitted for other probabilities than this release publishes")
        arrays = {k: np.array(raw.pop(k), dtype=np.float64) for k in _ARRAYS}
        if not all(np.isfinite(v).all() for v in arrays.values()):
            raise ValueError("calibration holds numbers that are not finite")
        cells = (len(raw["blocks"]), len(CLASSES))
        tables = (*cells, len(arrays["log_share"]), len(LEVELS))
        wanted = {"trust": (cells[0], len(MEMBERS)), "weights": cells, "bias": cells, "ratios": tables}
        if wrong := [name for name, shape in wanted.items() if arrays[name].shape != shape]:
            raise ValueError(f"calibration was fitted for other demand classes or blocks: {', '.join(wrong)}")
        return cls(blocks=tuple(raw["blocks"]), transform=raw["transform"], integer=raw["integer"], **arrays)


def whole_units(state: SeriesState, integer: bool) -> Bools:
    """[S] does demand come in whole units? `integer` says it of series without history."""
    own = state.scalar("whole")
    return np.where(np.isnan(own), integer, own > 0)


def offset(whole: Bools) -> Doubles:
    """What is added to the mean before a ratio to it is taken: the jitter of whole units needs room below one."""
    return np.where(whole, 1.0, 0.1)


def reconciled(members: dict[str, Floats], shift: Floats, trust: Doubles, block: NDArray[np.intp]) -> dict[str, Floats]:
    """Each member [S, H] times exp(trust x shift)."""
    factors = np.exp(trust[block].T.astype(np.float32) * shift)
    return {name: members[name] * factors[:, m] for m, name in enumerate(MEMBERS)}


def blend(xgboost: Floats, lstm: Floats, weight: Doubles, transform: Transform) -> Floats:
    """Weighted mean of two members' demand in the scale in which they were fitted."""
    if transform == "log":
        return np.expm1(weight * np.log1p(xgboost) + (1 - weight) * np.log1p(lstm)).astype(np.float32)
    return (weight * xgboost + (1 - weight) * lstm).astype(np.float32)


def published(levels: Floats) -> Floats:
    """[..., 5] the quantiles of the forecast table."""
    return levels[..., _PUBLISHED]


def point(levels: Floats, mean: Floats, metric: Metric) -> Floats:
    """[...] the value that minimises the expected loss of `metric` under the distribution in `levels`.

    mae: the median. rmse: the mean. rmsle: expm1 E[log1p y]. rmspe: E[1/y] / E[1/y^2] over y > 0, since periods
    without demand are not scored by it.
    """
    if metric is Metric.MAE:
        return levels[..., LEVELS.index(0.5)]
    if metric is Metric.RMSE:
        return mean
    if metric is Metric.RMSLE:
        return np.expm1(np.log1p(levels).mean(axis=-1)).astype(np.float32)
    inverse = np.divide(1.0, levels, out=np.zeros_like(levels), where=levels > 0)
    square = (inverse**2).sum(axis=-1)
    return np.divide(inverse.sum(axis=-1), square, out=np.zeros(square.shape, np.float32), where=square > 0)
