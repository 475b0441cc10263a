"""The two ways to run a bundle's models: native libraries in the pipeline, ONNX in the API. Same inputs and outputs."""

from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import LSTM_NATIVE, LSTM_ONNX, XGBOOST_NATIVE, XGBOOST_ONNX
from shelfops_pipeline.inference.quiet import import_keras

Floats = NDArray[np.float32]

BATCH: Final = 2048
"""Series that the network is shown at once: bounds memory at any number of series."""


class Backend(Protocol):
    """Runs the two fitted models."""

    def xgboost(self, rows: Floats) -> Floats:
        """[n, F] -> [n]: deviation from the base (log) or expected demand (count)."""
        ...

    def lstm(self, encoder: Floats, decoder: Floats, static: NDArray[np.int32]) -> Floats:
        """[S, L, C], [S, H, D], [S, n_static] -> [S, H]: the network's output, see `sequence.demand_from_output`."""
        ...


class NativeBackend:
    """XGBoost and Keras themselves. Both are imported on first use."""

    def __init__(self, booster: Any, network: Any) -> None:
        self.booster = booster
        self.network = network

    @classmethod
    def load(cls, folder: Path) -> Self:
        import xgboost

        keras = import_keras()
        booster = xgboost.Booster()
        booster.load_model(folder / XGBOOST_NATIVE)
        return cls(booster, keras.saving.load_model(folder / LSTM_NATIVE, compile=False))

    def xgboost(self, rows: Floats) -> Floats:
        return np.asarray(self.booster.inplace_predict(rows), dtype=np.float32)

    def lstm(self, encoder: Floats, decoder: Floats, static: NDArray[np.int32]) -> Floats:
        inputs = {"encoder": encoder, "decoder": decoder, "static": static}
        return np.asarray(self.network.predict(inputs, batch_size=BATCH, verbose=0), dtype=np.float32)


class OnnxBackend:
    """onnxruntime on one thread; sessions are made from bytes whose checksum the caller has verified."""

    def __init__(self, xgboost: bytes, lstm: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self._xgboost = onnxruntime.InferenceSession(xgboost, options, providers=providers)
        self._lstm = onnxruntime.InferenceSession(lstm, options, providers=providers)
        self._rows_name = self._xgboost.get_inputs()[0].name
        self._lstm_names = [i.name for i in self._lstm.get_inputs()]

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls((folder / XGBOOST_ONNX).read_bytes(), (folder / LSTM_ONNX).read_bytes())

    def xgboost(self, rows: Floats) -> Floats:
        return np.asarray(self._xgboost.run(None, {self._rows_name: rows})[0], dtype=np.float32).reshape(-1)

    def lstm(self, encoder: Floats, decoder: Floats, static: NDArray[np.int32]) -> Floats:
        inputs = {"encoder": encoder, "decoder": decoder, "static": static}
        feed = {name: inputs[name.split(":")[0]] for name in self._lstm_names}
        return np.asarray(self._lstm.run(None, feed)[0], dtype=np.float32)
