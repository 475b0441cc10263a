"""Export to ONNX, with a parity check: a graph that does not answer like its model is never registered.

Traps that this module avoids (each was measured): onnxmltools misreads boosters whose columns are named f<n> out
of position, so names are removed; a booster is shipped whole (no early stopping to slice).
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import LSTM_NATIVE, LSTM_ONNX, XGBOOST_NATIVE, XGBOOST_ONNX
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.inference.backends import NativeBackend, OnnxBackend
from shelfops_pipeline.inference.matrix import model_matrix
from shelfops_pipeline.inference.predict import Members
from shelfops_pipeline.inference.sequence import decoder_inputs, static_inputs
from shelfops_pipeline.inference.state import SeriesState

Floats = NDArray[np.float32]

_RTOL = _ATOL = 1e-4
_PARITY_SERIES = 256


def export_members(members: Members, folder: Path) -> None:
    """Write both models, native and as ONNX, into `folder`."""
    backend = members.backend
    if not isinstance(backend, NativeBackend):
        raise BundleError("only natively fitted models can be exported")
    export_xgboost(backend.booster, folder)
    export_lstm(backend.network, folder)


def export_xgboost(booster: Any, folder: Path) -> None:
    """xgboost.ubj and xgboost.onnx."""
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster.save_model(folder / XGBOOST_NATIVE)
    booster.feature_names = None
    graph = convert_xgboost(booster, initial_types=[("rows", FloatTensorType([None, booster.num_features()]))])
    (folder / XGBOOST_ONNX).write_bytes(graph.SerializeToString())


def export_lstm(network: Any, folder: Path) -> None:
    """lstm.keras and lstm.onnx."""
    network.save(folder / LSTM_NATIVE)
    # Keras refuses to export a network that has not been called since it was loaded.
    network({i.name: np.zeros((1, *i.shape[1:]), dtype=i.dtype) for i in network.inputs})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # inside Keras' exporter
        network.export(folder / LSTM_ONNX, format="onnx", verbose=False)


def check_parity(members: Members, folder: Path, state: SeriesState) -> dict[str, float]:
    """Largest absolute difference of each exported graph to its model on up to 256 series of `state`.

    Raises BundleError when a graph is off by more than 1e-4 relative plus 1e-4 absolute.
    """
    rows = np.random.default_rng(0).permutation(state.n_series)[:_PARITY_SERIES]
    part = state.take(np.sort(rows))
    native, onnx = members.backend, OnnxBackend.load(folder)
    matrix = model_matrix(members.spec, part)
    matrix = matrix.reshape(-1, matrix.shape[2])
    decoder = decoder_inputs(members.spec, part, members.transform, members.channel_scales)
    static = static_inputs(members.spec, part)
    pairs = {
        "xgboost": (native.xgboost(matrix), onnx.xgboost(matrix)),
        "lstm": (native.lstm(part.encoder, decoder, static), onnx.lstm(part.encoder, decoder, static)),
    }
    return {name: _difference(name, *pair) for name, pair in pairs.items()}


def _difference(name: str, native: Floats, onnx: Floats) -> float:
    if native.shape != onnx.shape or not np.allclose(native, onnx, rtol=_RTOL, atol=_ATOL):
        worst = float(np.abs(native - onnx).max()) if native.shape == onnx.shape else float("nan")
        raise BundleError(f"{name}: the ONNX graph differs from the model by up to {worst:.2g}; it was not registered")
    return float(np.abs(native - onnx).max())
