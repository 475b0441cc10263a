"""The four baselines against naive code, one row at a time."""

from dataclasses import replace
from math import isfinite, nan

import numpy as np
import pytest

from shelfops_pipeline.contracts.columns import ON_PROMOTION, OPEN, Grain
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.evaluation import baselines as module
from shelfops_pipeline.evaluation.baselines import BASELINES, BaselineHistory
from tests.domain.support import ENDED, NEW, ONE_PERIOD, difficult_panel

H = 16


def mean(values: list[float]) -> float:
    known = [v for v in values if isfinite(v)]
    return sum(known) / len(known) if known else nan


def first_known(*values: float) -> float:
    return next((v for v in values if isfinite(v)), 0.0)


class Naive:
    """Baselines of one row; `season` 7 (days) or 1 (weeks)."""

    def __init__(self, panel: Panel, season: int) -> None:
        self.panel, self.season, self.month = panel, season, 28 if season == 7 else 4
        self.y = [[float(v) for v in row] for row in panel.demand]
        self.promo = panel.channels[ON_PROMOTION] > 0

    def same(self, t: int, h: int) -> list[int]:
        """Periods up to the origin with the target's weekday, the latest first."""
        return [i for i in range(t, -1, -1) if (t + h - i) % self.season == 0]

    def group(self, s: int) -> list[int]:
        store, category = self.panel.store_ids, self.panel.static["category"].codes
        return [r for r in range(len(store)) if store[r] == store[s] and category[r] == category[s]]

    def level(self, s: int, t: int) -> float:
        recent, ever = self.y[s][max(t + 1 - self.month, 0) : t + 1], self.y[s][: t + 1]
        return first_known(mean(recent), mean(ever))

    def row(self, s: int, t: int, h: int) -> dict[str, float]:
        y, same, level = self.y[s], self.same(t, h), self.level(s, t)
        weeks = self.month // self.season
        weekday = first_known(mean([y[i] for i in same[:weeks]]), level)
        flag = self.promo[s, t + h]
        alike = mean([y[i] for i in same[:13] if self.promo[s, i] == flag])
        group = self.group(s)
        on_day = mean([self.y[r][i] for r in group for i in same[:weeks]])
        typical = mean([v for r in group for v in self.y[r][max(t + 1 - self.month, 0) : t + 1]])
        profile = on_day / typical if isfinite(on_day) and typical > 0 else 1.0
        out = {
            "seasonal_naive": first_known(*[y[i] for i in same[:4]], level),
            "seasonal_mean": weekday,
            "seasonal_promo_mean": first_known(alike, weekday),
            "profile_mean": level * profile,
        }
        closed = self.panel.channels[OPEN][s, t + h] == 0
        return dict.fromkeys(out, 0.0) if closed else out


