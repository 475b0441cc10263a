"""What is known of a set of series at one origin: the input of every prediction.

A `SeriesState` is made once per origin from the panel (`features.state`), published per series with the forecasts, and
turned into model inputs by `inference.matrix` and `inference.sequence`. Overriding a known-future channel (a what-if)
changes `channels` only; nothing has to be recomputed from history.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import MEMBERS
from shelfops_pipeline.contracts.columns import OPEN, Grain
from shelfops_pipeline.contracts.features import feature_list
from shelfops_pipeline.contracts.spec import TierSpec

Floats = NDArray[np.float32]

# Scalars that the model matrix does not hold but that its computation, the LSTM's scaling or the calibration needs.
INTERNAL_SCALARS = (
    "fallback_level",
    "likes_level",
    "center",
    "spread",
    "price_mean",
    "price_max",
    "price_last",
    "whole",
)


def _tables(spec: TierSpec) -> tuple[str, ...]:
    """Means by season position. The base and the LSTM read them even where, as in weekly data, they are no features."""
    return "category_seasonal", *(f"seasonal_mean_{w}" for w in spec.seasonal_windows)


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a tier's state, in the order in which `pack` writes them."""

    scalars: tuple[str, ...]
    seasonal: tuple[str, ...]
    seasonal_promo: tuple[str, ...]
    by_horizon: tuple[str, ...]
    channels: tuple[str, ...]
    season: int
    horizon: int
    window: int
    encoder: tuple[int, int]

    @classmethod
    @cache
    def of(cls, spec: TierSpec) -> Self:
        features = feature_list(spec, log=True)

        def named(source: str) -> tuple[str, ...]:
            return tuple(f.name for f in features if f.source == source)

        return cls(
            scalars=named("scalar") + INTERNAL_SCALARS,
            seasonal=_tables(spec),
            seasonal_promo=named("seasonal_promo"),
            by_horizon=named("by_horizon"),
            channels=spec.channels,
            season=spec.season,
            horizon=spec.horizon,
            window=spec.lead_in + spec.horizon,
            encoder=(spec.encoder_length, 2 + len(spec.channels)),
        )

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Array name -> shape without the series axis."""
        return {
            "scalars": (len(self.scalars),),
            "seasonal": (len(self.seasonal), self.season),
            "seasonal_promo": (len(self.seasonal_promo), self.season, 2),
            "by_horizon": (len(self.by_horizon), self.horizon),
            "channels": (len(self.channels), self.window),
            "encoder": self.encoder,
            "shift": (len(MEMBERS), self.horizon),
        }

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where each array ends in a payload."""
        return tuple(np.cumsum([math.prod(shape) for shape in self.shapes.values()]).tolist())

    def check(self, payload: Floats) -> None:
        """Raises ValueError unless the payload [..., n] has the layout's size."""
        if payload.shape[-1] != self.ends[-1]:
            raise ValueError(f"payload holds {payload.shape[-1]} numbers, the layout {self.ends[-1]}")


@lru_cache(maxsize=64)
def target_dates(grain: Grain, horizon: int, origin: np.datetime64) -> NDArray[np.datetime64]:
    """[horizon] the forecast periods after `origin`, not to be written to; a week is named by its first day."""
    ahead = (np.arange(1, horizon + 1) * grain.days).astype("timedelta64[D]")
    dates = origin.astype("datetime64[D]") + ahead
    dates.flags.writeable = False
    return dates


@dataclass(frozen=True)
class SeriesState:
    """Arrays over S series; see `Layout.shapes` for the other axes. NaN means unknown."""

    layout: Layout
    grain: Grain
    origin: np.datetime64
    """The last observed period."""
    scalars: Floats
    seasonal: Floats
    seasonal_promo: Floats
    by_horizon: Floats
    channels: Floats
    encoder: Floats
    shift: Floats
    """[S, M, H] log of the forecast of a series' total over the sum of each member's (`models.totals`); 0: none."""

    @property
    def n_series(self) -> int:
        return len(self.scalars)

    @property
    def target_dates(self) -> NDArray[np.datetime64]:
        """[H] see `target_dates`."""
        return target_dates(self.grain, self.layout.horizon, self.origin)

    def scalar(self, name: str) -> Floats:
        """[S]"""
        return self.scalars[:, self.layout.scalars.index(name)]

    def channel(self, name: str) -> Floats:
        """[S, lead_in + H]"""
        return self.channels[:, self.layout.channels.index(name)]

    def closed(self) -> NDArray[np.bool_]:
        """[S, H] target periods known to be closed."""
        if OPEN not in self.layout.channels:
            return np.zeros((self.n_series, self.layout.horizon), dtype=bool)
        return self.channel(OPEN)[:, -self.layout.horizon :] == 0

    def take(self, rows: NDArray[np.intp] | slice) -> Self:
        """The state of some of the series."""
        arrays = {name: getattr(self, name)[rows] for name in self.layout.shapes}
        return replace(self, **arrays)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The states of several sets of series at one origin as one, in the order given."""
        shapes = parts[0].layout.shapes
        arrays: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in shapes}
        return replace(parts[0], **arrays)

    def override(self, row: int, changes: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Set known-future channels of one series in place: channel -> [(horizon 1..H, value)].

        Raises KeyError for a channel that the model does not know, IndexError for a period outside of the horizon.
        """
        lead_in = self.layout.window - self.layout.horizon
        for name, values in changes.items():
            channel = self.layout.channels.index(name) if name in self.layout.channels else None
            if channel is None:
                raise KeyError(name)
            for h, value in values:
                if not 1 <= h <= self.layout.horizon:  # a smaller one would rewrite the past
                    raise IndexError(f"period {h} is outside of the horizon, 1 to {self.layout.horizon}")
                self.channels[row, channel, lead_in + h - 1] = value

    def pack(self) -> list[bytes]:
        """One little-endian float32 payload per series."""
        flat = [getattr(self, name).reshape(self.n_series, -1) for name in self.layout.shapes]
        return [row.tobytes() for row in np.concatenate(flat, axis=1).astype("<f4")]

    @classmethod
    def unpack(cls, spec: TierSpec, origin: np.datetime64, payloads: Sequence[bytes]) -> Self:
        """Inverse of `pack`. Raises ValueError when a payload does not have the layout's size."""
        return cls.of_rows(spec, origin, np.stack([np.frombuffer(p, dtype="<f4") for p in payloads]))

    @classmethod
    def of_rows(cls, spec: TierSpec, origin: np.datetime64, payloads: Floats) -> Self:
        """`unpack` of payloads that are arrays already, [S, n]. Raises ValueError as it does."""
        layout = Layout.of(spec)
        layout.check(payloads)
        starts = (0, *layout.ends[:-1])
        arrays = {
            name: payloads[:, start:end].reshape(len(payloads), *shape).copy()
            for (name, shape), start, end in zip(layout.shapes.items(), starts, layout.ends, strict=True)
        }
        return cls(layout=layout, grain=spec.grain, origin=origin, **arrays)
