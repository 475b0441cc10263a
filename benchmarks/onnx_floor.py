"""The least a service of the same models costs: one FastAPI route around two onnxruntime sessions, and nothing else.

`SHELFOPS_FLOOR` is the folder of a version. A request brings the 16 rows of XGBoost; the inputs of the LSTM, which the
bundle's blank series has, are made once. Models run on the event loop: handing each request to a thread costs more.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from shelfops_pipeline.contracts.bundle import MANIFEST, Manifest
from shelfops_pipeline.inference.backends import OnnxBackend
from shelfops_pipeline.inference.sequence import decoder_inputs, static_inputs

folder = Path(os.environ["SHELFOPS_FLOOR"])
manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
backend = OnnxBackend.load(folder)


def _lstm_inputs() -> tuple[Any, Any, Any]:
    from shelfops_api.snapshot import blank_state

    state = blank_state(manifest.spec)
    decoder = decoder_inputs(manifest.spec, state, manifest.transform, manifest.channel_scales)
    return state.encoder, decoder, static_inputs(manifest.spec, state)


lstm_inputs = _lstm_inputs()
app = FastAPI()


@app.post("/predict")
async def predict(rows: list[list[float]]) -> dict[str, list[float]]:
    boosted = backend.xgboost(np.array(rows, dtype=np.float32))
    recurrent = backend.lstm(*lstm_inputs)[0]
    return {"xgboost": boosted.tolist(), "lstm": recurrent.tolist()}
