"""The model bundle on disk: `models/<version>/manifest.json`, and the two pointers beside it.

A bundle is a directory; nothing in it runs code when loaded (no pickle, no joblib). Schema changes raise
`SCHEMA_VERSION`; a reader refuses a manifest that it does not know.
"""

from datetime import date, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shelfops_pipeline.contracts.columns import Grain, Status, Tier
from shelfops_pipeline.contracts.features import Feature
from shelfops_pipeline.contracts.spec import TierSpec

SCHEMA_VERSION: Final = 3

MEMBERS: Final = ("xgboost", "lstm")
"""The members of the ensemble, in the order of every array that has one entry for each."""

MANIFEST: Final = "manifest.json"
CALIBRATION: Final = "calibration.json"
XGBOOST_NATIVE: Final = "xgboost.ubj"
XGBOOST_ONNX: Final = "xgboost.onnx"
LSTM_NATIVE: Final = "lstm.keras"
LSTM_ONNX: Final = "lstm.onnx"
BACKTEST_FORECASTS: Final = "backtest_forecasts.parquet"
BACKTEST_METRICS: Final = "backtest_metrics.parquet"
MODEL_CARD: Final = "model_card.md"
DECISION: Final = "decision.json"
"""What the promotion gate said about the version: contracts.decision.GateDecision."""
SHAP_SUMMARY: Final = "shap_summary.png"
FEATURE_IMPORTANCE: Final = "feature_importance.json"
LSTM_IMPORTANCE: Final = "lstm_importance.json"
LSTM_ATTRIBUTION: Final = "lstm_attribution.png"
REFERENCE: Final = "reference.json"
"""What drift is measured from; bundles of older releases have none."""
SERVED_FILES: Final = (CALIBRATION, XGBOOST_ONNX, LSTM_ONNX)

Transform = Literal["log", "count"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Manifest(Frozen):
    """Everything needed to serve a bundle, and to say where it came from."""

    schema_version: int = SCHEMA_VERSION
    version: str
    dataset: str
    tier: Tier
    grain: Grain
    horizon: int = Field(ge=1)
    transform: Transform = Field(description="log: models predict log1p(y) - base; count: models predict y itself")
    integer_demand: bool = Field(description="Demand is counted in whole units, so quantiles are whole too")
    spec: TierSpec
    features: tuple[Feature, ...] = Field(description="Model matrix columns, in order")
    static_categories: dict[str, tuple[str, ...]] = Field(
        description="Static attribute -> its categories; a category's code is its position"
    )
    channel_scales: dict[str, tuple[float, float]] = Field(
        description="Channel -> (mean, standard deviation) on training data; LSTM inputs are standardised with it"
    )
    quantiles: tuple[float, ...]
    training_start: date
    training_cutoff: date = Field(description="Last period whose demand was seen in training")
    created_at: datetime
    seed: int
    holiday_kinds: tuple[str, ...] = Field(description="Code k of the holiday channel is kind k-1; 0 is none")
    recipe: dict[str, JsonValue] = Field(description="The training recipe, enough to train the same model again")
    metrics: dict[str, float | None] = Field(description="Backtest metrics; null where undefined")
    library_versions: dict[str, str]
    sha256: dict[str, str] = Field(description="File name -> checksum, for every file that is served or reloaded")


class StatusChange(Frozen):
    """What was once decided about a version; a refusal leaves it a candidate."""

    status: Status
    at: datetime
    by: str
    reason: str


class RegistryEntry(Frozen):
    """One entry of `models/registry.json`. The last change of its history is what it is now.

    All releases share the file: what a later one says beside this is kept, so that going back to an earlier one works.
    """

    model_config = ConfigDict(extra="allow")

    version: str
    feature_tier: Tier
    dataset: str
    mae: float
    status: Status
    created_at: datetime
    reason: str = ""
    manifest_sha256: str | None = Field(None, description="The manifest lists the other files; this guards itself")
    run_id: str | None = Field(None, description="The run that trained it; one run registers one version per tier")
    history: tuple[StatusChange, ...] = Field((), description="Every change of status, oldest first")


class ColdStartChampion(Frozen):
    version: str
    feature_tier: Tier
    mae: float


class ChampionPointer(Frozen):
    """`models/champion.json`: the serving champion and, beside it, the cold-start champion for short histories.

    `release` names the pair; every published row carries it, so that an answer never mixes two releases.
    """

    version: str
    feature_tier: Tier
    dataset: str
    mae: float
    status: Literal[Status.CHAMPION] = Status.CHAMPION
    cold_start: ColdStartChampion | None = None
    promoted_at: datetime

    @property
    def versions(self) -> tuple[str, ...]:
        beside = () if self.cold_start is None else (self.cold_start.version,)
        return (self.version, *(v for v in beside if v != self.version))

    @property
    def release(self) -> str:
        return "+".join(self.versions)
