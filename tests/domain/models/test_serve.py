"""Serving: each series by the tier that its history allows, and the table that comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

from shelfops_pipeline.contracts.columns import FORECAST_COLUMNS, PRICE, Metric, Tier
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.errors import DataError
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.features.totals import sum_by
from shelfops_pipeline.inference.backends import BATCH
from shelfops_pipeline.inference.calibration import CLASSES, LEVELS, Calibration
from shelfops_pipeline.inference.predict import Members, ServedModel, predict_demand
from shelfops_pipeline.inference.state import SeriesState
from shelfops_pipeline.models.bundle import Trained
from shelfops_pipeline.models.serve import (
    assign_tiers,
    forecast_columns,
    forecast_table,
    make_inputs,
    origin_state,
    reconciled_state,
    serve,
    serving_inputs,
    serving_shards,
)
from shelfops_pipeline.models.totals import Totals
from tests.domain.support import ENDED, LATE, NEW, ONE_PERIOD, REGULAR, chain_panel, difficult_panel, spec_for

H = 6


@dataclass
class Constant:
    """Members that answer one number."""

    value: float

    def xgboost(self, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), self.value, np.float32)

    def lstm(self, encoder: np.ndarray, decoder: np.ndarray, static: np.ndarray) -> np.ndarray:
        return np.zeros(decoder.shape[:2], np.float32)


def model(panel: Panel, tier: Tier, value: float, trusted: float = 0.0) -> ServedModel:
    """A count model whose forecast is `value` everywhere, moved by `trusted` of the way towards totals."""
    shape = (1, len(CLASSES))
    ratios = np.ones((*shape, 1, len(LEVELS)))
    trust = np.array([[trusted, 0.0]])
    calibration = Calibration((H,), "count", False, trust, np.ones(shape), np.ones(shape), np.array([1.0]), ratios)
    categories = {k: v.categories for k, v in panel.static.items()}
    members = Members(spec_for(panel, tier, H), "count", {}, categories, panel.holiday_kinds, Constant(value))
    return ServedModel(f"{tier.value}-1", members, calibration)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


@pytest.fixture(scope="module")
def models(panel: Panel) -> Mapping[Tier, ServedModel]:
    return {Tier.PRODUCTION: model(panel, Tier.PRODUCTION, 5), Tier.COLD_START: model(panel, Tier.COLD_START, 2)}


def test_series_with_enough_history_go_to_production_and_the_rest_to_cold_start(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    tiers = assign_tiers(panel, models)
    assert sorted(tiers[Tier.COLD_START]) == [LATE, NEW, ONE_PERIOD]
    assert sorted(np.concatenate(list(tiers.values()))) == list(range(panel.n_series))


def test_the_split_falls_exactly_at_the_fewest_observed_periods_of_production(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    least = models[Tier.PRODUCTION].spec.min_history
    demand = panel.demand.copy()
    seen = np.flatnonzero(np.isfinite(demand[REGULAR]))
    demand[REGULAR, seen[least:]] = np.nan
    assert REGULAR in assign_tiers(replace(panel, demand=demand), models)[Tier.PRODUCTION]
    demand[REGULAR, seen[least - 1]] = np.nan
    assert REGULAR in assign_tiers(replace(panel, demand=demand), models)[Tier.COLD_START]


def test_a_lonely_tier_serves_everything_and_a_tier_without_series_is_left_out(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    only = {Tier.COLD_START: models[Tier.COLD_START]}
    assert len(assign_tiers(panel, only)[Tier.COLD_START]) == panel.n_series
    assert list(assign_tiers(panel.take(np.array([REGULAR, ENDED])), models)) == [Tier.PRODUCTION]


def test_the_table_has_the_columns_types_and_order_of_a_forecast_file(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    parts = serve(panel, models, Metric.MAE)
    table = forecast_table(panel, parts, with_version=True)
    assert tuple(table.column_names) == (*FORECAST_COLUMNS, "model_version")
    assert table.schema.field("date").type == pa.date32()
    assert {table.schema.field(c).type for c in FORECAST_COLUMNS[3:]} == {pa.float32()}
    assert table.num_rows == panel.n_series * H
    frame = table.to_pandas()
    keys = ["store_id", "item_id", "date"]
    assert not frame.duplicated(keys).any()
    assert frame[keys].equals(frame.sort_values(keys)[keys].reset_index(drop=True))
    assert str(frame["date"].min()) == str(panel.dates[panel.n_observed])
    late = frame[(frame["store_id"] == panel.store_ids[LATE]) & (frame["item_id"] == panel.item_ids[LATE])]
    assert set(late["model_version"]) == {"cold_start-1"}
    assert set(frame["model_version"]) == {"cold_start-1", "production-1"}
    open_means = frame.loc[frame["mean"] > 0].groupby("model_version")["mean"].unique().to_dict()
    assert {k: v.tolist() for k, v in open_means.items()} == {"cold_start-1": [2.0], "production-1": [5.0]}


def test_each_row_of_the_table_is_the_forecast_of_its_own_series_and_period(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    (part,) = serve(panel, {Tier.PRODUCTION: models[Tier.PRODUCTION]}, Metric.RMSE)
    columns = forecast_columns(panel, part)
    np.testing.assert_array_equal(columns["point"].reshape(-1, H), part.forecast.points[Metric.RMSE])
    np.testing.assert_array_equal(columns["q95"].reshape(-1, H), part.forecast.quantiles[..., 4])
    assert columns["store_id"].reshape(-1, H)[LATE].tolist() == [panel.store_ids[LATE]] * H


def test_inputs_pass_through_the_prediction_gate(panel: Panel, models: Mapping[Tier, ServedModel]) -> None:
    channels = {k: v.copy() for k, v in panel.channels.items()}
    channels[PRICE][REGULAR, panel.n_observed + 2] = -1
    with pytest.raises(DataError, match=r"price of S0/bun on .* is -1"):
        serving_inputs(replace(panel, channels=channels), models)


def test_the_state_at_an_origin_is_that_of_the_model_not_of_todays_categories(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    served = models[Tier.PRODUCTION]
    state = origin_state(panel, served, 300)
    direct = StateBuilder(panel, served.spec, "count", {}).at(300)
    np.testing.assert_array_equal(state.scalars, direct.scalars)
    np.testing.assert_array_equal(predict_demand(served, state).dates, panel.dates[301 : 301 + H])


def test_a_series_that_is_there_twice_is_found_wherever_it_is_served(
    panel: Panel, models: Mapping[Tier, ServedModel]
) -> None:
    """Once by each tier, so that neither alone has it twice."""
    ids = panel.store_ids.copy(), panel.item_ids.copy()
    for values in ids:
        values[NEW] = values[REGULAR]
    assert REGULAR in assign_tiers(panel, models)[Tier.PRODUCTION]
    with pytest.raises(DataError, match="a series appears twice"):
        serving_inputs(replace(panel, store_ids=ids[0], item_ids=ids[1]), models)


@pytest.fixture(scope="module")
def chain(one_thread: None) -> Panel:
    """A chain in which two items of every store were listed three weeks ago."""
    panel = chain_panel()
    new = np.isin(panel.static["item_id"].codes, [0, 1])
    demand, state = panel.demand.copy(), panel.state.copy()
    cells = np.ix_(new, np.arange(panel.n_observed - 21))
    demand[cells], state[cells] = np.nan, State.NOT_LISTED
    return replace(panel, demand=demand, state=state)


@pytest.fixture(scope="module")
def both(chain: Panel) -> Mapping[Tier, ServedModel]:
    """Two tiers that forecast one number, and believe their totals wholly."""
    return {
        Tier.PRODUCTION: model(chain, Tier.PRODUCTION, 8, 1.0),
        Tier.COLD_START: model(chain, Tier.COLD_START, 6, 1.0),
    }


def test_series_of_both_tiers_are_moved_towards_one_total(chain: Panel, both: Mapping[Tier, ServedModel]) -> None:
    parts = serve(chain, both, Metric.MAE)
    assert [len(p.input.rows) for p in parts] == [18, 6]
    mean = np.zeros((chain.n_series, H), np.float32)
    for part in parts:
        mean[part.input.rows] = part.forecast.mean
    totals = Totals.of(chain, H)
    assert totals is not None
    np.testing.assert_allclose(sum_by(mean, totals.groups), totals.forecast, rtol=1e-4)
    production, cold = (p.forecast.mean[p.forecast.mean > 0] for p in parts)
    assert (production > 8).any()
    assert (cold > 6).any()


def test_members_are_reported_as_they_were_before_they_were_moved(
    chain: Panel, both: Mapping[Tier, ServedModel]
) -> None:
    for part, value in zip(serve(chain, both, Metric.MAE), (8, 6), strict=True):
        members = part.forecast.members["xgboost"]
        np.testing.assert_array_equal(members, np.where(part.input.state.closed(), 0, value))


def test_published_states_say_all_that_the_forecast_needs(chain: Panel, both: Mapping[Tier, ServedModel]) -> None:
    """What the API does: the state as the warehouse holds it, and nothing of the other series or of totals."""
    by_version = {m.version: m for m in both.values()}
    for part, published in zip(serve(chain, both, Metric.MAE), serving_inputs(chain, both), strict=True):
        state = SeriesState.unpack(published.spec, published.state.origin, published.state.pack())
        assert (state.shift != 0).any()
        again = predict_demand(by_version[published.version], state)
        np.testing.assert_array_equal(again.mean, part.forecast.mean)
        np.testing.assert_array_equal(again.quantiles, part.forecast.quantiles)


def test_one_model_that_serves_every_series_sees_the_same_shift(chain: Panel, both: Mapping[Tier, ServedModel]) -> None:
    only = both[Tier.COLD_START]
    (published,) = serving_inputs(chain, {Tier.COLD_START: only})
    np.testing.assert_array_equal(reconciled_state(chain, only).shift, published.state.shift)


def test_a_model_that_does_not_trust_totals_is_not_moved(chain: Panel) -> None:
    (part,) = serve(chain, {Tier.COLD_START: model(chain, Tier.COLD_START, 4)}, Metric.MAE)
    assert (part.input.state.shift != 0).any()
    np.testing.assert_array_equal(part.forecast.mean, np.where(part.input.state.closed(), 0, 4))


def test_where_there_are_no_totals_states_carry_no_shift(panel: Panel, models: Mapping[Tier, ServedModel]) -> None:
    assert all((i.state.shift == 0).all() for i in serving_inputs(panel, models))


def test_forecasts_do_not_depend_on_the_shards_that_they_are_made_in(
    retailer_panel: Panel, trained_log: Trained
) -> None:
    """More series than the network is shown at once, by a real network and booster."""
    copies = -(-2 * BATCH // retailer_panel.n_series) + 1
    many = retailer_panel.take(np.tile(np.arange(retailer_panel.n_series), copies))
    copy = np.repeat(np.arange(copies), retailer_panel.n_series)
    many = replace(many, item_ids=np.char.add(many.item_ids, np.char.add("-", copy.astype(str))))
    model = ServedModel("v1", trained_log.members, trained_log.calibration)
    found = []
    for shards in (1, 2, 7):
        split = serving_shards(many, {Tier.PRODUCTION: model}, shards)
        parts = [make_inputs(many, model, shard) for shard in split]
        found.append((len(parts), SeriesState.join([part.state for part in parts]).pack(), parts))
    assert [count for count, *_ in found] == [1, 2, 3]
    for _, packed, parts in found[1:]:
        assert packed == found[0][1]
        for name, values in found[0][2][0].members.items():
            assert np.concatenate([part.members[name] for part in parts]).tobytes() == values.tobytes(), name
