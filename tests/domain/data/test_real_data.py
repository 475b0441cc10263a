"""The adapters and the gate on the real data sets, with their published facts."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from shelfops_pipeline.data.aggregate import daily_demand
from shelfops_pipeline.data.feed import feed_gaps
from shelfops_pipeline.data.load import load_panel
from shelfops_pipeline.data.panel import State
from shelfops_pipeline.data.source import Source
from shelfops_pipeline.data.stockouts import SUSPECTED_STOCKOUT
from shelfops_pipeline.gate.validation import ValidationResult, check_training_data, validate_transactions

pytestmark = pytest.mark.real_data
Open = Callable[[str], Source]


def load(source: Source) -> tuple[pd.DataFrame, ValidationResult, pd.DataFrame]:
    """Raw rows, parted rows and demand."""
    raw, reference = source.transactions(*source.span()), source.reference()
    _, last = source.span()
    result = validate_transactions(raw, reference, source.rules, last_date=last, max_quarantined_share=0.05)
    assert len(result.valid) + len(result.quarantined) == len(raw)
    demand = check_training_data(daily_demand(result.valid, source.grain))
    assert demand["quantity"].sum() == pytest.approx(result.valid["quantity"].sum())
    return raw, result, demand


def test_favorita(real_source: Open) -> None:
    source = real_source("favorita")
    raw, result, demand = load(source)
    assert source.span() == (date(2017, 6, 13), date(2017, 7, 30))
    assert len(raw) == len(demand) == 48 * 54 * 33
    assert result.counts == {}
    promotion = source.reference().covariates[0]
    assert promotion["date"].max() == pd.Timestamp("2017-08-15")
    assert len(promotion) == (48 + 16) * 54 * 33


def test_rossmann(real_source: Open) -> None:
    source = real_source("rossmann")
    raw, result, _ = load(source)
    assert source.span() == (date(2013, 1, 1), date(2015, 6, 19))
    assert raw["store_id"].nunique() == 1115
    assert result.counts == {}
    frames = {str(f["name"].iloc[0]): f for f in source.reference().covariates}
    closed = frames["open"].query("value == 0 and date <= '2015-06-19'")
    sold = raw.merge(closed, left_on=["store_id", "ts"], right_on=["store_id", "date"])["quantity"]
    assert len(sold) > 100_000
    assert (sold == 0).all()
    assert 0.1 < frames["promo2"]["value"].mean() < 0.2
    assert frames["on_promotion"]["date"].max() == pd.Timestamp("2015-07-31")


def test_m5(real_source: Open) -> None:
    source = real_source("m5")
    raw, result, _ = load(source)
    assert raw["store_id"].nunique() == 10
    assert raw["item_id"].nunique() == 3049
    assert len(raw) < 30_490 * 152  # items come on sale within the span
    assert (raw["unit_price"] > 0).all()
    assert result.counts == {}
    price = source.reference().covariates[0]
    assert price["date"].max() == pd.Timestamp("2016-06-19")


def test_online_retail(real_source: Open) -> None:
    source = real_source("online_retail")
    raw, result, demand = load(source)
    assert len(raw) == 453_843
    # An order of 3,114 flannels, cancelled and booked anew in April, where 48 had been the most; and five articles that
    # were returned after three months of feed in which nobody had bought them.
    suspicious = {"return_without_sale": 5, "outlier": 1}
    assert {name: result.counts.pop(name) for name in suspicious} == suspicious
    assert set(result.counts) == {"bad_stock_code", "price_zero", "duplicate_transaction"}
    assert 0.01 < result.share < 0.03
    postage = result.quarantined["original"].str.contains('"item_id":"POST"')
    assert result.quarantined.loc[postage, "reason"].eq("bad_stock_code").all()
    assert demand["item_id"].nunique() > 3000
    assert (result.valid["quantity"] < 0).any()  # returns are demand's business, not the quarantine's
    worst = date(2010, 12, 22)
    day = validate_transactions(
        source.transactions(worst, worst),
        source.reference(),
        source.rules,
        last_date=worst,
        max_quarantined_share=0.05,
    )
    assert 0.05 < day.share < 0.25  # a day of stock write-offs must not fail its partition


@pytest.mark.parametrize("hours", [-8, -6, 6, 8])
def test_a_day_of_online_retail_that_slipped_is_found_and_nothing_else(real_source: Open, hours: int) -> None:
    source = real_source("online_retail")
    raw, reference = source.transactions(*source.span()), source.reference()
    there = (raw["ts"].dt.normalize() == pd.Timestamp("2011-06-15")).to_numpy()
    moved = raw.assign(ts=raw["ts"] + pd.to_timedelta(there * hours, unit="h"))
    result = validate_transactions(
        moved, reference, source.rules, last_date=source.span()[1], max_quarantined_share=1.0
    )
    slipped = result.quarantined.loc[result.quarantined["reason"] == "timezone_slip", "line"]
    of_the_day = set(raw["line"][there])
    assert set(slipped) <= of_the_day
    assert len(slipped) > 0.85 * len(of_the_day)


@pytest.mark.parametrize(("name", "fewest", "most"), [("m5", 0.005, 0.05), ("online_retail", 0.005, 0.05)])
def test_stockouts_are_suspected_rarely(real_source: Open, name: str, fewest: float, most: float) -> None:
    source = real_source(name)
    panel = load_panel(source, 0.05).panel
    suspected = np.nansum(panel.past[SUSPECTED_STOCKOUT])
    assert fewest < suspected / (panel.state == State.OBSERVED).sum() < most


def test_the_stores_of_rossmann_that_were_rebuilt_are_silent_for_half_a_year(real_source: Open) -> None:
    source = real_source("rossmann")
    raw = source.transactions(*source.span())
    daily = raw.groupby(["ts", "store_id"], observed=True).size().rename("rows").reset_index()
    gaps = feed_gaps(daily.rename(columns={"ts": "date"}))
    assert len(gaps) == 180
    assert set(gaps["first"]) == {pd.Timestamp("2014-07-01")}
