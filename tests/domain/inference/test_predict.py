"""`predict_demand` with stand-in models: what holds whatever the members say."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import HOLIDAY, OPEN, Metric, Tier
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel, Static
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference import predict
from shelfops_pipeline.inference.calibration import CLASSES, LEVELS, Calibration
from shelfops_pipeline.inference.predict import Forecast, Members, ServedModel, predict_demand
from shelfops_pipeline.inference.sequence import static_inputs
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.serve import origin_state
from tests.domain.support import blank_state, difficult_panel, small_spec, spec_for

H = 6
Floats = NDArray[np.float32]


class Stand:
    """Answers from its inputs alone, so that equal inputs give equal answers."""

    def xgboost(self, rows: Floats) -> Floats:
        return (np.nan_to_num(rows) % 7).mean(axis=1).astype(np.float32)

    def lstm(self, encoder: Floats, decoder: Floats, static: NDArray[np.int32]) -> Floats:
        return (decoder.mean(axis=2) + static.sum(axis=1, keepdims=True) / 100 + encoder.mean((1, 2))[:, None]) / 2


def model(
    spec: TierSpec, panel: Panel | None = None, transform: Transform = "log", integer: bool = True
) -> ServedModel:
    shape = (1, len(CLASSES))
    ratios = np.broadcast_to(np.linspace(0.1, 2.5, len(LEVELS)), (*shape, 1, len(LEVELS)))
    calibration = Calibration(
        blocks=(spec.horizon,),
        transform=transform,
        integer=integer,
        trust=np.array([[0.5, 1.0]]),
        weights=np.full(shape, 0.3),
        bias=np.full(shape, 1.1),
        log_share=np.array([1.0]),
        ratios=ratios,
    )
    categories = {} if panel is None else {k: v.categories for k, v in panel.static.items()}
    kinds = () if panel is None else panel.holiday_kinds
    return ServedModel("v1", Members(spec, transform, {}, categories, kinds, Stand()), calibration)


def columns(forecast: Forecast) -> dict[str, Floats]:
    return {
        "mean": forecast.mean,
        "quantiles": forecast.quantiles,
        **{f"point.{m}": v for m, v in forecast.points.items()},
        **{f"member.{m}": v for m, v in forecast.members.items()},
    }


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


def at_end(panel: Panel, spec: TierSpec, transform: Transform) -> SeriesState:
    return StateBuilder(panel, spec, transform, {}).at(panel.n_observed - 1)


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize("tier", list(Tier))
def test_closed_periods_are_zero_in_every_column_and_open_ones_finite(
    panel: Panel, tier: Tier, transform: Transform
) -> None:
    spec = spec_for(panel, tier, H)
    state = at_end(panel, spec, transform)
    state.channel(OPEN)[4, -3:] = 0
    forecast = predict_demand(model(spec, transform=transform), state)
    closed = state.closed()
    assert closed[4].tolist() == [False] * 3 + [True] * 3
    for name, values in columns(forecast).items():
        assert (values[closed] == 0).all(), name
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name
    assert (forecast.mean[~closed] > 0).all()


def test_quantiles_of_whole_units_are_whole_and_rise(panel: Panel) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    quantiles = predict_demand(model(spec), at_end(panel, spec, "log")).quantiles
    assert (quantiles == np.round(quantiles)).all()
    assert (np.diff(quantiles, axis=2) >= 0).all()


@pytest.mark.parametrize("metric", list(Metric))
def test_the_point_column_is_that_of_the_metric_asked_for(panel: Panel, metric: Metric) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    state = at_end(panel, spec, "log")
    forecast = predict_demand(model(spec, integer=False), state, metric)
    np.testing.assert_array_equal(forecast.point, forecast.points[metric])
    alone = columns(predict_demand(model(spec, integer=False), state, metric, others=False))
    assert columns(forecast).keys() - alone.keys() == {f"point.{other}" for other in Metric if other is not metric}
    for name, values in alone.items():
        np.testing.assert_array_equal(values, columns(forecast)[name])
    if metric is Metric.MAE:
        np.testing.assert_array_equal(forecast.point, forecast.quantiles[..., 2])


def test_the_number_of_series_per_block_changes_nothing(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    state = at_end(panel, spec, "log")
    whole = columns(predict_demand(model(spec), state))
    monkeypatch.setattr(predict, "_BLOCK", 2)
    for name, values in columns(predict_demand(model(spec), state)).items():
        np.testing.assert_array_equal(values, whole[name])


def test_a_series_is_forecast_alike_alone_and_among_others(panel: Panel) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    state = at_end(panel, spec, "log")
    together = predict_demand(model(spec), state)
    alone = predict_demand(model(spec), state.take(np.array([3])))
    np.testing.assert_array_equal(alone.mean, together.mean[3:4])
    np.testing.assert_array_equal(together.take(np.array([3])).quantiles, alone.quantiles)


def test_a_shift_towards_totals_moves_every_number_and_no_closed_period(panel: Panel) -> None:
    spec = spec_for(panel, Tier.PRODUCTION, H)
    served = model(spec, transform="count", integer=False)  # trusts XGBoost's totals half, the LSTM's wholly
    state = at_end(panel, spec, "count")
    state.channel(OPEN)[2, -1] = 0
    before = predict_demand(served, state)
    shift = np.zeros_like(state.shift)
    shift[:3, 0], shift[:3, 1] = np.log(4), np.log(2)
    after = predict_demand(served, replace(state, shift=shift))
    np.testing.assert_allclose(after.mean[:3], 2 * before.mean[:3], rtol=1e-5)
    np.testing.assert_array_equal(after.mean[3:], before.mean[3:])
    assert after.mean[2, -1] == 0
    open_ = ~state.closed()[:3]
    assert (after.quantiles[:3][open_][:, 2:] > before.quantiles[:3][open_][:, 2:]).all()
    for name, values in before.members.items():
        np.testing.assert_array_equal(after.members[name], values)  # members are shown as they were fitted


def test_a_state_made_for_another_tier_is_refused(panel: Panel) -> None:
    cold, production = (spec_for(panel, t, H) for t in Tier)
    with pytest.raises(ValueError, match="other features than the production model's"):
        predict_demand(model(production), at_end(panel, cold, "log"))


def test_categories_and_holidays_unknown_to_the_model_are_unknown_not_mistaken(panel: Panel) -> None:
    """A store that opened after training, and a kind of holiday of which the model never heard."""
    spec = spec_for(panel, Tier.PRODUCTION, H)
    fitted = model(spec, panel)
    renamed = dict(panel.static)
    renamed["store_id"] = Static(panel.static["store_id"].codes, ("S0", "new", "S2"))
    grown = replace(panel, static=renamed, holiday_kinds=("carnival", "festive"))
    state = origin_state(grown, fitted, panel.n_observed - 1)
    codes = static_inputs(spec, state)[:, spec.static.index("store_id")]
    assert codes.tolist() == [1, 1, 1, 0, 0, 0, 3, 3, 3]
    assert np.isnan(state.scalar("static_store_id")[3:6]).all()
    known = state.channel(HOLIDAY)
    now = panel.n_observed - 1
    theirs = panel.channels[HOLIDAY][:, now + 1 - spec.lead_in : now + 1 + H]
    np.testing.assert_array_equal(known, np.where(theirs == 2, 1, 0))  # festive is code 1 to the model
    assert np.isfinite(predict_demand(fitted, state).mean).all()


def test_a_series_about_which_nothing_is_known_gets_a_finite_forecast() -> None:
    spec = small_spec(H)
    state = blank_state(spec, 1, fallback_level=0.0, center=0.0, spread=0.7)
    for transform in ("log", "count"):
        forecast = predict_demand(model(spec, transform=transform), state)  # type: ignore[arg-type]
        assert all(np.isfinite(v).all() for v in columns(forecast).values())
