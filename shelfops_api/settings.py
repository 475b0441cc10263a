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
    redis_url: SecretStr | None = Field(
        None, description="Redis for rate limits, live alerts and the shared cache; unset: each process for itself"
    )
    metric: Metric = Field(Metric.MAE, description="The loss that `point` is optimal for, unless a request says")
    api_max_batch: int = Field(256, ge=1, description="Most series in one prediction request")
    api_max_body_bytes: int = Field(1_000_000, ge=1, description="Largest request body")
    api_poll_seconds: float = Field(1.0, gt=0, description="How often champion.json is looked at")
    api_mode: Literal["development", "production"] = Field(
        "development", description="production: authentication is always on, and weak secrets are refused"
    )
    api_auth: Literal["on", "off"] | None = Field(
        None,
        description="Must callers show an API key or a token? Unset: on in production, and in development for callers "
        "from other machines",
    )
    api_jwt_secret: SecretStr | None = Field(
        None, description="Signs tokens, 32 bytes or more; required in production, else made up at each start"
    )
    api_token_seconds: int = Field(900, ge=10, le=86_400, description="How long a token of POST /v1/tokens is valid")
    api_key_refresh_seconds: float = Field(
        5.0, gt=0, description="How often the API keys are read again: a revocation takes no longer to have effect"
    )
    api_key_grace_seconds: float = Field(
        3600, gt=0, description="How long the keys last read stay good while PostgreSQL is away"
    )
    api_log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")

    @property
    def root(self) -> Path:
        """SHELFOPS_HOME as an absolute path."""
        return (self.home or Path(".shelfops") / self.retailer).absolute()

    @property
    def retailer(self) -> str:
        """The name under which the warehouse has this retailer's rows."""
        return Path(self.dataset).stem

    @property
    def models(self) -> Path:
        """Model versions and champion.json."""
        return self.root / "models"
