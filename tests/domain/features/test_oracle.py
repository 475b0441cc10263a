"""Every feature of both tiers and grains against a naive oracle: one row at a time, straight from the definitions."""

from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from math import isfinite, log1p, nan, sqrt

import numpy as np
import pytest

from shelfops_pipeline.contracts.bundle import Transform
from shelfops_pipeline.contracts.columns import HOLIDAY, HOLIDAY_DAYS, ON_PROMOTION, OPEN, PRICE, Grain, Tier
from shelfops_pipeline.contracts.features import feature_list, feature_names
from shelfops_pipeline.contracts.spec import TierSpec
from shelfops_pipeline.data.panel import Panel, State
from shelfops_pipeline.features.state import StateBuilder
from shelfops_pipeline.inference.matrix import model_matrix
from tests.domain.support import CATEGORIES, NEW, difficult_panel, spec_for

HORIZON = 6
PERIODS = {Grain.DAY: 430, Grain.WEEK: 64}
Row = dict[str, float]


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else nan


def spread(values: list[float]) -> float:
    """Sample standard deviation."""
    n, level = len(values), mean(values)
    return sqrt(sum((v - level) ** 2 for v in values) / (n - 1)) if n > 1 else nan


def quantile(ordered: list[float], share: float) -> float:
    """Linear between the two nearest of the ordered values."""
    if not ordered:
        return nan
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


