"""Requests and answers of the API. Columns are those of `contracts.columns`."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from shelfops_api.snapshot import Snapshot
from shelfops_api.warehouse import WarehouseState
from shelfops_pipeline.contracts.columns import HOLIDAY, ON_PROMOTION, OPEN, PRICE, Grain, Metric, Tier

# PostgreSQL's text has no NUL; everything else is a legal id.
SeriesId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
# Within float32, and far beyond any price or covariate.
Price = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False, strict=True)]
Value = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False, strict=True)]
Flag = Annotated[bool, Field(strict=True)]

_ROW: Final[dict[str, Any]] = {
    "date": "2026-01-05",
    "mean": 11.84,
    "point": 11.0,
    "q05": 5.0,
    "q25": 9.0,
    "q50": 11.0,
    "q75": 14.0,
    "q95": 20.0,
}
_SERIES: Final[dict[str, Any]] = {
    "store_id": "S01",
    "item_id": "I003",
    "release": "v2+v1",
    "model_version": "v2",
    "forecast": [_ROW],
}


def example_of(value: dict[str, Any]) -> ConfigDict:
    """The configuration of a body with this example."""
    return ConfigDict(json_schema_extra={"examples": [value]})


class Alive(BaseModel):
    """The process answers."""

    model_config = example_of({"status": "alive"})

    status: str = "alive"


class Ready(BaseModel):
    """A champion is loaded. Without a warehouse only /v1/champion can be answered."""

    model_config = example_of({"status": "ready", "release": "v2+v1", "warehouse": "published", "open_to": "nobody"})

    status: str = "ready"
    release: str
    warehouse: WarehouseState = Field(description="Does the warehouse hold the release's rows, and can it be reached?")
    open_to: Literal["nobody", "this machine", "everybody"] = Field(description="Who needs no credentials")


class Version(BaseModel):
    """One model version of the release."""

    version: str
    tier: Tier
    mae: float = Field(description="Backtest MAE of the median, units per period")


class ChampionAnswer(Version):
    """What is being served."""

    model_config = example_of(
        {
            "version": "v2",
            "tier": "production",
            "mae": 3.21,
            "release": "v2+v1",
            "dataset": "simulated",
            "grain": "day",
            "horizon": 28,
            "training_cutoff": "2026-01-04",
            "channels": ["open", "on_promotion", "price", "holiday"],
            "metrics": {"mae": 3.21, "coverage_90": 0.903, "mape": None},
            "promoted_at": "2026-01-05T03:12:44Z",
            "published_at": "2026-01-06T03:20:09Z",
            "cold_start": {"version": "v1", "tier": "cold_start", "mae": 3.94},
        }
    )

    release: str = Field(description="Names the pair of versions; every answer and published row carries it")
    dataset: str
    grain: Grain
    horizon: int = Field(description="Periods ahead")
    training_cutoff: date = Field(description="Last period whose demand was seen in training")
    channels: tuple[str, ...] = Field(description="Known-future inputs that a prediction may override")
    metrics: dict[str, float | None] = Field(description="Backtest metrics; null where undefined")
    promoted_at: datetime
    published_at: datetime | None = Field(
        description="When the forecasts that are served were written; a release gets new ones daily. null: unknown"
    )
    cold_start: Version | None = Field(description="Serves the series whose history is too short for the champion")

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        pointer, manifest, cold = snapshot.pointer, snapshot.manifest, snapshot.pointer.cold_start
        return cls(
            version=pointer.version,
            tier=pointer.feature_tier,
            mae=pointer.mae,
            release=pointer.release,
            dataset=pointer.dataset,
            grain=manifest.grain,
            horizon=manifest.horizon,
            training_cutoff=manifest.training_cutoff,
            channels=manifest.spec.channels,
            metrics=manifest.metrics,
            promoted_at=pointer.promoted_at,
            published_at=snapshot.published_at,
            cold_start=cold and Version(version=cold.version, tier=cold.feature_tier, mae=cold.mae),
        )


class ForecastPeriod(BaseModel):
    """One period's demand in units. `mean` is for sums and orders, `point` is optimal for the metric."""

    model_config = example_of(_ROW)

    date: date
    mean: float
    point: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float


class SeriesForecast(BaseModel):
    """The forecast of one item in one store, in order of date."""

    model_config = example_of(_SERIES)

    store_id: str
    item_id: str
    release: str
    model_version: str
    forecast: list[ForecastPeriod]


class ForecastPage(BaseModel):
    """Forecasts of some series, in order of store and item, all of one release."""

    model_config = example_of({"release": "v2+v1", "series": [_SERIES], "next": "WyJ2Mit2MUA2NDgi"})

    release: str
    series: list[SeriesForecast]
    next: str | None = Field(description="Give it as `after` for the series that follow; null on the last page")


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Override(Request):
    """What would be different on one date. What is left out stays as planned."""

    model_config = example_of({"date": "2026-01-05", "on_promotion": True, "price": 1.99})

    date: date
    on_promotion: Flag | None = None
    price: Price | None = None
    open: Flag | None = None
    covariates: dict[str, Value] = Field({}, description="Other known-future inputs by name, see /v1/champion")

    @field_validator("covariates")
    @classmethod
    def _possible(cls, values: dict[str, float]) -> dict[str, float]:
        twice = sorted({ON_PROMOTION, PRICE, OPEN} & set(values))
        if twice:
            raise ValueError(f"{', '.join(twice)} has a field of its own")
        code = values.get(HOLIDAY, 0)
        if code < 0 or code != int(code):
            raise ValueError(f"{HOLIDAY} is the code of a kind of holiday: a whole number, 0 for none")
        return values

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.changes():
            raise ValueError("an override must change something")
        return self

    def changes(self) -> dict[str, float]:
        """Channel -> value."""
        own = {ON_PROMOTION: self.on_promotion, PRICE: self.price, OPEN: self.open}
        return {name: float(value) for name, value in own.items() if value is not None} | self.covariates


class SeriesRequest(Request):
    """One series, and what would be different. The same series may be asked for several times in one batch."""

    model_config = example_of(
        {
            "store_id": "S01",
            "item_id": "I003",
            "dates": ["2026-01-05", "2026-01-06"],
            "overrides": [{"date": "2026-01-05", "on_promotion": True, "price": 1.99}],
        }
    )

    store_id: SeriesId
    item_id: SeriesId
    dates: list[date] | None = Field(None, min_length=1, description="Dates to answer for; default: the whole horizon")
    overrides: list[Override] = []

    @property
    def key(self) -> tuple[str, str]:
        return self.store_id, self.item_id

    @field_validator("overrides")
    @classmethod
    def _one_per_date(cls, overrides: list[Override]) -> list[Override]:
        dates = [override.date for override in overrides]
        if len(set(dates)) < len(dates):
            raise ValueError("a date has two overrides; give one with all its changes")
        return overrides


class PredictRequest(Request):
    """A batch of what-ifs."""

    model_config = example_of(
        {
            "series": [
                {
                    "store_id": "S01",
                    "item_id": "I003",
                    "overrides": [{"date": "2026-01-05", "on_promotion": True, "price": 1.99}],
                }
            ],
            "metric": "mae",
        }
    )

    series: list[SeriesRequest] = Field(min_length=1)
    metric: Metric | None = Field(None, description="The loss that `point` is optimal for; default: the deployment's")


class PredictAnswer(BaseModel):
    """One forecast per requested series, in the order of the request, all of one release."""

    model_config = example_of({"release": "v2+v1", "metric": "mae", "series": [_SERIES]})

    release: str
    metric: Metric
    series: list[SeriesForecast]
