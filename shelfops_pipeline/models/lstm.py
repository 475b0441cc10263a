"""The recurrent member: an LSTM encoder over the recent past and a decoder over the known future, direct in horizon.

Encoder state, category embeddings and the decoder's inputs of a target period go through a small dense decoder
shared by all periods (the MQ-RNN layout of Wen et al. 2017), so no forecast is fed back and errors do not accumulate.
"""

from typing import Any

import numpy as np

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.features.create import SequenceWindows
from shelfops_pipeline.inference.quiet import import_keras
from shelfops_pipeline.models.recipe import LstmRecipe

_LARGEST_EMBEDDING_TABLE = 20_000


def fit_lstm(
    windows: SequenceWindows,
    spec: TierSpec,
    cardinalities: dict[str, int],
    recipe: LstmRecipe,
    transform: Transform,
    seed: int,
) -> Any:
    """Fit the network on a bounded sample of windows; deterministic under `seed`.

    `cardinalities` gives the number of categories of each static attribute, in the order of `spec.static`.
    """
    keras = import_keras()
    import tensorflow as tf

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = _network(spec, windows, cardinalities, recipe)
    steps = -(-len(windows.target) // recipe.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps * recipe.epochs, alpha=0.05)
    optimizer = keras.optimizers.Adam(schedule, clipnorm=1.0)
    optimizer.build(network.trainable_variables)  # made while a step is traced, its variables have it traced again
    network.compile(optimizer=optimizer, loss=_loss(transform), jit_compile=False)  # XLA compiles longer than we train
    inputs = {"encoder": windows.encoder, "decoder": windows.decoder, "static": windows.static}
    network.fit(inputs, windows.target, batch_size=recipe.batch_size, epochs=recipe.epochs, shuffle=True, verbose=0)
    return network


def _network(spec: TierSpec, windows: SequenceWindows, cardinalities: dict[str, int], recipe: LstmRecipe) -> Any:
    import keras
    from keras import layers

    encoder = keras.Input(windows.encoder.shape[1:], name="encoder")
    decoder = keras.Input(windows.decoder.shape[1:], name="decoder")
    static = keras.Input((len(spec.static),), dtype="int32", name="static")
    context = [layers.LSTM(recipe.units, name="history")(encoder)]
    for i, name in enumerate(spec.static):
        size = cardinalities[name] + 1
        if size <= _LARGEST_EMBEDDING_TABLE:
            width = int(np.clip(size // 2, 2, recipe.embedding))
            context.append(layers.Embedding(size, width, name=f"embed_{i}")(static[:, i]))
    summary = layers.Dense(recipe.units, activation="relu", name="summary")(layers.Concatenate()(context))
    repeated = layers.RepeatVector(spec.horizon)(summary)
    hidden = layers.Dense(recipe.units, activation="relu")(layers.Concatenate()([repeated, decoder]))
    hidden = layers.Dense(recipe.units // 2, activation="relu")(hidden)
    output = layers.Dense(1, kernel_initializer="zeros", name="deviation")(hidden)
    return keras.Model([encoder, decoder, static], layers.Reshape((spec.horizon,))(output))


def _loss(transform: Transform) -> Any:
    """Weighted loss per window: Huber on the relative log demand, or quasi-Poisson deviance on the relative count."""
    from keras import ops

    def huber(truth: Any, output: Any) -> Any:
        error = ops.abs(truth[..., 0] - output)
        return _average(ops.where(error < 1, 0.5 * error**2, error - 0.5), truth[..., 1])

    def poisson(truth: Any, output: Any) -> Any:
        output = ops.clip(output, -10, 10)  # beyond, exp() overflows; predictions are bounded in `sequence`
        return _average(ops.exp(output) - truth[..., 0] * output, truth[..., 1])

    def _average(loss: Any, weight: Any) -> Any:
        return ops.sum(loss * weight, axis=-1) / ops.cast(ops.shape(weight)[-1], "float32")

    return huber if transform == "log" else poisson
