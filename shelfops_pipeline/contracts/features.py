"""The feature registry: one list, as data, from which the model matrix, the Pandera schemas, the manifest and the
documentation table are made.

A feature belongs to one *source*, which says where `inference.matrix` reads it:

- `scalar`: one value per series, known at the origin (levels, spreads, prices so far, static attributes);
- `seasonal`: one value per series and position in the season (weekday), looked up for the target period;
- `seasonal_promo`: likewise, conditional on the target's promotion flag;
- `by_horizon`: one value per series and target period that history already holds (the same weekday last year);
- `target`: computed from the calendar and the known-future channels around the target period.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE, Grain, Tier

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


class TierSpec(BaseModel):
    """The shape of a tier's inputs: which windows, how far back, how far ahead. Saved in the manifest.

    Lengths are in periods of the retailer's grain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Tier
    grain: Grain
    horizon: int = Field(ge=1)
    season: int = Field(description="7 for daily data, 1 for weekly data")
    year: int = Field(description="Periods in a year that keep the weekday: 364 or 52")
    lead_in: int = Field(
        description="Periods of known-future channels before the target window that features may look at"
    )
    level_windows: tuple[int, ...]
    seasonal_windows: tuple[int, ...]
    seasonal_promo_windows: tuple[int, ...]
    promo_windows: tuple[int, ...]
    short: int = Field(description="The short window: one week, or two weekly periods")
    month: int = Field(description="The reference window: four weeks")
    base_window: int = Field(description="Window of the seasonal mean that serves as the base of the log-ratio target")
    base_on_promo: bool = Field(description="Is the base conditional on the promotion flag?")
    encoder_length: int
    min_history: int = Field(description="Fewest observed periods for a series to be served by this tier")
    last_year: bool
    channels: tuple[str, ...] = Field(description="Known-future channels, reserved names first")
    past_channels: tuple[str, ...] = Field(description="Channels known only up to the origin")
    static: tuple[str, ...] = Field(description="Static attributes, store_id and item_id included")


_DAILY: Final = {"short": 7, "month": 28, "lead_in": 28, "season": 7, "year": 364}
_WEEKLY: Final = {"short": 2, "month": 4, "lead_in": 8, "season": 1, "year": 52}


