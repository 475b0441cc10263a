"""The ONNX graphs answer like the native models, for both transforms, and so does all that follows from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shelfops_pipeline.contracts.bundle import CALIBRATION
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.inference.backends import OnnxBackend
from shelfops_pipeline.inference.calibration import Calibration
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.models.bundle import read_manifest
from shelfops_pipeline.models.serve import origin_state

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("transform", ["log", "count"])
def test_onnx_answers_like_the_native_models(
    transform: str, bundles: dict[str, Path], retailer_panel: Panel, rare_panel: Panel
) -> None:
    folder = bundles[transform]
    panel = retailer_panel if transform == "log" else rare_panel
    native = ServedModel.load_native(folder)
    assert native.transform == transform
    # Quantiles of whole units jump where two backends differ by a rounding error: compare them before rounding.
    calibration = replace(Calibration.from_json((folder / CALIBRATION).read_text()), integer=False)
    native = replace(native, calibration=calibration)
    onnx = ServedModel.of(read_manifest(folder), calibration, OnnxBackend.load(folder))
    for origin in (0, 60, panel.n_observed - 1):  # with hardly any history, some, and all
        state = origin_state(panel, native, origin)
        a, b = predict_demand(native, state), predict_demand(onnx, state)
        for name, values in a.members.items():
            np.testing.assert_allclose(b.members[name], values, **TOLERANCE, err_msg=name)
        np.testing.assert_allclose(b.mean, a.mean, **TOLERANCE)
        np.testing.assert_allclose(b.quantiles, a.quantiles, **TOLERANCE)
        for metric, values in a.points.items():
            np.testing.assert_allclose(b.points[metric], values, **TOLERANCE, err_msg=metric)


def test_a_loaded_bundle_predicts_what_the_fitted_models_predicted(
    bundles: dict[str, Path], retailer_panel: Panel, trained_log: object
) -> None:
    loaded = ServedModel.load_native(bundles["log"])
    fitted = replace(loaded, members=trained_log.members)  # type: ignore[attr-defined]
    state = origin_state(retailer_panel, loaded, retailer_panel.n_observed - 1)
    np.testing.assert_allclose(predict_demand(loaded, state).mean, predict_demand(fitted, state).mean, rtol=1e-5)


@pytest.mark.parametrize("n", [1, 7])
def test_onnx_takes_any_number_of_series(bundles: dict[str, Path], retailer_panel: Panel, n: int) -> None:
    folder = bundles["log"]
    calibration = Calibration.from_json((folder / CALIBRATION).read_text())
    onnx = ServedModel.of(read_manifest(folder), calibration, OnnxBackend.load(folder))
    state = origin_state(retailer_panel, onnx, retailer_panel.n_observed - 1)
    whole = predict_demand(onnx, state).mean
    np.testing.assert_allclose(predict_demand(onnx, state.take(slice(0, n))).mean, whole[:n], rtol=1e-5)
