"""The feature registry: one list, as data, from which the model matrix, the Pandera schemas, the manifest and the
documentation table are made.

A feature belongs to one *source*, which says where `inference.matrix` reads it:

- `scalar`: one value per series, known at the origin (levels, spreads, prices so far, static attributes);
- `seasonal`: one value per series and position in the season (weekday), looked up for the target period;
- `seasonal_promo`: likewise, conditional on the target's promotion flag;
- `by_horizon`: one value per series and target period that history already holds (the same weekday last year);
- `target`: computed from the calendar and the known-future channels around the target period.
"""

from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shelfops_pipeline.contracts.columns import (
    HOLIDAY,
    HOLIDAY_DAYS,
    ON_PROMOTION,
    OPEN,
    PRICE,
    Grain,
    Tier,
)
from shelfops_pipeline.contracts.spec import TierSpec

Source = Literal["scalar", "seasonal", "seasonal_promo", "by_horizon", "target"]


class Feature(BaseModel):
    """One column of the model matrix. `low`/`high` bound its valid range (NaN, meaning unknown, is always valid)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: Source
    definition: str
    unit: str
    low: float | None = None
    high: float | None = None


@cache
def feature_list(spec: TierSpec, log: bool) -> tuple[Feature, ...]:
    """The model matrix columns of a tier, in order. `log` says in which scale levels are measured."""
    scale = "log1p(units per period)" if log else "units per period"
    return (
        *_own_history(spec, scale),
        *_likes(spec, scale),
        *_seasonal(spec, scale),
        *_calendar(spec),
        *_channels(spec),
        *(_static(name) for name in spec.static),
    )


@cache
def feature_names(spec: TierSpec) -> tuple[str, ...]:
    """The ordered column names of `feature_list`."""
    return tuple(f.name for f in feature_list(spec, log=True))


def _own_history(spec: TierSpec, scale: str) -> list[Feature]:
    short, month = spec.short, spec.month
    rows = [_scalar(f"level_{w}", f"mean demand of the last {w} periods", scale, 0) for w in spec.level_windows]
    rows += [
        _scalar("level_all", "mean demand of all of the history", scale, 0),
        _scalar("ewm", "exponentially weighted mean demand, weight 0.9 per period, last 56 periods", scale, 0),
        _scalar("trend_short", f"level of the last {short} less level of the last {month} periods", scale),
        *_distribution(spec, scale),
        _scalar("last", "demand of the last observed period", scale, 0),
        _scalar("periods_since_sale", "periods since demand was last above 0, at most 366", "periods", 0, 366),
        _scalar("history", "observed periods so far, at most 730", "periods", 0, 730),
        _scalar("adi", "average demand interval, last 182 periods (Syntetos and Boylan 2005)", "periods", 1),
        _scalar("cv2", "squared coefficient of variation of non-zero demand, last 182 periods", "ratio", 0),
        _scalar(f"stockout_share_{month}", f"share of known stockouts in the last {month} periods", "share", 0, 1),
    ]
    for w in spec.promo_windows:
        rows += [
            _scalar(f"promo_level_{w}", f"mean demand on promotion, last {w} periods", scale, 0),
            _scalar(f"regular_level_{w}", f"mean demand off promotion, last {w} periods", scale, 0),
            _scalar(f"promo_share_{w}", f"share of periods on promotion, last {w}", "share", 0, 1),
        ]
    rows += [
        _scalar(f"past_{name}_{w}", f"mean {name} of the last {w} periods", name)
        for name in spec.past_channels
        for w in (short, month)
    ]
    if spec.tier is Tier.PRODUCTION and len(spec.level_windows) > 4:
        long = spec.level_windows[4]
        rows.append(_scalar("trend_long", f"level of the last {month} less level of the last {long} periods", scale))
    return rows


def _distribution(spec: TierSpec, scale: str) -> list[Feature]:
    short, month, wide = spec.short, spec.month, spec.quantile_window
    return [
        _scalar(f"std_{month}", f"sample standard deviation of demand in the last {month} periods", scale, 0),
        _scalar(f"zero_share_{short}", f"share of periods without demand, last {short}", "share", 0, 1),
        _scalar(f"zero_share_{month}", f"share of periods without demand, last {month}", "share", 0, 1),
        _scalar(f"max_{short}", f"largest demand of the last {short} periods", scale, 0),
        _scalar(f"min_{wide}", f"smallest demand of the last {wide} periods", scale, 0),
        _scalar(f"q10_{wide}", f"demand exceeded in 90 % of the last {wide} periods, interpolated", scale, 0),
        _scalar(f"q50_{wide}", f"median demand of the last {wide} periods", scale, 0),
        _scalar(f"q90_{wide}", f"demand exceeded in 10 % of the last {wide} periods, interpolated", scale, 0),
    ]


def _likes(spec: TierSpec, scale: str) -> list[Feature]:
    """Behaviour of similar series: what is known of an item or store that has no history of its own."""
    short, month = spec.short, spec.month
    groups = {
        "store": "all items of the store",
        "item": "the item in all stores",
        "category": "the item's category in the store",
    }
    rows = [
        _scalar(f"{g}_level_{month}", f"mean demand over {text}, last {month} periods", scale, 0)
        for g, text in groups.items()
    ]
    rows += [
        _scalar(f"{g}_trend", f"recent level ({short} less {month} periods) of {text}", scale)
        for g, text in groups.items()
    ]
    rows += [
        _scalar(
            f"like_{name}_level_{month}",
            f"mean demand over series of the same {name}: of the store's items, or, for an attribute of stores, of the "
            f"item's stores, last {month} periods",
            scale,
            0,
        )
        for name in spec.like
    ]
    if spec.grain is Grain.DAY:  # weeks have no position in a season in which a category could deviate
        seasonal = f"the category's deviation in the store on the target's weekday, last {month} periods"
        rows.append(Feature(name="category_seasonal", source="seasonal", unit=scale, definition=seasonal))
    return rows


def _seasonal(spec: TierSpec, scale: str) -> list[Feature]:
    weekly = spec.grain is Grain.WEEK
    on = "" if weekly else " on the target's weekday"
    usual = f"usual demand{on}, with the target's promotion flag where history allows"
    rows = [_target("base", usual, scale, 0)]
    rows += [
        Feature(
            name=f"seasonal_mean_{w}",
            source="seasonal",
            low=0,
            unit=scale,
            definition=f"mean{on}, last {w} periods",
        )
        for w in spec.seasonal_windows
        if not weekly  # there it would be level_w again
    ]
    rows += [
        Feature(
            name=f"seasonal_promo_mean_{w}",
            source="seasonal_promo",
            low=0,
            unit=scale,
            definition=f"mean{on} with the target's promotion flag, last {w} periods",
        )
        for w in spec.seasonal_promo_windows
    ]
    if spec.last_year:
        texts = {
            "last_year": f"demand of the same {'week' if weekly else 'weekday'} one year before the target",
            "last_year_week": f"mean of the {'three weeks' if weekly else 'seven days'} around that of last_year",
            "last_year_change": "last_year_week less the level of the four weeks before last year's origin",
        }
        rows += [Feature(name=n, source="by_horizon", unit=scale, definition=t) for n, t in texts.items()]
    return rows


def _calendar(spec: TierSpec) -> list[Feature]:
    rows = [_target("horizon", "periods from origin to target", "periods", 1, 10_000)]
    if spec.season > 1:
        rows += [
            _target("weekday", "Monday is 0", "day", 0, 6),
            _target("day_of_month", "day of the month", "day", 1, 31),
            _target("payday_distance", "days to the nearest 1st or 16th", "days", 0, 8),
        ]
    begins = " which the target week begins" if spec.grain is Grain.WEEK else ""
    if spec.full_year:  # of less, a month would only name the recent past
        rows.append(_target("month", f"month of the year{begins and f' in{begins}'}", "month", 1, 12))
    if spec.last_year or spec.season == 1:
        rows.append(_target("day_of_year", f"day of the year{begins and f' on{begins}'}", "day", 1, 366))
    return rows


def _scalar(name: str, definition: str, unit: str, low: float | None = None, high: float | None = None) -> Feature:
    return Feature(name=name, source="scalar", definition=definition, unit=unit, low=low, high=high)


def _target(name: str, definition: str, unit: str, low: float | None = None, high: float | None = None) -> Feature:
    return Feature(name=name, source="target", definition=definition, unit=unit, low=low, high=high)


def _channels(spec: TierSpec) -> list[Feature]:
    """Features of the known-future channels that the retailer has."""
    near, cap = spec.short, spec.lead_in + 1
    makers = {
        ON_PROMOTION: _promotion(near, cap),
        HOLIDAY: _holiday(cap),
        OPEN: _opening(near, cap),
        PRICE: _price(spec.month, cap),
        HOLIDAY_DAYS: [_target("holiday_days", "days of the target's week that are holidays", "days", 0, 7)],
    }
    rows = [feature for name, made in makers.items() if name in spec.channels for feature in made]
    others = (name for name in spec.channels if name not in makers)
    return rows + [feature for name in others for feature in _covariate(name, near)]


def _promotion(near: int, cap: int) -> list[Feature]:
    return [
        _target("promo", "is the target on promotion?", "flag", 0, 1),
        _target("promo_prev", f"promotions in the {near} periods before the target", "periods", 0, near),
        _target(
            "promo_next", f"promotions in the {near} periods after the target, as far as known", "periods", 0, near
        ),
        _target("promo_ahead", "share of promotions over the whole horizon", "share", 0, 1),
        _target(
            "since_promo_start", "periods since the running promotion began (0: not on promotion)", "periods", 0, cap
        ),
        _target("since_promo", "periods since the last promotion (0: on promotion)", "periods", 0, cap),
        _target("until_promo", "periods until the next promotion, as far as known", "periods", 0, cap),
    ]


def _holiday(cap: int) -> list[Feature]:
    return [
        _target("holiday", "kind of holiday (0: none)", "code", 0),
        _target("since_holiday", "periods since the last holiday", "periods", 0, cap),
        _target("until_holiday", "periods until the next holiday, as far as known", "periods", 0, cap),
    ]


def _opening(near: int, cap: int) -> list[Feature]:
    return [
        _target("closed_prev", f"closed periods in the {near} before the target", "periods", 0, near),
        _target("closed_next", f"closed periods in the {near} after the target, as far as known", "periods", 0, near),
        _target("since_closed", "periods since last closed", "periods", 0, cap),
        _target("until_closed", "periods until next closed, as far as known", "periods", 0, cap),
        _target("closed_run", "length of the closure that ended last, within the lead-in", "periods", 0, cap),
        _target(
            "since_reopening", "periods since a closure of three or more (0: in its third or later)", "periods", 0, cap
        ),
    ]


def _price(month: int, cap: int) -> list[Feature]:
    return [
        _target("price", "price at the target", "currency", 0),
        _target("price_to_mean", "price at the target / mean price so far", "ratio", 0),
        _target("price_to_max", "price at the target / highest price so far", "ratio", 0),
        _target("price_to_last", "price at the target / price at the origin", "ratio", 0),
        _target("price_to_recent", f"price at the target / mean price of the {month} periods before it", "ratio", 0),
        _target("price_to_previous", "price at the target / last known price before it", "ratio", 0),
        _target("discount_depth", "1 - price at the target / highest price since the lead-in began", "share", 0, 1),
        _target("since_price_change", "periods since the price last moved by more than 1 %", "periods", 0, cap),
    ]


def _covariate(name: str, near: int) -> list[Feature]:
    return [
        _target(f"cov_{name}", f"{name} at the target", name),
        _target(f"cov_{name}_prev", f"mean {name} of the {near} periods before the target", name),
        _target(f"cov_{name}_next", f"mean {name} of the {near} periods after the target, as far as known", name),
    ]


def _static(name: str) -> Feature:
    return Feature(
        name=f"static_{name}",
        source="scalar",
        definition=f"{name}, as the position in its category list",
        unit="code",
    )