class Oracle:
    """Features of one (series, origin, horizon) at a time; rows share nothing but a cache of group means."""

    def __init__(self, panel: Panel, spec: TierSpec, transform: Transform) -> None:
        self.panel, self.spec = panel, spec
        self.scale = log1p if transform == "log" else float
        self.y = [[float(v) for v in row] for row in panel.demand]
        self.z = [[self.scale(v) if isfinite(v) else nan for v in row] for row in self.y]
        self.channels = {k: [[float(v) for v in row] for row in values] for k, values in panel.channels.items()}
        self.dates = [date(2023, 1, 2) + timedelta(days=i * (1 if spec.season > 1 else 7)) for i in range(4000)]
        self.group_mean = cache(self._group_mean)

    def row(self, s: int, t: int, h: int) -> Row:
        own = self.own(s, t)
        row = own | self.likes(s, t, t + h) | self.seasonal(s, t, t + h) | self.calendar(t, h)
        row |= self.known_future(s, t, t + h)
        row |= {f"static_{k}": float(v.codes[s]) if v.codes[s] >= 0 else nan for k, v in self.panel.static.items()}
        row["base"] = self.base(s, t, t + h, row)
        return row

    def seen(self, s: int, t: int, n: int, values: list[list[float]] | None = None) -> list[float]:
        """What is known of the last n periods up to and including t."""
        return [v for v in (values or self.z)[s][max(t + 1 - n, 0) : t + 1] if isfinite(v)]

    def own(self, s: int, t: int) -> Row:
        spec, short, month = self.spec, self.spec.short, self.spec.month
        z, y = self.z[s], self.y[s]
        observed = [i for i in range(t + 1) if isfinite(y[i])]
        sales = [i for i in observed if y[i] > 0]
        out = {f"level_{w}": mean(self.seen(s, t, w)) for w in spec.level_windows}
        recent = [i for i in observed if i > t - 56]
        weight = sum(0.9 ** (t - i) for i in recent)
        level = mean(self.seen(s, t, month))
        out |= {
            "ewm": sum(0.9 ** (t - i) * z[i] for i in recent) / weight if recent else nan,
            "trend_short": mean(self.seen(s, t, short)) - level,
            "level_all": mean(self.seen(s, t, t + 1)),
            f"std_{month}": spread(self.seen(s, t, month)),
            f"max_{short}": max(self.seen(s, t, short), default=nan),
            "last": z[observed[-1]] if observed else nan,
            "periods_since_sale": nan if not observed else min(t - sales[-1], 366) if sales else 366,
            "history": min(len(observed), 730),
        }
        for w in (short, month):
            out[f"zero_share_{w}"] = mean([float(v == 0) for v in self.seen(s, t, w, self.y)])
        wide = sorted(self.seen(s, t, spec.quantile_window))
        for name, share in (("min", 0.0), ("q10", 0.1), ("q50", 0.5), ("q90", 0.9)):
            out[f"{name}_{spec.quantile_window}"] = quantile(wide, share)
        half_year = [y[i] for i in observed if i > t - 182]
        sold = [v for v in half_year if v > 0]
        out["adi"] = len(half_year) / len(sold) if sold else nan
        size = mean(sold)
        out["cv2"] = mean([(v - size) ** 2 for v in sold]) / size**2 if sold else nan
        states = [self.panel.state[s, i] for i in range(max(t + 1 - month, 0), t + 1)]
        known = [v for v in states if v in (State.OBSERVED, State.STOCKOUT)]
        out[f"stockout_share_{month}"] = mean([float(v == State.STOCKOUT) for v in known])
        for w in spec.promo_windows:
            flags = [(self.channels[ON_PROMOTION][s][i] > 0, z[i]) for i in observed if i > t - w]
            out[f"promo_level_{w}"] = mean([v for promo, v in flags if promo])
            out[f"regular_level_{w}"] = mean([v for promo, v in flags if not promo])
            out[f"promo_share_{w}"] = mean([float(promo) for promo, _ in flags])
        for name in spec.past_channels:
            past = [[float(v) for v in row] for row in self.panel.past[name]]
            for w in (short, month):
                out[f"past_{name}_{w}"] = mean(self.seen(s, t, w, past))
        if len(spec.level_windows) > 4:
            out["trend_long"] = level - mean(self.seen(s, t, spec.level_windows[4]))
        return out

    def members(self, s: int, group: str) -> tuple[int, ...]:
        panel = self.panel
        category = panel.static["category"].codes
        region, brand = (panel.static[name].codes for name in ("region", "brand"))
        same = {
            "like_region": lambda r: panel.item_ids[r] == panel.item_ids[s] and region[r] == region[s] >= 0,
            "like_brand": lambda r: panel.store_ids[r] == panel.store_ids[s] and brand[r] == brand[s] >= 0,
            "store": lambda r: panel.store_ids[r] == panel.store_ids[s],
            "item": lambda r: panel.item_ids[r] == panel.item_ids[s],
            "category": lambda r: panel.store_ids[r] == panel.store_ids[s] and category[r] == category[s],
        }[group]
        return tuple(r for r in range(panel.n_series) if same(r))

    def _group_mean(self, members: tuple[int, ...], t: int, n: int, weekday: int | None = None) -> float:
        at = [i for i in range(max(t + 1 - n, 0), t + 1) if weekday is None or self.dates[i].weekday() == weekday]
        return mean([self.z[r][i] for r in members for i in at if isfinite(self.z[r][i])])

    def likes(self, s: int, t: int, target: int) -> Row:
        spec, out = self.spec, {}
        for group in ("store", "item", "category"):
            members = self.members(s, group)
            level = self.group_mean(members, t, spec.month)
            out[f"{group}_level_{spec.month}"] = level
            out[f"{group}_trend"] = self.group_mean(members, t, spec.short) - level
        for group in ("like_region", "like_brand"):
            out[f"{group}_level_{spec.month}"] = self.group_mean(self.members(s, group), t, spec.month)
        weekday = self.dates[target].weekday() if spec.season > 1 else None
        seasonal = self.group_mean(self.members(s, "category"), t, spec.month, weekday)
        return out | {"category_seasonal": seasonal - out[f"category_level_{spec.month}"]}

    def seasonal(self, s: int, t: int, target: int) -> Row:
        spec, z = self.spec, self.z[s]
        promo = self.channels.get(ON_PROMOTION)

        def same_day(i: int) -> bool:
            return spec.season == 1 or self.dates[i].weekday() == self.dates[target].weekday()

        def flag(i: int) -> bool:
            return i < self.panel.n_periods and promo is not None and promo[s][i] > 0

        def known(w: int) -> list[int]:
            return [i for i in range(max(t + 1 - w, 0), t + 1) if isfinite(z[i]) and same_day(i)]

        out = {f"seasonal_mean_{w}": mean([z[i] for i in known(w)]) for w in spec.seasonal_windows}
        for w in spec.seasonal_promo_windows:
            out[f"seasonal_promo_mean_{w}"] = mean([z[i] for i in known(w) if flag(i) == flag(target)])
        if spec.last_year:
            ago, around = target - spec.year, 3 if spec.season > 1 else 1
            inside = 0 <= ago <= t
            near = range(max(ago - around, 0), min(ago + around, t) + 1)
            week = [z[i] for i in near if isfinite(z[i])] if inside else []
            origin = t - spec.year
            before = mean(self.seen(s, origin, spec.month)) if origin >= 0 else nan
            out["last_year"] = z[ago] if inside else nan
            out |= {"last_year_week": mean(week), "last_year_change": mean(week) - before}
        return out

    def base(self, s: int, t: int, target: int, row: Row) -> float:
        """Own mean on the target's weekday and promotion flag, else own weekday, else own or others' level, moved."""
        spec = self.spec
        wide = spec.base_window if spec.base_window in spec.seasonal_windows else max(spec.seasonal_windows)
        candidates = [self.seasonal(s, t, target)[f"seasonal_mean_{wide}"]]
        if spec.base_on_promo:
            candidates.insert(0, row[f"seasonal_promo_mean_{spec.base_window}"])
        likes = [row[f"{g}_level_{spec.month}"] for g in ("category", "item", "store")]
        anything = self.group_mean(tuple(range(9)), t, t + 1)
        levels = [row[f"level_{spec.month}"], mean(self.seen(s, t, t + 1)), *likes, anything, 0.0]
        moved = row["category_seasonal"] if isfinite(row["category_seasonal"]) else 0
        candidates.append(next(v for v in levels if isfinite(v)) + moved)
        return max(next(v for v in candidates if isfinite(v)), 0)

    def calendar(self, t: int, h: int) -> Row:
        day = self.dates[t + h]
        paydays = [date(day.year, day.month, 1), date(day.year, day.month, 16)]
        paydays.append((date(day.year, day.month, 28) + timedelta(days=4)).replace(day=1))
        return {
            "horizon": h,
            "weekday": day.weekday(),
            "day_of_month": day.day,
            "payday_distance": min(abs((day - p).days) for p in paydays),
            "month": day.month,
            "day_of_year": day.timetuple().tm_yday,
        }

    def known_future(self, s: int, t: int, target: int) -> Row:
        spec, near, cap = self.spec, self.spec.short, self.spec.lead_in + 1
        first, last = t + 1 - spec.lead_in, t + spec.horizon

        def value(name: str, i: int) -> float:
            row = self.channels[name][s]
            return row[i] if max(first, 0) <= i <= last and i < len(row) else nan

        def before(name: str) -> list[float]:
            return [value(name, i) for i in range(target - near, target)]

        def after(name: str) -> list[float]:
            return [value(name, i) for i in range(target + 1, target + near + 1)]

        def gap(name: str, hit: object, step: int) -> int:
            for distance in range(cap):
                if hit(value(name, target + step * distance)):  # type: ignore[operator]
                    return distance
            return cap

        def run(i: int, hit: object, name: str) -> int:
            n = 0
            while hit(value(name, i - n)):  # type: ignore[operator]
                n += 1
            return min(n, cap)

        def on(v: float) -> bool:
            return v > 0

        def shut(v: float) -> bool:
            return v == 0

        closed_at = next((i for i in range(target, first - 1, -1) if shut(value(OPEN, i))), None)
        long = [
            i for i in range(first, target + 1) if all(i - k >= first and shut(value(OPEN, i - k)) for k in range(3))
        ]
        price = value(PRICE, target)
        shown = [(i, value(PRICE, i)) for i in range(first, target + 1) if isfinite(value(PRICE, i))]
        moved = [i for (_, a), (i, b) in pairwise(shown) if abs(b / a - 1) > 0.01]
        earlier = [v for i, v in shown if i < target]
        recent = [v for i, v in shown if target - spec.month <= i < target]
        prices = self.seen(s, t, t + 1, self.channels[PRICE])
        ahead = [float(on(value(ON_PROMOTION, i))) for i in range(t + 1, last + 1)]
        warm = [v for v in before("warmth") if isfinite(v)], [v for v in after("warmth") if isfinite(v)]
        return {
            "promo": on(value(ON_PROMOTION, target)),
            "promo_prev": sum(map(on, before(ON_PROMOTION))),
            "promo_next": sum(map(on, after(ON_PROMOTION))),
            "promo_ahead": mean(ahead),
            "since_promo_start": run(target, on, ON_PROMOTION),
            "since_promo": gap(ON_PROMOTION, on, -1),
            "until_promo": gap(ON_PROMOTION, on, 1),
            "holiday": value(HOLIDAY, target),
            "holiday_days": value(HOLIDAY_DAYS, target) if spec.season == 1 else nan,
            "since_holiday": gap(HOLIDAY, on, -1),
            "until_holiday": gap(HOLIDAY, on, 1),
            "closed_prev": sum(map(shut, before(OPEN))),
            "closed_next": sum(map(shut, after(OPEN))),
            "since_closed": gap(OPEN, shut, -1),
            "until_closed": gap(OPEN, shut, 1),
            "closed_run": 0 if closed_at is None else run(closed_at, shut, OPEN),
            "since_reopening": min(target - long[-1], cap) if long else cap,
            "price": price,
            "price_to_recent": price / mean(recent),
            "price_to_previous": price / earlier[-1] if earlier else nan,
            "discount_depth": 1 - price / max((v for _, v in shown), default=nan),
            "since_price_change": min(target - moved[-1], cap) if moved else cap,
            "price_to_mean": price / mean(prices),
            "price_to_max": price / max(prices, default=nan),
            "price_to_last": price / (prices[-1] if prices else nan),
            "cov_warmth": value("warmth", target),
            "cov_warmth_prev": mean(warm[0]),
            "cov_warmth_next": mean(warm[1]),
        }


