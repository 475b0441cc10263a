"""What drives the LSTM: attributions that add up, depend on nothing but the rows, and say what is known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.explain import recurrent
from shelfops_pipeline.explain.canvas import save_figure
from shelfops_pipeline.explain.recurrent import TOLERANCE, Attribution, NetworkRows, attribute, input_of
from shelfops_pipeline.explain.recurrent_importance import lstm_importance, read_lstm_importance, write_lstm_importance
from shelfops_pipeline.explain.recurrent_plot import attribution
from shelfops_pipeline.inference.predict import ServedModel
from shelfops_pipeline.inference.sequence import decoder_names, encoder_names
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.serve import origin_state

Explained = tuple[ServedModel, NetworkRows, NetworkRows, Attribution]


@pytest.fixture(scope="module", params=["log", "count"])
def explained(request: pytest.FixtureRequest) -> Explained:
    names = ("retailer_panel", "trained_log") if request.param == "log" else ("rare_panel", "trained_count")
    panel, trained = (request.getfixturevalue(name) for name in names)
    assert isinstance(panel, Panel)
    assert isinstance(trained, Trained)
    model = ServedModel("v1", trained.members, trained.calibration)
    state = origin_state(panel, model, panel.n_observed - 1)
    drawn = np.random.default_rng(0).integers(0, [[state.n_series], [model.spec.horizon]], (2, 30))
    rows = NetworkRows.of(model, state, *drawn[:, :24])
    background = NetworkRows.of(model, state, *drawn[:, 24:])
    return model, rows, background, attribute(network_of(model), model.spec, rows, background)


def network_of(model: ServedModel) -> Any:
    return model.members.backend.network  # type: ignore[attr-defined]


def test_attributions_add_up_to_the_output_less_the_backgrounds(explained: Explained) -> None:
    model, rows, background, found = explained

    def outputs(some: NetworkRows) -> Any:
        decoder = np.repeat(some.decoder[:, None], model.spec.horizon, axis=1)
        return network_of(model).predict(
            {"encoder": some.encoder, "decoder": decoder, "static": some.static}, verbose=0
        )[:, 0]

    moved = (outputs(rows) - outputs(background).mean()) * rows.scale
    assert np.abs(moved).mean() > 10 * found.gap  # there is something to add up
    np.testing.assert_allclose(found.values.sum(axis=1), moved, atol=TOLERANCE * np.abs(moved).max())
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.output, atol=found.gap + 1e-9)
    assert found.largest == pytest.approx(np.abs(moved).max(), rel=1e-3)


def test_every_input_is_counted_once_and_the_history_once_more_by_age(explained: Explained) -> None:
    model, rows, _, found = explained
    assert {p for p, _ in found.inputs} == {"history", "known_future", "static"}
    wanted = {("history", input_of(n)) for n in encoder_names(model.spec)}
    wanted |= {("known_future", input_of(n)) for n in decoder_names(model.spec)}
    wanted |= {("static", name) for name in model.spec.static}
    assert set(found.inputs) == wanted
    history = [i for i, (part, _) in enumerate(found.inputs) if part == "history"]
    np.testing.assert_allclose(found.by_age.sum(axis=1), found.values[:, history].sum(axis=1), atol=1e-9)
    assert found.by_age.shape == rows.encoder.shape[:2]


def test_a_row_that_is_the_background_has_nothing_to_explain(explained: Explained) -> None:
    model, rows, _, _ = explained
    one = NetworkRows(rows.encoder[:1], rows.decoder[:1], rows.static[:1], rows.scale[:1])
    found = attribute(network_of(model), model.spec, one, one)
    assert (found.values == 0).all()
    assert found.gap < 1e-6


def test_the_same_rows_give_the_same_attributions(explained: Explained) -> None:
    model, rows, background, found = explained
    again = attribute(network_of(model), model.spec, rows, background)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-4, atol=1e-6)


def test_what_only_the_history_changes_is_put_on_the_history(explained: Explained) -> None:
    model, rows, _, _ = explained
    other = replace(rows, encoder=rows.encoder[::-1].copy())
    one = NetworkRows(other.encoder[:1], rows.decoder[:1], rows.static[:1], rows.scale[:1])
    row = NetworkRows(rows.encoder[:1], rows.decoder[:1], rows.static[:1], rows.scale[:1])
    found = attribute(network_of(model), model.spec, row, one)
    elsewhere = [i for i, (part, _) in enumerate(found.inputs) if part != "history"]
    assert (found.values[:, elsewhere] == 0).all()


def test_attributions_that_do_not_add_up_are_refused(explained: Explained, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows, background, _ = explained
    monkeypatch.setattr(recurrent, "TOLERANCE", 1e-9)
    monkeypatch.setattr(recurrent, "_STEPS", (2,))
    with pytest.raises(ValueError, match="miss changes of up to"):
        attribute(network_of(model), model.spec, rows, background)


def test_the_file_and_the_picture_show_the_strongest_first(explained: Explained, tmp_path: Path) -> None:
    content = lstm_importance(explained[3])
    write_lstm_importance(tmp_path / "lstm_importance.json", content)
    strength = [row["mean_abs"] for row in read_lstm_importance(tmp_path / "lstm_importance.json")]
    assert strength == sorted(strength, reverse=True)
    assert json.loads((tmp_path / "lstm_importance.json").read_text())["method"].startswith("expected gradients")
    fig = attribution(content, Grain.DAY, "v1")
    bars = [patch.get_width() for patch in fig.axes[0].patches]
    assert bars == pytest.approx(strength[:20])
    assert len(fig.axes[1].patches) == explained[3].by_age.shape[1]
    save_figure(fig, tmp_path / "lstm_attribution.png")
    assert (tmp_path / "lstm_attribution.png").read_bytes().startswith(b"\x89PNG")
