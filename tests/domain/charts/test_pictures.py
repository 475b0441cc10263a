"""The pictures of a data set: the sums behind them against plain loops, and every kind of panel drawn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shelfops_pipeline.charts.eda import PICTURES, write_eda
from shelfops_pipeline.charts.intermittency import with_pattern
from shelfops_pipeline.charts.panel_sums import (
    demand_patterns,
    expected_without_promotion,
    known_by_store,
    period_totals,
    state_shares,
)
from shelfops_pipeline.charts.promotion_lift import around_start, series_lifts
from shelfops_pipeline.contracts.columns import CATEGORY, ON_PROMOTION, Grain
from shelfops_pipeline.data.panel import Panel, State, Static
from tests.domain.support import difficult_panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    return difficult_panel()


def said(fig: Any) -> str:
    texts = [t.get_text() for t in fig.texts]
    for ax in fig.axes:
        texts += [t.get_text() for t in (*ax.texts, ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels())]
    return " ".join(texts)


def test_totals_match_a_plain_loop(panel: Panel) -> None:
    totals = period_totals(panel)
    for t in (0, 100, panel.n_observed - 1):
        known = [float(v) for v in panel.demand[:, t] if np.isfinite(v)]
        assert totals.demand[t] == pytest.approx(sum(known))
        assert totals.known[t] == len(known)


def test_intervals_and_variation_match_a_plain_loop(panel: Panel) -> None:
    found = demand_patterns(panel)
    for i in range(panel.n_series):
        known = [float(v) for v in panel.demand[i, : panel.n_observed] if np.isfinite(v)]
        sold = [v for v in known if v > 0]
        if not sold:
            assert np.isnan(found["adi"][i])
            continue
        assert found["adi"][i] == pytest.approx(len(known) / len(sold))
        if len(sold) > 1:
            assert found["cv2"][i] == pytest.approx(np.var(sold) / np.mean(sold) ** 2)
        else:
            assert np.isnan(found["cv2"][i])


def test_patterns_lie_within_their_borders(panel: Panel) -> None:
    known = with_pattern(demand_patterns(panel)).set_index("pattern")
    assert set(known.index) <= {"smooth", "erratic", "intermittent", "lumpy"}
    rare = known[known.index.isin(["intermittent", "lumpy"])]
    assert (rare["adi"] > 1.32).all()
    assert (known.drop(index=rare.index)["adi"] <= 1.32).all()


def test_what_is_expected_without_promotion_is_the_mean_of_such_days_of_that_weekday(panel: Panel) -> None:
    demand, base = expected_without_promotion(panel)
    promo = panel.channels[ON_PROMOTION]
    for series, t in ((0, 200), (3, 420), (6, 33)):
        plain = [
            float(demand[series, s])
            for s in range(t % 7, panel.n_observed, 7)
            if promo[series, s] == 0 and np.isfinite(demand[series, s])
        ]
        assert base[series, t] == pytest.approx(np.mean(plain), rel=1e-5)


def test_a_promotion_that_doubles_demand_has_a_lift_of_two(panel: Panel) -> None:
    on = np.zeros((panel.n_series, panel.n_periods), dtype=np.float32)
    on[:, 100:107] = 1
    on[:, 200:207] = 1
    demand = np.where(on > 0, 20, 10).astype(np.float32)
    plain = replace(panel, demand=demand, channels={**panel.channels, ON_PROMOTION: on})
    sold, base = expected_without_promotion(plain)
    lifts = series_lifts(plain, sold, base, on[:, : plain.n_observed] > 0)
    assert lifts["lift"].tolist() == pytest.approx([2.0] * panel.n_series)
    course = around_start(sold, base, on[:, : plain.n_observed] > 0, 3, 9)
    assert course.tolist() == pytest.approx([1, 1, 1, *[2] * 7, 1, 1, 1])


def test_every_cell_is_in_one_state_and_gaps_lower_what_is_known(panel: Panel) -> None:
    assert state_shares(panel).sum(axis=1).to_numpy() == pytest.approx(1)
    share = known_by_store(panel, 10)
    states = np.asarray(panel.state[:, : panel.n_observed])
    for store in share.index:
        own = states[panel.store_ids == store]
        first = own[:, : panel.n_observed // 10]
        wanted = np.isin(first, [State.OBSERVED, State.STOCKOUT, State.UNKNOWN]).sum()
        assert share.loc[store].iloc[0] == pytest.approx((first == State.OBSERVED).sum() / wanted)


@pytest.mark.parametrize("name", PICTURES)
def test_words_follow_the_grain(name: str, panel: Panel) -> None:
    weekly = said(PICTURES[name](difficult_panel(Grain.WEEK, periods=120)))
    assert "day" not in weekly.lower().replace("holiday", "")
    assert "nothing to draw" not in said(PICTURES[name](panel)).lower()


def one_series(panel: Panel) -> Panel:
    """The first series, with a category of a very long name."""
    own = panel.take(np.array([0]))
    static = {**own.static, CATEGORY: Static(np.zeros(1, np.int32), ("a very long name of a category " * 8,))}
    return replace(own, static=static)


def always_promoted(panel: Panel) -> Panel:
    """On promotion from the first period but for a few gaps at the end, so that no promotion ever begins."""
    on = np.ones((panel.n_series, panel.n_periods), dtype=np.float32)
    on[:, panel.n_observed - 14 : panel.n_observed] = 0
    return replace(panel, channels={**panel.channels, ON_PROMOTION: on})


def silent(panel: Panel) -> Panel:
    """Nothing is known of any demand, and nothing of promotions."""
    return replace(
        panel,
        demand=np.full_like(panel.demand, np.nan),
        state=np.full_like(panel.state, State.UNKNOWN),
        channels={k: v for k, v in panel.channels.items() if k != ON_PROMOTION},
    )


@pytest.mark.parametrize("change", [one_series, silent, always_promoted])
def test_one_series_and_no_data_at_all_are_drawn(panel: Panel, change: Any, tmp_path: Path) -> None:
    written = write_eda(change(panel), tmp_path)
    assert list(written) == list(PICTURES)
    for path in written.values():
        with Image.open(path) as image:
            assert image.width == 1760
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in written.values()}


def test_dollars_in_a_name_are_no_formula(panel: Panel, tmp_path: Path) -> None:
    categories = Static(np.arange(panel.n_series, dtype=np.int32) % 2, ("Gifts $5_$10", "Save $5 #1 or $6"))
    stores = np.array([f"A$^$B {s}" for s in panel.store_ids])
    named = replace(panel, dataset="$\\shop$", store_ids=stores, static=panel.static | {CATEGORY: categories})
    assert all(path.is_file() for path in write_eda(named, tmp_path).values())
    assert "Gifts $5_$10" in said(PICTURES["eda_promotion_lift"](named))


def test_what_cannot_be_drawn_says_why(panel: Panel) -> None:
    words = {name: said(draw(silent(panel))) for name, draw in PICTURES.items()}
    assert "No demand is known" in words["eda_seasonality"]
    assert "nothing about promotions" in words["eda_promotion_lift"]
    assert "sold twice" in words["eda_intermittency"]
    assert "known of 0.0 %" in words["eda_missingness"]