PANELS = {grain: difficult_panel(grain, n) for grain, n in PERIODS.items()}
FEATURES = [
    (grain, tier, name)
    for grain in Grain
    for tier in Tier
    for name in feature_names(spec_for(PANELS[grain], tier, HORIZON))
]


@cache
def both(grain: Grain, tier: Tier, transform: Transform) -> tuple[list[str], list[Row], list[Row]]:
    """(which row, its features, what the oracle says) at chosen origins of every series."""
    panel, n = PANELS[grain], PERIODS[grain]
    spec = spec_for(panel, tier, HORIZON)
    oracle, builder = Oracle(panel, spec, transform), StateBuilder(panel, spec, transform, {})
    closed = n // 2 + (32 if grain is Grain.DAY else 7)  # store 1 is in a closure longer than the lead-in
    where, found, expected = [], [], []
    for t in (0, 3, 2 * spec.season, closed, closed + 10, n - 4, n - 1):
        matrix = model_matrix(spec, builder.at(t))
        for s in range(panel.n_series):
            for h in (1, 2, HORIZON):
                where.append(f"series {s}, origin {t}, horizon {h}")
                found.append(dict(zip(feature_names(spec), matrix[s, h - 1].tolist(), strict=True)))
                expected.append(oracle.row(s, t, h))
    return where, found, expected


