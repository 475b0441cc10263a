"""Explanations of served forecasts: exact in units of what is served, period by period and over a series."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import DATE, ITEM_ID, OPEN, STORE_ID
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.explain import served
from shelfops_pipeline.explain.served import explain_served, explained_periods
from shelfops_pipeline.explain.words import amount
from shelfops_pipeline.inference.predict import ServedModel, predict_demand
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.serve import ServingInput, serving_inputs
from shelfops_pipeline.store.tables import PERIODS, PREDICTION, REASONS, SENTENCE, START
from tests.domain.conftest import HORIZON

DAYS = 7
KEYS = (STORE_ID, ITEM_ID, DATE, PERIODS)
Explained = tuple[Panel, ServingInput, ServedModel, dict[str, Any]]


def joined(panel: Panel, part: ServingInput, model: ServedModel, periods: int) -> dict[str, Any]:
    blocks = list(explain_served(panel, part, model, periods))
    return {n: np.concatenate([b[n] for b in blocks]) for n in (STORE_ID, ITEM_ID, DATE, PERIODS)} | {
        n: [v for b in blocks for v in b[n]] for n in (START, PREDICTION, SENTENCE, REASONS)
    }


@pytest.fixture(scope="module", params=["log", "count"])
def explained(request: pytest.FixtureRequest) -> Explained:
    names = ("retailer_panel", "trained_log") if request.param == "log" else ("rare_panel", "trained_count")
    panel, trained = (request.getfixturevalue(name) for name in names)
    assert isinstance(trained, Trained)
    model = ServedModel("v1", trained.members, trained.calibration)
    (part,) = serving_inputs(panel, {trained.recipe.spec.tier: model})
    return panel, part, model, joined(panel, part, model, DAYS)


def test_start_and_reasons_add_up_to_the_served_mean(explained: Explained) -> None:
    panel, part, model, told = explained
    mean = predict_demand(model, part.state).mean[:, :DAYS]
    daily = np.flatnonzero(told[PERIODS] == 1)
    assert len(daily) == panel.n_series * DAYS
    np.testing.assert_allclose(np.array(told[PREDICTION])[daily], mean.reshape(-1), rtol=1e-6)
    for i, (start, prediction) in enumerate(zip(told[START], told[PREDICTION], strict=True)):
        if start is not None:
            assert start + sum(r["units"] for r in told[REASONS][i]) == pytest.approx(prediction, abs=1e-3)
            assert len(told[REASONS][i]) <= 6
            assert f"it starts from {amount(start)}" in told[SENTENCE][i]


def test_the_row_over_all_periods_is_the_sum_of_its_days(explained: Explained) -> None:
    _, part, _, told = explained
    over = np.flatnonzero(told[PERIODS] == DAYS)
    assert len(over) == len(part.rows)
    for i in over:
        same = (told[STORE_ID] == told[STORE_ID][i]) & (told[ITEM_ID] == told[ITEM_ID][i]) & (told[PERIODS] == 1)
        days = np.flatnonzero(same)
        assert told[DATE][i] == min(told[DATE][days])
        assert told[PREDICTION][i] == pytest.approx(sum(told[PREDICTION][d] for d in days), rel=1e-6)
        starts = [told[START][d] for d in days if told[START][d] is not None]
        assert told[START][i] == pytest.approx(sum(starts), rel=1e-9)
        assert f" in the {DAYS} days from {told[DATE][i]}" in told[SENTENCE][i]
        assert "it is Monday" not in told[SENTENCE][i]


def test_a_closed_day_has_no_start_and_says_so(explained: Explained) -> None:
    panel, part, model, _ = explained
    channels = part.state.channels.copy()
    channels[0, model.spec.channels.index(OPEN), model.spec.lead_in + 1] = 0
    channels[1, model.spec.channels.index(OPEN), model.spec.lead_in :] = 0
    shut = replace(part, state=replace(part.state, channels=channels))
    told = joined(panel, shut, model, DAYS)
    day = shut.state.target_dates[1].astype("datetime64[D]")
    first = (told[STORE_ID] == panel.store_ids[part.rows[0]]) & (told[ITEM_ID] == panel.item_ids[part.rows[0]])
    (i,) = np.flatnonzero(first & (told[DATE] == day))
    assert (told[START][i], told[PREDICTION][i], told[REASONS][i]) == (None, 0.0, [])
    assert told[SENTENCE][i] == "Expected 0 units: the store is closed."
    second = (told[STORE_ID] == panel.store_ids[part.rows[1]]) & (told[ITEM_ID] == panel.item_ids[part.rows[1]])
    (i,) = np.flatnonzero(second & (told[PERIODS] == DAYS))
    assert told[START][i] is None
    assert "the store is closed" in told[SENTENCE][i]


def test_what_the_mean_has_beyond_the_explained_member_is_named(explained: Explained) -> None:
    _, _, _, told = explained
    themes = {r["theme"] for row in told[REASONS] for r in row}
    assert "lstm" in themes
    said = " ".join(told[SENTENCE])
    assert "because the LSTM expects more" in said
    assert "because the LSTM expects less" in said


def test_blocks_of_any_size_say_the_same(explained: Explained, monkeypatch: pytest.MonkeyPatch) -> None:
    panel, part, model, told = explained
    monkeypatch.setattr(served, "_SERIES_AT_ONCE", 10)
    again = joined(panel, part, model, DAYS)
    one, other = (
        {(s, i, d, p): text for s, i, d, p, text in zip(*(t[n] for n in KEYS), t[SENTENCE], strict=True)}
        for t in (told, again)
    )
    assert one == other


def test_a_booster_that_is_not_the_served_one_is_refused(explained: Explained) -> None:
    panel, part, model, _ = explained
    backend: Any = model.members.backend

    class Other:
        booster = backend.booster[: backend.booster.num_boosted_rounds() // 2]
        xgboost = backend.xgboost
        lstm = backend.lstm

    other = replace(model, members=replace(model.members, backend=Other()))
    with pytest.raises(ValueError, match="another forecast"):
        list(explain_served(panel, part, other, DAYS))


def test_the_number_of_explained_periods_is_bounded_and_whole_weeks(explained: Explained) -> None:
    spec = explained[2].spec.model_copy(update={"horizon": 28})
    assert explained_periods(100, spec) == 28
    assert explained_periods(30_490, spec) == 7
    assert explained_periods(served.MOST_ROWS // 3, spec) == 3
    assert explained_periods(10 * served.MOST_ROWS, spec) == 1
    assert explained_periods(0, spec.model_copy(update={"horizon": HORIZON})) == HORIZON
