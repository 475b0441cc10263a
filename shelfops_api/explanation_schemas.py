"""Answers of the API that say why a forecast is what it is."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, Self

from pydantic import BaseModel, Field

from shelfops_api.schemas import example_of
from shelfops_pipeline.store.records import ForecastExplanation

_REASON: Final[dict[str, Any]] = {"theme": "promotion", "units": 4.1, "words": "because of the promotion"}
_EXPLANATION: Final[dict[str, Any]] = {
    "date": "2026-01-05",
    "periods": 1,
    "member": "xgboost",
    "start": 7.74,
    "prediction": 11.84,
    "sentence": "Expected 12 units: it starts from 8, its usual level, then +4 because of the promotion.",
    "reasons": [_REASON],
}


class Reason(BaseModel):
    """What moves a forecast, and by how much."""

    model_config = example_of(_REASON)

    theme: str
    units: float = Field(description="Units of demand that it adds, or takes where negative")
    words: str


class Explanation(BaseModel):
    """Why one period, or several together, are expected as they are: `start` and all `units` add up to `prediction`."""

    model_config = example_of(_EXPLANATION)

    date: date
    periods: int = Field(description="1, or the number of periods from `date` on that are explained together")
    member: str = Field(
        description="The model that was explained; what the forecast has beyond it is among the reasons"
    )
    start: float | None = Field(description="Before anything is known of the period; null where the store is closed")
    prediction: float = Field(description="`mean` of the forecast, or its sum")
    sentence: str
    reasons: list[Reason] = Field(description="Largest first; none where the store is closed")


class SeriesExplanation(BaseModel):
    """Why the stored forecast of one item in one store is what it is, from the values that were computed for it."""

    model_config = example_of(
        {
            "store_id": "S01",
            "item_id": "I003",
            "release": "v2+v1",
            "model_version": "v2",
            "together": _EXPLANATION | {"periods": 7},
            "periods": [_EXPLANATION],
        }
    )

    store_id: str
    item_id: str
    release: str
    model_version: str
    together: Explanation | None = Field(description="The explained periods together; null where there is but one")
    periods: list[Explanation] = Field(description="The next periods one by one, in order of date")

    @classmethod
    def of(cls, release: str, key: tuple[str, str], rows: Sequence[ForecastExplanation]) -> Self:
        told = [
            Explanation(
                date=row.date,
                periods=row.periods,
                member=row.member,
                start=row.start,
                prediction=row.prediction,
                sentence=row.sentence,
                reasons=[Reason.model_validate(reason) for reason in row.reasons],
            )
            for row in rows
        ]
        return cls(
            store_id=key[0],
            item_id=key[1],
            release=release,
            model_version=rows[0].model_version,
            together=next((one for one in told if one.periods > 1), None),
            periods=[one for one in told if one.periods == 1],
        )