def tier_spec(
    tier: Tier,
    grain: Grain,
    horizon: int,
    history: int,
    channels: tuple[str, ...],
    past_channels: tuple[str, ...] = (),
    static: tuple[str, ...] = (),
) -> TierSpec:
    """The windows that `history` observed periods can fill; longer ones would only repeat the longest that fits."""
    daily = grain is Grain.DAY
    production = tier is Tier.PRODUCTION
    levels: tuple[int, ...] = (7, 14, 28) if daily else (2, 4, 8)
    if production:
        levels += (56, 91, 182, 364) if daily else (13, 26, 52)
    seasonal: tuple[int, ...] = (14, 28) if daily else (4, 8)
    if production:
        seasonal += (56, 182) if daily else (26,)
    seasonal_promo: tuple[int, ...] = ((84, 364) if daily else (13, 52)) if production else ((28,) if daily else (8,))
    promo = ((28, 91) if daily else (8, 26)) if production else ((28,) if daily else (8,))
    has_promo = ON_PROMOTION in channels
    long_base = production and has_promo and history >= (2 * 84 if daily else 26)

    def fits(windows: tuple[int, ...]) -> tuple[int, ...]:
        """Windows that at least half fill, and always the shortest."""
        return tuple(w for i, w in enumerate(windows) if i == 0 or w <= history)

    base = (84 if daily else 13) if long_base else (28 if daily else 8)
    seasonal_promo = fits(seasonal_promo) if has_promo else ()
    return TierSpec(
        tier=tier,
        grain=grain,
        horizon=horizon,
        level_windows=fits(levels),
        seasonal_windows=fits(seasonal) if long_base or base in fits(seasonal) else (*fits(seasonal), base),
        seasonal_promo_windows=seasonal_promo,
        promo_windows=fits(promo) if has_promo else (),
        base_window=base,
        base_on_promo=long_base,
        encoder_length=min((56 if production else 28) if daily else (26 if production else 8), max(history // 2, 1)),
        min_history=((84 if daily else 26) if production else 0),
        last_year=production and history >= (364 + 28 if daily else 52 + 4),
        channels=channels,
        past_channels=past_channels if production else (),
        static=static,
        **(_DAILY if daily else _WEEKLY),
    )


def feature_list(spec: TierSpec, log: bool) -> tuple[Feature, ...]:
    """The model matrix columns of a tier, in order. `log` says in which scale levels are measured."""
    scale = "log1p(units per period)" if log else "units per period"
    return (
        *_own_history(spec, scale),
        *_likes(spec, scale),
        *_seasonal(spec, scale),
        *_calendar(spec),
        *_channels(spec, scale),
        *(_static(name) for name in spec.static),
    )


def feature_names(spec: TierSpec) -> tuple[str, ...]:
    """The ordered column names of `feature_list`."""
    return tuple(f.name for f in feature_list(spec, log=True))


def _own_history(spec: TierSpec, scale: str) -> list[Feature]:
    def scalar(
        name: str, definition: str, unit: str = scale, low: float | None = None, high: float | None = None
    ) -> Feature:
        return Feature(name=name, source="scalar", definition=definition, unit=unit, low=low, high=high)

    short, month = spec.short, spec.month
    rows = [scalar(f"level_{w}", f"mean demand of the last {w} periods", low=0) for w in spec.level_windows]
    rows += [
        scalar("ewm", "exponentially weighted mean demand, weight 0.9 per period, last 56 periods", low=0),
        scalar("trend_short", f"level of the last {short} less level of the last {month} periods"),
        scalar(f"std_{month}", f"standard deviation of demand in the last {month} periods", low=0),
        scalar(f"zero_share_{short}", f"share of periods without demand, last {short}", "share", 0, 1),
        scalar(f"zero_share_{month}", f"share of periods without demand, last {month}", "share", 0, 1),
        scalar(f"max_{short}", f"largest demand of the last {short} periods", low=0),
        scalar("last", "demand of the last observed period", low=0),
        scalar("periods_since_sale", "periods since demand was last above 0, at most 366", "periods", 0, 366),
        scalar("history", "observed periods so far, at most 730", "periods", 0, 730),
        scalar("adi", "average demand interval, last 182 periods (Syntetos and Boylan 2005)", "periods", 1),
        scalar("cv2", "squared coefficient of variation of non-zero demand, last 182 periods", "ratio", 0),
        scalar(f"stockout_share_{month}", f"share of known stockouts in the last {month} periods", "share", 0, 1),
    ]
    for w in spec.promo_windows:
        rows += [
            scalar(f"promo_level_{w}", f"mean demand on promotion, last {w} periods", low=0),
            scalar(f"regular_level_{w}", f"mean demand off promotion, last {w} periods", low=0),
            scalar(f"promo_share_{w}", f"share of periods on promotion, last {w}", "share", 0, 1),
        ]
    rows += [
        scalar(f"past_{name}_{w}", f"mean {name} of the last {w} periods", name)
        for name in spec.past_channels
        for w in (short, month)
    ]
    if spec.tier is Tier.PRODUCTION and len(spec.level_windows) > 4:
        rows.append(
            scalar(
                "trend_long",
                f"level of the last {month} less level of the last {spec.level_windows[4]} periods",
            )
        )
    return rows


def _likes(spec: TierSpec, scale: str) -> list[Feature]:
    """Behaviour of similar series: what is known of an item or store that has no history of its own."""
    month = spec.month
    groups = {
        "store": "all items of the store",
        "item": "the item in all stores",
        "category": "the item's category in the store",
    }
    rows = [
        Feature(
            name=f"{g}_level_{month}",
            source="scalar",
            low=0,
            unit=scale,
            definition=f"mean demand over {text}, last {month} periods",
        )
        for g, text in groups.items()
    ]
    rows += [
        Feature(
            name=f"{g}_trend",
            source="scalar",
            unit=scale,
            definition=f"recent level ({spec.short} less {month} periods) of {text}",
        )
        for g, text in groups.items()
    ]
    rows.append(
        Feature(
            name="category_seasonal",
            source="seasonal",
            unit=scale,
            definition=f"the category's deviation in the store on the target's weekday, last {month} periods",
        )
    )
    return rows


def _seasonal(spec: TierSpec, scale: str) -> list[Feature]:
    rows = [
        Feature(
            name="base",
            source="target",
            low=0,
            unit=scale,
            definition="usual demand on the target's weekday, with its promotion flag where history allows",
        )
    ]
    rows += [
        Feature(
            name=f"seasonal_mean_{w}",
            source="seasonal",
            low=0,
            unit=scale,
            definition=f"mean on the target's weekday, last {w}",
        )
        for w in spec.seasonal_windows
    ]
    rows += [
        Feature(
            name=f"seasonal_promo_mean_{w}",
            source="seasonal_promo",
            low=0,
            unit=scale,
            definition=f"mean on the target's weekday with the target's promotion flag, last {w} periods",
        )
        for w in spec.seasonal_promo_windows
    ]
    if spec.last_year:
        texts = {
            "last_year": "demand of the same weekday one year before the target",
            "last_year_week": "mean of the seven periods around one year before the target",
            "last_year_change": "last_year_week less the level of the four weeks before last year's origin",
        }
        rows += [Feature(name=n, source="by_horizon", unit=scale, definition=t) for n, t in texts.items()]
    return rows


def _calendar(spec: TierSpec) -> list[Feature]:
    def target(name: str, definition: str, unit: str, low: float, high: float) -> Feature:
        return Feature(name=name, source="target", definition=definition, unit=unit, low=low, high=high)

    rows = [target("horizon", "periods from origin to target", "periods", 1, 10_000)]
    if spec.season > 1:
        rows += [
            target("weekday", "Monday is 0", "day", 0, 6),
            target("day_of_month", "day of the month", "day", 1, 31),
            target("payday_distance", "days to the nearest 1st or 16th", "days", 0, 8),
        ]
    rows.append(target("month", "month of the year", "month", 1, 12))
    if spec.last_year or spec.season == 1:
        rows.append(target("day_of_year", "day of the year", "day", 1, 366))
    return rows


def _channels(spec: TierSpec, scale: str) -> list[Feature]:
    def target(name: str, definition: str, unit: str, low: float | None = None, high: float | None = None) -> Feature:
        return Feature(name=name, source="target", definition=definition, unit=unit, low=low, high=high)

    near = spec.short
    cap = spec.lead_in + 1
    rows: list[Feature] = []
    if ON_PROMOTION in spec.channels:
        rows += [
            target("promo", "is the target on promotion?", "flag", 0, 1),
            target("promo_prev", f"promotions in the {near} periods before the target", "periods", 0, near),
            target(
                "promo_next",
                f"promotions in the {near} periods after the target, as far as known",
                "periods",
                0,
                near,
            ),
            target("promo_ahead", "share of promotions over the whole horizon", "share", 0, 1),
            target(
                "since_promo_start",
                "periods since the running promotion began (0: not on promotion)",
                "periods",
                0,
                cap,
            ),
        ]
    if HOLIDAY in spec.channels:
        rows += [
            target("holiday", "kind of holiday (0: none)", "code", 0),
            target("since_holiday", "periods since the last holiday", "periods", 0, cap),
            target("until_holiday", "periods until the next holiday, as far as known", "periods", 0, cap),
        ]
    if OPEN in spec.channels:
        rows += [
            target("closed_prev", f"closed periods in the {near} before the target", "periods", 0, near),
            target(
                "closed_next",
                f"closed periods in the {near} after the target, as far as known",
                "periods",
                0,
                near,
            ),
            target("since_closed", "periods since last closed", "periods", 0, cap),
            target("until_closed", "periods until next closed, as far as known", "periods", 0, cap),
            target(
                "closed_run",
                "length of the closure that ended most recently, within the lead-in",
                "periods",
                0,
                cap,
            ),
        ]
    if PRICE in spec.channels:
        rows += [
            target("price", "price at the target", "currency", 0),
            target("price_to_mean", "price at the target / mean price so far", "ratio", 0),
            target("price_to_max", "price at the target / highest price so far", "ratio", 0),
            target("price_to_last", "price at the target / price at the origin", "ratio", 0),
        ]
    for name in spec.channels:
        if name not in (ON_PROMOTION, HOLIDAY, OPEN, PRICE):
            rows += [
                target(f"cov_{name}", f"{name} at the target", name),
                target(f"cov_{name}_prev", f"mean {name} of the {near} periods before the target", name),
                target(
                    f"cov_{name}_next",
                    f"mean {name} of the {near} periods after the target, as far as known",
                    name,
                ),
            ]
    return rows


def _static(name: str) -> Feature:
    return Feature(
        name=f"static_{name}",
        source="scalar",
        definition=f"{name}, as the position in its category list",
        unit="code",
    )