@pytest.mark.parametrize("transform", ["log", "count"])
@pytest.mark.parametrize(("grain", "tier", "name"), FEATURES)
def test_the_feature_equals_its_naive_oracle(grain: Grain, tier: Tier, name: str, transform: Transform) -> None:
    where, found, expected = both(grain, tier, transform)
    assert name in expected[0], f"{name} has no oracle"
    got, wanted = (np.array([row[name] for row in rows], np.float64) for rows in (found, expected))
    wrong = ~np.isclose(got, wanted, rtol=1e-4, atol=5e-4, equal_nan=True)
    assert not wrong.any(), [(where[i], got[i], wanted[i]) for i in np.flatnonzero(wrong)[:5]]
    shown = {float(v) for v in wanted if isfinite(v)}
    assert shown, "the panel of this module never shows this feature"
    assert len(shown) + int(np.isnan(wanted).any()) > 1, "the panel of this module shows one value of this feature"


@pytest.mark.parametrize("grain", list(Grain))
def test_the_panel_of_this_module_fills_every_window_of_both_tiers(grain: Grain) -> None:
    panel = difficult_panel(grain, PERIODS[grain])
    production = spec_for(panel, Tier.PRODUCTION, HORIZON)
    assert production.last_year
    assert production.base_on_promo
    assert len(production.level_windows) == (7 if grain is Grain.DAY else 6)
    assert "trend_long" in feature_names(production)
    assert panel.static["category"].categories == CATEGORIES
    assert spec_for(panel, Tier.COLD_START, HORIZON).like == ("region", "brand")


