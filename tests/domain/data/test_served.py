"""A fold sees of the periods ahead what a forecast of today sees of its own."""

from pathlib import Path

import numpy as np

from shelfops_pipeline.contracts.columns import ON_PROMOTION, OPEN, PRICE, Grain
from shelfops_pipeline.data.build import build_panel
from shelfops_pipeline.data.panel import Panel
from shelfops_pipeline.data.served import as_served
from shelfops_pipeline.data.source import Reference
from tests.domain.data.panel_by_hand import ITEMS, NO_CALENDAR, STORES, demand, known

DAYS, ORIGIN, H = 42, 27, 7
SALES = {("a", "x"): dict.fromkeys(range(DAYS), 2.0)}
PLAIN = [(n, 5.0) for n in range(DAYS)]
CHANGED = [(n, 4.0 if n in (26, 30) else 5.0 if n < 32 else 6.0) for n in range(DAYS)]
PROMOTED = [(n, float(n in (26, 30))) for n in range(DAYS)]


def shop(*covariates: tuple[str, list[tuple[int, float]]], absence: str = "zero") -> Panel:
    plans = [known(name, rows, store_id=["a"] * len(rows), item_id=["x"] * len(rows)) for name, rows in covariates]
    reference = Reference(STORES, ITEMS, NO_CALENDAR, plans)
    return build_panel("shop", Grain.DAY, absence, demand(SALES), reference, ahead=14)  # type: ignore[arg-type]


def test_promotions_prices_and_opening_of_the_sales_alone_end_with_the_origin() -> None:
    opening = [(n, float(n % 7 != 6 and n != 31)) for n in range(DAYS)]
    panel = shop((PRICE, CHANGED), (ON_PROMOTION, PROMOTED), (OPEN, opening), ("fair", PLAIN))
    assert panel.periods_ahead == dict.fromkeys((OPEN, ON_PROMOTION, PRICE, "fair"), 0)
    fold = as_served(panel, ORIGIN, H)
    ahead = {name: values[0, ORIGIN + 1 :] for name, values in fold.channels.items()}
    assert (ahead[PRICE] == 5).all()  # not the 4 of the promotion, nor the 6 to come
    assert np.isnan(ahead[ON_PROMOTION]).all()
    assert np.isnan(ahead["fair"]).all()
    np.testing.assert_array_equal(ahead[OPEN], [1, 1, 1, 1, 1, 1, 0])
    for name, values in panel.channels.items():
        np.testing.assert_array_equal(fold.channels[name][:, : ORIGIN + 1], values[:, : ORIGIN + 1])
    assert fold.known_ahead == panel.known_ahead


def test_a_plan_is_known_in_a_fold_for_as_long_as_it_is_today() -> None:
    longer = [(n, 5.0 if n < 32 else 6.0) for n in range(DAYS + H)]
    planned = [*PROMOTED, *((n, 0.0) for n in range(DAYS, DAYS + 3))]
    panel = shop((PRICE, longer), (ON_PROMOTION, planned))
    fold, all_known = as_served(panel, ORIGIN, H), panel.as_of(ORIGIN, H)
    np.testing.assert_array_equal(fold.channels[PRICE], all_known.channels[PRICE])
    np.testing.assert_array_equal(fold.channels[ON_PROMOTION][0, ORIGIN + 1 :], [0, 0, 1, *[np.nan] * 4])
    today = panel.as_of(DAYS - 1, H)
    again = as_served(today, ORIGIN, H)
    for name, values in fold.channels.items():
        np.testing.assert_array_equal(again.channels[name], values)


def test_as_of_an_earlier_day_takes_later_rows_for_plans_and_so_do_its_folds() -> None:
    panel = shop((PRICE, CHANGED), (ON_PROMOTION, PROMOTED))
    told = panel.as_of(34, H)
    assert told.periods_ahead == dict.fromkeys((ON_PROMOTION, PRICE), H)
    fold = as_served(told, ORIGIN, H)
    np.testing.assert_array_equal(fold.channels[PRICE][0, ORIGIN + 1 :], [5, 5, 4, 5, 6, 6, 6])


def test_no_price_means_not_on_sale_in_a_fold_as_well() -> None:
    rows = [(n, 5.0) for n in range(DAYS + 3) if n != 29]
    fold = as_served(shop((PRICE, rows), absence="missing"), ORIGIN, H)
    np.testing.assert_array_equal(fold.channels[PRICE][0, ORIGIN + 1 :], [5, np.nan, 5, *[np.nan] * 4])


def test_a_saved_panel_still_knows_how_far_its_plans_reach(tmp_path: Path) -> None:
    panel = shop((PRICE, CHANGED))
    panel.save(tmp_path / "panel")
    assert Panel.load(tmp_path / "panel").periods_ahead == panel.periods_ahead == {PRICE: 0}