@pytest.mark.parametrize("grain", list(Grain))
def test_baselines_equal_naive_code_for_every_kind_of_series(grain: Grain) -> None:
    n, season = (200, 7) if grain is Grain.DAY else (64, 1)
    panel = difficult_panel(grain, n, future=H)
    history, naive = BaselineHistory(panel, season), Naive(panel, season)
    for t in (0, 5, n // 2 + 3, n - 2, n - 1):
        forecasts = history.forecast(t, H)
        assert tuple(forecasts) == BASELINES
        for s in range(panel.n_series):
            for h in (1, 7, 8, H):
                expected = naive.row(s, t, h)
                got = {name: float(values[s, h - 1]) for name, values in forecasts.items()}
                assert got == pytest.approx(expected, rel=1e-4, abs=1e-4), f"series {s}, origin {t}, horizon {h}"


@pytest.mark.parametrize("grain", list(Grain))
def test_every_row_gets_a_forecast_also_of_series_with_little_or_old_history(grain: Grain) -> None:
    panel = difficult_panel(grain, 200, future=H)
    for values in BaselineHistory(panel, 7 if grain is Grain.DAY else 1).forecast(panel.n_observed - 1, H).values():
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert (values[NEW] == 0).all()  # never seen: nothing to go by
        assert (values[ONE_PERIOD] > 0).any()
        assert (values[ENDED] > 0).any()


@pytest.mark.parametrize("origin", [4, 40, 199])
def test_a_forecast_looks_at_nothing_after_its_origin(origin: int) -> None:
    panel = difficult_panel(periods=200, future=H)
    later = panel.demand.copy()
    later[:, origin + 1 :] *= 7
    again = BaselineHistory(replace(panel, demand=later), 7)
    before = BaselineHistory(panel, 7)
    for name, values in before.forecast(origin, H).items():
        np.testing.assert_array_equal(again.forecast(origin, H)[name], values)
    np.testing.assert_array_equal(again.naive_error(origin), before.naive_error(origin))


def test_the_profile_of_weekly_data_is_flat() -> None:
    panel = difficult_panel(Grain.WEEK, 64, future=H)
    forecasts = BaselineHistory(panel, 1).forecast(panel.n_observed - 1, H)
    np.testing.assert_allclose(forecasts["profile_mean"], forecasts["seasonal_mean"], rtol=1e-6)


def test_the_scale_of_mase_is_the_same_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    history = BaselineHistory(difficult_panel(periods=60), 7)
    whole = history.naive_error(50)
    monkeypatch.setattr(module, "_BLOCK", 2)
    np.testing.assert_array_equal(history.naive_error(50), whole)


def test_closed_periods_are_zero() -> None:
    panel = difficult_panel(future=H)
    closed = panel.channels[OPEN][:, panel.n_observed :][:, :H] == 0
    assert closed.any()
    for values in BaselineHistory(panel, 7).forecast(panel.n_observed - 1, H).values():
        assert (values[closed] == 0).all()


@pytest.mark.parametrize(("silent_weeks", "expected"), [(0, 4), (1, 3), (3, 1), (4, 2.5)])
def test_the_seasonal_naive_forecast_looks_back_at_most_four_weeks_for_a_value(
    silent_weeks: int, expected: float
) -> None:
    """Demand is the number of the week; then the level of four weeks serves, which Tuesdays still have."""
    panel = difficult_panel(periods=28, future=7)
    demand = np.repeat([1, 2, 3, 4], 7).astype(np.float32)
    demand[[7 * (3 - k) for k in range(silent_weeks)]] = np.nan
    panel.demand[:, :28] = demand
    panel = replace(panel, channels={})
    assert BaselineHistory(panel, 7).forecast(27, 1)["seasonal_naive"][0, 0] == pytest.approx(expected)


def test_a_retailer_without_promotions_or_opening_hours_has_baselines_too() -> None:
    panel = replace(difficult_panel(future=H), channels={})
    forecasts = BaselineHistory(panel, 7).forecast(panel.n_observed - 1, H)
    np.testing.assert_array_equal(forecasts["seasonal_promo_mean"], forecasts["seasonal_mean"])


def test_periods_after_the_known_future_are_taken_as_open_and_off_promotion() -> None:
    panel = difficult_panel(future=3)
    forecasts = BaselineHistory(panel, 7).forecast(panel.n_observed - 1, H)
    assert all(v.shape == (panel.n_series, H) and np.isfinite(v).all() for v in forecasts.values())


def test_the_scale_of_mase_is_the_mean_error_of_the_seasonal_naive_forecast_so_far() -> None:
    panel = difficult_panel(periods=60)
    t = 40
    for season in (1, 7):
        errors = BaselineHistory(panel, season).naive_error(t)
        for s, row in enumerate(panel.demand[:, : t + 1].astype(float)):
            expected = mean([abs(row[i] - row[i - season]) for i in range(season, t + 1)])
            assert errors[s] == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_the_scale_of_mase_is_unknown_within_the_first_season() -> None:
    panel = difficult_panel(periods=60)
    assert np.isnan(BaselineHistory(panel, 7).naive_error(6)).all()