@pytest.mark.parametrize("tier", list(Tier))
def test_every_feature_of_difficult_data_stays_in_its_registered_range(tier: Tier) -> None:
    panel = difficult_panel()
    spec = spec_for(panel, tier, HORIZON)
    builder = StateBuilder(panel, spec, "log", {})
    for t in (0, 40, panel.n_observed // 2 + 32, panel.n_observed - 1):
        matrix = model_matrix(spec, builder.at(t))
        for j, feature in enumerate(feature_list(spec, log=True)):
            values = matrix[..., j][np.isfinite(matrix[..., j])]
            assert feature.low is None or (values >= feature.low - 1e-3).all(), feature.name
            assert feature.high is None or (values <= feature.high + 1e-3).all(), feature.name


def test_a_series_without_any_history_has_only_what_its_likes_and_its_attributes_say() -> None:
    panel = difficult_panel()
    spec = spec_for(panel, Tier.PRODUCTION, HORIZON)
    state = StateBuilder(panel, spec, "log", {}).at(panel.n_observed - 1)
    row = dict(zip(feature_names(spec), model_matrix(spec, state)[NEW, 0], strict=True))
    assert row["history"] == 0
    assert np.isnan([row["level_28"], row["last"], row["adi"], row["periods_since_sale"], row["price"]]).all()
    assert row["store_level_28"] > 0
    assert row["base"] > 0
    assert (state.encoder[NEW][:, 1] == 0).all()


def test_the_spread_of_large_steady_demand_is_not_lost_in_rounding() -> None:
    panel = difficult_panel()
    panel.demand[:, : panel.n_observed] = 12_345 + np.arange(panel.n_observed) % 2
    spec = spec_for(panel, Tier.COLD_START, HORIZON)
    state = StateBuilder(panel, spec, "count", {}).at(panel.n_observed - 1)
    np.testing.assert_allclose(state.scalar("std_28"), 0.5 * sqrt(28 / 27), rtol=1e-3)
    np.testing.assert_allclose(state.scalar("cv2"), (0.5 / 12_345.5) ** 2, rtol=1e-3)


def test_targets_more_than_a_year_ahead_have_no_last_year() -> None:
    panel = difficult_panel(Grain.WEEK, 64, future=56)
    spec = spec_for(panel, Tier.PRODUCTION, 56)
    origin = panel.n_observed - 2  # store 0 is open
    assert np.isfinite(panel.demand[0, origin])
    state = StateBuilder(panel, spec, "log", {}).at(origin)
    last_year = state.by_horizon[0, state.layout.by_horizon.index("last_year")]
    np.testing.assert_array_equal(last_year[:52], np.log1p(panel.demand[0, origin - 51 : origin + 1]))
    assert np.isnan(last_year[52:]).all()


def test_an_origin_outside_the_observed_history_is_refused() -> None:
    panel = difficult_panel()
    builder = StateBuilder(panel, spec_for(panel, Tier.COLD_START, HORIZON), "log", {})
    for origin in (-1, panel.n_observed):
        with pytest.raises(IndexError, match="outside the 430 observed periods"):
            builder.at(origin)
