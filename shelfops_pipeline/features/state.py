"""`StateBuilder`: the state of series at an origin, from the panel's history up to that origin only.

Series are worked through in blocks, so that memory beyond the panel and the result is that of one block, and a block's
history is read once for all origins. What comes out does not depend on the size of the blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import ITEM_ID, STORE_ID
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.features.arrays import Bools, Floats, ratio
from shelfops_pipeline.features.forget import forget_history, location
from shelfops_pipeline.features.history import History
from shelfops_pipeline.features.likes import Asked, Likes, Marks
from shelfops_pipeline.features.recent import Recent, cut
from shelfops_pipeline.inference.matrix import season_position
from shelfops_pipeline.inference.sequence import Scales, channel_input, relative_level
from shelfops_pipeline.inference.state import Layout, SeriesState

Rows = NDArray[np.intp]

_BLOCK_CELLS = 4_000_000
_MOST_SERIES = 2_048


@dataclass(frozen=True)
class Request:
    """The states that are wanted at one origin."""

    origin: int
    rows: Rows
    """[n] series, ascending"""
    new: Marks
    """[n] what of each series is to look as if it had no history: bits of likes.NEW_SERIES, NEW_ITEM, NEW_STORE; 0 is
    nothing"""

    def within(self, block: slice) -> tuple[slice, Self]:
        """(which of the series lie in a block of the panel, the request for those, counted within the block)"""
        low, high = np.searchsorted(self.rows, [block.start, block.stop])
        part = slice(int(low), int(high))
        return part, replace(self, rows=self.rows[part] - block.start, new=self.new[part])


class StateBuilder:
    """States of a panel's series in the shape of `spec`, levels in the scale of `transform`.

    `block` is how many series are worked on at a time; by default as many as fit some 4 million cells. `series` are
    those that are asked for, by default all: what they are like is told from the whole panel either way.
    """

    def __init__(
        self,
        panel: Panel,
        spec: TierSpec,
        transform: Transform,
        scales: Scales,
        block: int | None = None,
        series: slice | None = None,
    ) -> None:
        self.panel, self.spec, self.transform, self.scales = panel, spec, transform, scales
        self.layout = Layout.of(spec)
        self._series = range(panel.n_series)[series or slice(None)]
        self._block = block or max(1, min(_BLOCK_CELLS // panel.n_observed, _MOST_SERIES))

    def at(self, origin: int, new: Marks | Bools | None = None) -> SeriesState:
        """The state of the series when period `origin` has just ended; those marked `new` [n] as if they, their item or
        their store had no history. Raises IndexError outside the observed history."""
        marks = np.zeros(len(self._series), dtype=np.uint8) if new is None else new.astype(np.uint8)
        request = Request(origin, np.arange(self._series.start, self._series.stop), marks)
        parts = [state for _, _, state in self.over([request])]
        return SeriesState.join(parts)

    def over(self, requests: Sequence[Request]) -> Iterator[tuple[int, slice, SeriesState]]:
        """(which request, which of its series, their state), block by block; origins must ascend, and requests name
        none but the builder's series.

        Nothing after a request's origin is read for it but known-future channels, and those up to `origin + horizon`.
        Raises IndexError for an origin outside the observed history.
        """
        origins = np.array([request.origin for request in requests])
        outside = (origins < 0) | (origins >= self.panel.n_observed)
        if outside.any():
            raise IndexError(f"origin {origins[outside][0]} is outside the {self.panel.n_observed} observed periods")
        if (np.diff(origins) <= 0).any():
            raise ValueError("requests must be in the order of their origins, one for each")
        likes = Likes(self.panel, self.spec, self.transform, origins)
        for low in self._series[:: self._block]:
            block = slice(low, min(low + self._block, self._series.stop))
            wanted = [request.within(block) for request in requests]
            if not any(len(request.rows) for _, request in wanted):
                continue
            history = History(self.panel.take(block), self.spec, self.transform, origins)
            for k, (part, request) in enumerate(wanted):
                if len(request.rows):
                    yield k, part, self._state(history, likes, k, request, low)

    def _state(self, history: History, likes: Likes, k: int, request: Request, first: int) -> SeriesState:
        """The state of some series of a block, which begins with series `first` of the panel."""
        rows = request.rows
        recent, promo = history.recent(k, rows)
        new = request.new > 0
        asked = Asked(k, rows + first, request.new, history.sums(k, rows, recent).of_those(new))
        scalars = history.scalars(k, rows, recent, promo) | likes.scalars(asked)
        scalars |= self._statics(history.panel, likes, asked, rows) | history.price_scalars(k, rows)
        scalars |= self._levels(scalars, likes.level(asked))
        tables = self._tables(request.origin, recent, promo, likes.seasonal(asked))
        last_year = history.last_year(k, rows) if self.spec.last_year else {}

        def stack(group: str, values: dict[str, Floats]) -> Floats:
            names = getattr(self.layout, group)
            out = np.empty((len(rows), *self.layout.shapes[group]), dtype=np.float32)
            for i, name in enumerate(names):
                out[:, i] = values[name]
            return out

        state = SeriesState(
            layout=self.layout,
            grain=self.spec.grain,
            origin=self.panel.dates[request.origin],
            scalars=stack("scalars", scalars),
            seasonal=stack("seasonal", tables),
            seasonal_promo=stack("seasonal_promo", tables),
            by_horizon=stack("by_horizon", last_year),
            channels=self._channels(history.panel, rows, request.origin),
            encoder=self._encoder(history, rows, request.origin, scalars),
            shift=np.zeros((len(rows), *self.layout.shapes["shift"]), dtype=np.float32),
        )
        return forget_history(state, new, self.transform) if new.any() else state

    def _statics(self, block: Panel, likes: Likes, asked: Asked, rows: Rows) -> dict[str, Floats]:
        """Codes of the static attributes. An item or a store without history is no known one: nothing was learned of
        its code, and what a model makes of a number that it never saw is chance."""
        codes = {name: block.static[name].codes[rows] for name in self.spec.static}
        codes |= {key: np.where(likes.known(key, asked), codes[key], -1) for key in (STORE_ID, ITEM_ID) if key in codes}
        return {f"static_{k}": np.where(v >= 0, v, np.nan).astype(np.float32) for k, v in codes.items()}

    def _levels(self, scalars: dict[str, Floats], likes: Floats) -> dict[str, Floats]:
        """What the base and the network's scaling fall back on."""
        month = self.spec.month
        fallback = np.where(np.isfinite(scalars[f"level_{month}"]), scalars[f"level_{month}"], scalars["level_all"])
        fallback = np.where(np.isfinite(fallback), fallback, likes)
        levels = {"fallback_level": fallback, "likes_level": likes}
        return levels | location(fallback, scalars[f"std_{month}"], self.transform)

    def _tables(self, origin: int, recent: Recent, promo: Bools, category: Floats) -> dict[str, Floats]:
        """Means by season position, [n, season], and by promotion flag too, [n, season, 2]."""
        spec = self.spec
        today = int(season_position(spec, self.panel.dates[origin : origin + 1])[0])
        position = (today + 1 + np.arange(spec.season)) % spec.season  # the origin's is the last

        def by_position(columns: Floats) -> Floats:
            return columns[:, np.argsort(position)]

        out = {"category_seasonal": by_position(category)}
        for w in spec.seasonal_windows:
            out[f"seasonal_mean_{w}"] = by_position(ratio(*recent.season_sums(w, spec.season)))
        for w in spec.seasonal_promo_windows:
            flags = (ratio(*recent.season_sums(w, spec.season, among)) for among in (~promo, promo))
            out[f"seasonal_promo_mean_{w}"] = np.stack([by_position(v) for v in flags], axis=2)
        return out

    def _channels(self, block: Panel, rows: Rows, t: int) -> Floats:
        """[n, C, lead_in + H] channels around the origin; unknown (NaN) outside the panel."""
        low, high = t + 1 - self.spec.lead_in, t + 1 + self.spec.horizon
        out = np.empty((len(rows), len(self.spec.channels), high - low), dtype=np.float32)
        for i, name in enumerate(self.spec.channels):
            out[:, i] = cut(block.channels[name], rows, low, high)
        return out

    def _encoder(self, history: History, rows: Rows, t: int, scalars: dict[str, Floats]) -> Floats:
        """[n, L, 2 + C] recent demand on the series' own scale, its mask, and the channels; left-padded with 0."""
        low, high = t + 1 - self.spec.encoder_length, t + 1
        out = np.empty((len(rows), *self.layout.encoder), dtype=np.float32)
        z = cut(history.z, rows, low, high)
        center, spread = scalars["center"][:, None], scalars["spread"][:, None]
        out[:, :, 0] = relative_level(z, center, spread, self.transform)
        out[:, :, 1] = np.isfinite(z)
        for i, name in enumerate(self.spec.channels):
            values = cut(history.panel.channels[name], rows, low, high)
            out[:, :, 2 + i] = channel_input(name, values, scalars["price_mean"], self.scales)
        out[:, : max(-low, 0)] = 0
        return out
