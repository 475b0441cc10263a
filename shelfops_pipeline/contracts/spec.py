"""The shape of a tier's inputs: which windows, how far back, how far ahead."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Windows:
    """What a tier looks at where the history is long enough."""

    level: tuple[int, ...]
    seasonal: tuple[int, ...]
    seasonal_promo: tuple[int, ...]
    promo: tuple[int, ...]
    base: int
    promo_base: int
    """The base where it is conditional on the promotion flag, which takes twice as many periods; 0: it never is."""
    encoder: int
    min_history: int


_LENGTHS: Final = {
    Grain.DAY: {"short": 7, "month": 28, "lead_in": 28, "year": 364},
    Grain.WEEK: {"short": 2, "month": 4, "lead_in": 8, "year": 52},
}
_WINDOWS: Final = {
    (Tier.COLD_START, Grain.DAY): _Windows(
        level=(7, 14, 28),
        seasonal=(14, 28),
        seasonal_promo=(28,),
        promo=(28,),
        base=28,
        promo_base=0,
        encoder=28,
        min_history=0,
    ),
    (Tier.COLD_START, Grain.WEEK): _Windows(
        level=(2, 4, 8),
        seasonal=(4, 8),
        seasonal_promo=(8,),
        promo=(8,),
        base=8,
        promo_base=0,
        encoder=8,
        min_history=0,
    ),
    (Tier.PRODUCTION, Grain.DAY): _Windows(
        level=(7, 14, 28, 56, 91, 182, 364),
        seasonal=(14, 28, 56, 182),
        seasonal_promo=(84, 364),
        promo=(28, 91),
        base=28,
        promo_base=84,
        encoder=56,
        min_history=84,
    ),
    (Tier.PRODUCTION, Grain.WEEK): _Windows(
        level=(2, 4, 8, 13, 26, 52),
        seasonal=(4, 8, 26),
        seasonal_promo=(13, 52),
        promo=(8, 26),
        base=8,
        promo_base=13,
        encoder=26,
        min_history=26,
    ),
}


def short_window(grain: Grain) -> int:
    """The short window: one week, or two weekly periods."""
    return _LENGTHS[grain]["short"]


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
    lengths, windows = _LENGTHS[grain], _WINDOWS[tier, grain]
    has_promo, production = ON_PROMOTION in channels, tier is Tier.PRODUCTION
    full_year = history >= lengths["year"] + lengths["month"]
    longest = max(history, lengths["month"])
    base, seasonal = windows.base, _fitting(windows.seasonal, longest)
    base_on_promo = has_promo and 0 < 2 * windows.promo_base <= history
    if base_on_promo:
        base = windows.promo_base
    elif base not in seasonal:
        seasonal += (base,)
    return TierSpec(
        tier=tier,
        grain=grain,
        horizon=horizon,
        season=grain.season,
        level_windows=_fitting(windows.level, longest),
        seasonal_windows=seasonal,
        seasonal_promo_windows=_fitting(windows.seasonal_promo, longest) if has_promo else (),
        promo_windows=_fitting(windows.promo, longest) if has_promo else (),
        base_window=base,
        base_on_promo=base_on_promo,
        encoder_length=min(windows.encoder, max(history // 2, 1)),
        min_history=windows.min_history,
        full_year=full_year,
        last_year=production and full_year,
        channels=channels,
        past_channels=past_channels if production else (),
        static=static,
        **lengths,
    )


def _fitting(windows: tuple[int, ...], longest: int) -> tuple[int, ...]:
    """Those that history fills, and always the reference window and shorter ones: others are measured by it."""
    return tuple(w for i, w in enumerate(windows) if i == 0 or w <= longest)
