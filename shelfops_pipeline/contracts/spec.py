"""The shape of a tier's inputs: which windows, how far back, how far ahead."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from shelfops_pipeline.contracts.columns import CATEGORY, ITEM_ID, ON_PROMOTION, STORE_ID, Grain, Tier


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
    full_year: bool = Field(description="Is there a year of history to learn the season from?")
    last_year: bool
    channels: tuple[str, ...] = Field(description="Known-future channels, reserved names first")
    past_channels: tuple[str, ...] = Field(description="Channels known only up to the origin")
    static: tuple[str, ...] = Field(description="Static attributes, store_id and item_id included")

    @property
    def quantile_window(self) -> int:
        """Periods that quantiles of recent demand are taken of: four weeks, or a quarter of weekly data."""
        return self.month if self.season > 1 else 13

    @property
    def like(self) -> tuple[str, ...]:
        """Attributes by which the cold-start tier looks for similar items and stores; the category is one already."""
        if self.tier is not Tier.COLD_START:
            return ()
        return tuple(name for name in self.static if name not in (STORE_ID, ITEM_ID, CATEGORY))


_DAILY: Final = {"short": 7, "month": 28, "lead_in": 28, "season": 7, "year": 364}
_WEEKLY: Final = {"short": 2, "month": 4, "lead_in": 8, "season": 1, "year": 52}


def short_window(grain: Grain) -> int:
    """The short window: one week, or two weekly periods."""
    return (_DAILY if grain is Grain.DAY else _WEEKLY)["short"]


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
    full_year = history >= (364 + 28 if daily else 52 + 4)
    long_base = production and has_promo and history >= (2 * 84 if daily else 26)

    month = _DAILY["month"] if daily else _WEEKLY["month"]

    def fits(windows: tuple[int, ...]) -> tuple[int, ...]:
        """Windows that history fills, and always the reference window and shorter ones: others are measured by it."""
        return tuple(w for i, w in enumerate(windows) if i == 0 or w <= max(history, month))

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
        full_year=full_year,
        last_year=production and full_year,
        channels=channels,
        past_channels=past_channels if production else (),
        static=static,
        **(_DAILY if daily else _WEEKLY),
    )
