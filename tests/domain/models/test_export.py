"""The parity check: a graph that does not answer like its model is refused, whichever of the two it is."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shelfops_pipeline.contracts.bundle import LSTM_ONNX
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.errors import BundleError
from shelfops_pipeline.features.create import create_features
from shelfops_pipeline.inference.backends import OnnxBackend
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.export import check_parity, export_members, export_xgboost
from shelfops_pipeline.models.gbm import fit_xgboost
from shelfops_pipeline.models.recipe import channel_scales
from shelfops_pipeline.models.serve import origin_state


@pytest.fixture
def copy(bundles: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles["log"], tmp_path / "v1"))


def test_both_graphs_agree_with_their_models(copy: Path, retailer_panel: Panel, trained_log: Trained) -> None:
    state = origin_state(retailer_panel, trained_log.members, retailer_panel.n_observed - 1)
    worst = check_parity(trained_log.members, copy, state)
    assert set(worst) == {"xgboost", "lstm"}
    assert max(worst.values()) < 1e-4


def test_the_booster_of_another_seed_is_refused(copy: Path, retailer_panel: Panel, trained_log: Trained) -> None:
    recipe = trained_log.recipe
    rows = create_features(retailer_panel, recipe.spec, "log", channel_scales(retailer_panel), 2000, seed=99)
    export_xgboost(fit_xgboost(rows, recipe.model_copy(update={"seed": 99})), copy)
    state = origin_state(retailer_panel, trained_log.members, retailer_panel.n_observed - 1)
    with pytest.raises(BundleError, match=r"xgboost: the ONNX graph differs from the model by up to .* not registered"):
        check_parity(trained_log.members, copy, state)


def test_a_network_with_a_nudged_weight_is_refused(copy: Path, retailer_panel: Panel, trained_log: Trained) -> None:
    import onnx  # a third of a second
    from onnx import numpy_helper

    graph = onnx.load(copy / LSTM_ONNX)
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 100:
            tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1.05), tensor.name))
    onnx.save(graph, copy / LSTM_ONNX)
    state = origin_state(retailer_panel, trained_log.members, retailer_panel.n_observed - 1)
    with pytest.raises(BundleError, match="lstm: the ONNX graph differs"):
        check_parity(trained_log.members, copy, state)


def test_graphs_take_missing_values_as_the_booster_does(bundles: dict[str, Path], trained_log: Trained) -> None:
    backend = trained_log.members.backend
    rng = np.random.default_rng(0)
    width = backend.booster.num_features()  # type: ignore[attr-defined]
    rows = rng.uniform(0, 5, (500, width)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.5] = np.nan
    onnx = OnnxBackend.load(bundles["log"]).xgboost(rows)
    np.testing.assert_allclose(onnx, backend.xgboost(rows), rtol=1e-4, atol=1e-4)


def test_only_natively_fitted_models_can_be_exported(
    bundles: dict[str, Path], trained_log: Trained, tmp_path: Path
) -> None:
    loaded = replace(trained_log.members, backend=OnnxBackend.load(bundles["log"]))
    with pytest.raises(BundleError, match="only natively fitted models"):
        export_members(loaded, tmp_path)
