"""What drives the LSTM: expected gradients (Erion et al. 2021, doi:10.1038/s42256-021-00343-w), by input.

An input's attribution is its difference from a background example times the gradient of the output, averaged over the
straight path between the two (integrated gradients, Sundararajan et al. 2017) and over a background sample. The paths
are integrated by Gauss-Legendre quadrature rather than by random points, so the result depends on nothing but the rows.
Attributions of a row add up to its output less the mean output of the background, up to the quadrature's error.
Categories have no path between them: theirs leads through the embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.explain.themes import theme_of
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.inference.quiet import import_keras
from shelfops_pipeline.inference.sequence import (
    decoder_inputs,
    decoder_names,
    encoder_names,
    reference,
    static_inputs,
)
from shelfops_pipeline.inference.state import SeriesState

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]
Gradients = Callable[[list[Floats]], tuple[Doubles, list[Floats]]]

ROWS: Final = 128
BACKGROUND: Final = 16
TOLERANCE: Final = 0.02
"""How far attributions may be from adding up, relative to the largest change that there is to explain."""
_NOISE: Final = 1e-6  # of single precision
_STEPS: Final = (8, 32, 128)
HISTORY, FUTURE, STATIC = "history", "known_future", "static"
_THEMES: Final = {
    **dict.fromkeys(("week_sin", "week_cos"), "weekday"),
    **dict.fromkeys(("year_sin", "year_cos"), "time of year"),
    "ahead": "horizon",
    "last_year_week": "usual demand",
    "base": "usual demand",
    ON_PROMOTION: "promo",
    HOLIDAY: "holiday",
    OPEN: "closures",
}


@dataclass(frozen=True)
class NetworkRows:
    """Inputs of n forecasts: a series and one target period each."""

    encoder: Floats
    """[n, L, C]"""
    decoder: Floats
    """[n, D] of the target period"""
    static: NDArray[np.int32]
    """[n, A] category codes"""
    scale: Doubles
    """[n] log demand per unit of the network's output"""

    @classmethod
    def of(cls, model: ServedModel, state: SeriesState, series: Indices, step: Indices) -> Self:
        """The inputs of target periods `step` of `series`, both [n]."""
        chosen, row = np.unique(series, return_inverse=True)
        some = state.take(chosen)
        decoder = decoder_inputs(model.spec, some, model.transform, model.channel_scales)
        _, spread = reference(model.spec, some, model.transform)
        static = static_inputs(model.spec, some)
        return cls(some.encoder[row], decoder[row, step], static[row], spread[row, 0].astype(np.float64))


@dataclass(frozen=True)
class Attribution:
    """Change of log demand that each input makes; n rows, G inputs, L past periods."""

    inputs: tuple[tuple[str, str], ...]
    """[G] (part, input): the parts are history, known_future and static"""
    values: Doubles
    """[n, G]"""
    by_age: Doubles
    """[n, L] of the whole history, by past period; the last observed period first"""
    base: Doubles
    """[n] output without any input known: the mean over the background"""
    output: Doubles
    """[n] log demand relative to the row's reference; base + sum of values, within `gap`"""
    gap: float
    """the largest difference between the two"""
    steps: int
    background: int

    @property
    def largest(self) -> float:
        """The largest change from base to output."""
        return float(np.abs(self.output - self.base).max(initial=0.0))


def attribute(network: Any, spec: TierSpec, rows: NetworkRows, background: NetworkRows) -> Attribution:
    """Expected gradients of the network's output for each row, grouped by input.

    Raises ValueError if they do not add up to within TOLERANCE, even with the most steps.
    """
    gradients = _gradients(network, spec)
    for steps in _STEPS:
        found = _integrate(gradients, network, spec, rows, background, steps)
        if found.gap <= TOLERANCE * found.largest + _NOISE:
            return found
    raise ValueError(
        f"The LSTM's attributions miss changes of up to {found.largest:.2g} by up to {found.gap:.2g}, "
        f"more than {TOLERANCE:.0%} of them."
    )


def input_of(name: str) -> str:
    """The input under which an encoder or decoder input is counted."""
    if name in _THEMES:
        return _THEMES[name]
    return "usual demand" if name.startswith("seasonal_mean_") else theme_of(name)


