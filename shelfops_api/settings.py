"""Every SHELFOPS_* variable of the API: typed, documented, with its default. Nothing else reads the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shelfops_pipeline.contracts.columns import Metric


class ApiSettings(BaseSettings):
    """The API of one retailer. Names that the pipeline has too mean the same thing there."""

    model_config = SettingsConfigDict(env_prefix="SHELFOPS_", env_ignore_empty=True, frozen=True)

    dataset: str = Field("simulated", description="Adapter name, or the path of a mapping YAML")
    home: Path | None = Field(None, description="Where the models live; default .shelfops/<dataset>")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL warehouse; unset: the embedded server of home, if one is running"
    )
    metric: Metric = Field(Metric.MAE, description="The loss that `point` is optimal for, unless a request says")
    api_max_batch: int = Field(256, ge=1, description="Most series in one prediction request")
    api_max_body_bytes: int = Field(1_000_000, ge=1, description="Largest request body")
    api_poll_seconds: float = Field(1.0, gt=0, description="How often champion.json is looked at")
    api_log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")

    @property
    def root(self) -> Path:
        """SHELFOPS_HOME as an absolute path."""
        return (self.home or Path(".shelfops") / Path(self.dataset).stem).absolute()

    @property
    def models(self) -> Path:
        """Model versions and champion.json."""
        return self.root / "models"
