"""Write docs/features.md from the feature registry. `make docs` runs it; a test holds the page current."""

from collections.abc import Iterator
from pathlib import Path

from shelfops_pipeline.contracts.columns import HOLIDAY_DAYS, RESERVED_CHANNELS, Grain, Tier
from shelfops_pipeline.contracts.features import Feature, feature_list
from shelfops_pipeline.contracts.spec import TierSpec, tier_spec

PAGE = Path(__file__).parents[1] / "docs" / "features.md"

HORIZON, LONG = 28, 5_000
ANY = "NAME"
"""Stands for a covariate or attribute that a retailer brings along."""
SCALE = "demand scale"

INTRO = """\
# Features

Generated from `shelfops_pipeline/contracts/features.py` by `make docs`; a test fails when this page is not current.

Every training row is (series, origin t, horizon h). A feature is either known at the origin (the series' past up to and
including t) or known in advance about the target t + h (calendar, price, promotion, opening). Nothing after t enters
otherwise. A missing value (NaN) means "unknown" and is always valid; it is never filled.

- **Demand scale** is `log1p(units per period)` where the models are fitted on logarithms, and units per period where
  they are fitted on counts (whole-numbered demand with many zeros). The recipe in the manifest says which.
- **Source** says where a value is read: `scalar`: one per series, known at the origin; `seasonal`: one per series and
  weekday, looked up for the target; `seasonal_promo`: the same, given the target's promotion flag; `by_horizon`: one
  per series and target period that history already holds; `target`: from the calendar and the known-future inputs
  around the target.
- **`base`**, the reference level of the target, is the series' mean for the target's weekday and promotion flag over
  the base window; where the series has none, its mean for the weekday; else its own level, or the level of similar
  series, moved by their weekday pattern. On logarithms the models predict the deviation from it.
- **Weekly retailers** have no weekdays: what is said of the target's weekday is said of every week there, and a mean on
  the target's weekday would be the level again, so it is left out.
- `NAME` stands for a covariate or attribute of the retailer's own: there is one such feature for each.
- A feature that needs an input (promotion, price, opening, holidays) exists only where the retailer has that input, and
  a window only where the history is long enough to fill it.
"""


def render() -> str:
    """The page."""
    parts = [INTRO, "## Windows\n", *_windows(), ""]
    for grain in Grain:
        parts += [f"## {'Daily' if grain is Grain.DAY else 'Weekly'} retailers\n", *_table(grain), ""]
    return "\n".join(parts)


def spec(tier: Tier, grain: Grain) -> TierSpec:
    """A tier with every input, and history for every window."""
    weekly = (HOLIDAY_DAYS,) if grain is Grain.WEEK else ()
    return tier_spec(tier, grain, HORIZON, LONG, (*RESERVED_CHANNELS, *weekly, ANY), (ANY,), (ANY,))


def documented(grain: Grain) -> dict[str, tuple[Feature, list[Tier]]]:
    """Name -> the feature and the tiers that have it."""
    out: dict[str, tuple[Feature, list[Tier]]] = {}
    for tier in Tier:
        for feature, counted in zip(
            feature_list(spec(tier, grain), log=True), feature_list(spec(tier, grain), log=False), strict=True
        ):
            shown = feature if feature.unit == counted.unit else feature.model_copy(update={"unit": SCALE})
            out.setdefault(feature.name, (shown, []))[1].append(tier)
    return out


def _table(grain: Grain) -> Iterator[str]:
    yield "| feature | tiers | definition | unit | source | range |"
    yield "|---|---|---|---|---|---|"
    for feature, tiers in documented(grain).values():
        where = "both" if len(tiers) == len(Tier) else tiers[0].value
        cells = (f"`{feature.name}`", where, feature.definition, feature.unit, feature.source, _range(feature))
        yield f"| {' | '.join(cells)} |"


def _range(feature: Feature) -> str:
    if feature.low is None and feature.high is None:
        return "any"
    if feature.high is None:
        return f"at least {feature.low:g}"
    return f"{feature.low:g} to {feature.high:g}"


def _windows() -> Iterator[str]:
    yield "Lengths in periods, where the history is long enough."
    yield ""
    titles = "levels", "weekday means", "weekday and promotion means", "promotion levels", "base", "LSTM looks back"
    yield f"| tier | grain | {' | '.join(titles)} |"
    yield "|---" * (2 + len(titles)) + "|"
    for grain in Grain:
        for tier in Tier:
            s = spec(tier, grain)
            windows = (s.level_windows, s.seasonal_windows, s.seasonal_promo_windows, s.promo_windows)
            cells = [", ".join(map(str, w)) for w in windows] + [str(s.base_window), str(s.encoder_length)]
            yield f"| {tier.value} | {grain.value} | {' | '.join(cells)} |"


def main() -> None:
    PAGE.write_text(render())


if __name__ == "__main__":
    main()