def _integrate(
    gradients: Gradients, network: Any, spec: TierSpec, rows: NetworkRows, background: NetworkRows, steps: int
) -> Attribution:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    ends, starts = _arrays(network, spec, rows), _arrays(network, spec, background)
    total = [np.zeros(end.shape) for end in ends]
    k = len(background.encoder)
    for b in range(k):
        start = [array[b] for array in starts]
        change = [end - begin for end, begin in zip(ends, start, strict=True)]
        for x, weight in zip((nodes + 1) / 2, weights / 2 / k, strict=True):
            _, slopes = gradients([begin + np.float32(x) * d for begin, d in zip(start, change, strict=True)])
            for sums, d, slope in zip(total, change, slopes, strict=True):
                sums += weight * d * slope
    output, base = gradients(ends)[0], float(gradients(starts)[0].mean())
    static = [sums.sum(axis=1) for sums in total[2:]]
    inputs, values = _grouped(spec, total[0], total[1], dict(zip(_embedded(network, spec), static, strict=True)))
    gap = np.abs(base + values.sum(axis=1) - output) * rows.scale
    return Attribution(
        inputs=inputs,
        values=values * rows.scale[:, None],
        by_age=total[0].sum(axis=2)[:, ::-1] * rows.scale[:, None],
        base=base * rows.scale,
        output=output * rows.scale,
        gap=float(gap.max(initial=0.0)),
        steps=steps,
        background=k,
    )


def _grouped(
    spec: TierSpec, history: Doubles, future: Doubles, static: dict[str, Doubles]
) -> tuple[tuple[tuple[str, str], ...], Doubles]:
    """Sums over [n, L, C] and [n, D] by (part, input)."""
    sums: dict[tuple[str, str], Doubles] = {}
    columns = [((HISTORY, input_of(n)), history[:, :, i].sum(axis=1)) for i, n in enumerate(encoder_names(spec))]
    columns += [((FUTURE, input_of(n)), future[:, i]) for i, n in enumerate(decoder_names(spec))]
    columns += [((STATIC, name), values) for name, values in static.items()]
    for key, values in columns:
        sums[key] = sums.get(key, 0) + values
    return tuple(sums), np.stack(list(sums.values()), axis=1)


def _embedded(network: Any, spec: TierSpec) -> dict[str, Any]:
    """The embedding of each static attribute that the network has one for (`models.lstm`)."""
    layers = {layer.name: layer for layer in network.layers}
    return {name: layers[f"embed_{i}"] for i, name in enumerate(spec.static) if f"embed_{i}" in layers}


def _arrays(network: Any, spec: TierSpec, rows: NetworkRows) -> list[Floats]:
    """Everything that the output depends on smoothly: encoder, decoder, embeddings."""
    codes = {name: rows.static[:, i] for i, name in enumerate(spec.static)}
    tables = {name: layer.get_weights()[0] for name, layer in _embedded(network, spec).items()}
    return [rows.encoder, rows.decoder, *(tables[name][codes[name]] for name in tables)]


def _gradients(network: Any, spec: TierSpec) -> Gradients:
    """A function of `_arrays`: the output of each row, and its gradient by each array."""
    keras = import_keras()
    import tensorflow as tf

    inputs = {tensor.name: tensor for tensor in network.inputs}
    embeddings = [layer.output for layer in _embedded(network, spec).values()]
    head = keras.Model([inputs["encoder"], inputs["decoder"], *embeddings], network.output)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def run(arrays: list[Any]) -> tuple[Any, list[Any]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(arrays)
            # One target period: it stands first, and the others, which do not touch it, are empty.
            decoder = tf.pad(arrays[1][:, None], [[0, 0], [0, spec.horizon - 1], [0, 0]])
            output = head([arrays[0], decoder, *arrays[2:]], training=False)[:, 0]
        return output, tape.gradient(output, arrays)

    def gradients(arrays: list[Floats]) -> tuple[Doubles, list[Floats]]:
        output, slopes = run([tf.constant(array, tf.float32) for array in arrays])
        return np.asarray(output, dtype=np.float64), [np.asarray(slope) for slope in slopes]

    return gradients
