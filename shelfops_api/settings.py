"""Every SHELFOPS_* variable of the API: typed, documented, with its default. Nothing else reads the environment."""

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shelfops_pipeline.contracts.columns import Metric

_ORIGIN: Final = re.compile(r"https?://[^\s/*?#@]+")


class ApiSettings(BaseSettings):
    """The API of one retailer. Names that the pipeline has too mean the same thing there."""

    model_config = SettingsConfigDict(env_prefix="SHELFOPS_", env_ignore_empty=True, frozen=True)

    dataset: str = Field("simulated", description="Adapter name, or the path of a mapping YAML")
    retailer_name: str | None = Field(
        None,
        description="Name of the data set in the warehouse, where it is not the file name of the mapping: its `name`",
    )
    home: Path | None = Field(None, description="Where the models live; default .shelfops/<dataset>")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL warehouse; unset: the embedded server of home, if one is running"
    )
    api_database_seconds: float = Field(
        5.0, gt=0, description="How long PostgreSQL may take for a statement, or say nothing, before the answer is 503"
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
    api_rate_per_minute: int = Field(
        6000, ge=0, description="Requests per key (without one: per address) and minute; 0: no limit"
    )
    api_cors_origins: str = Field(
        "", description="Origins whose pages may call the API, such as https://plan.example.com; separated by commas"
    )
    api_max_sockets: int = Field(2000, ge=1, description="Most alert streams of a process at a time")
    api_max_sockets_per_key: int = Field(50, ge=1, description="Most alert streams per key (without one: per address)")
    api_heartbeat_seconds: float = Field(30, gt=0, description="How often a quiet alert stream says that it is alive")
    api_alert_poll_seconds: float = Field(
        3, gt=0, description="How often watched alerts are read from the warehouse while Redis is away"
    )
    api_metrics_auth: Literal["on", "off"] = Field("off", description="Does /metrics need a key with the scope read?")
    api_cache_mb: float = Field(64, ge=0, description="Memory of each process for answers it has given before; 0: none")
    api_cache_seconds: int = Field(21_600, ge=1, description="How long Redis keeps an answer")
    api_max_streams: int = Field(4, ge=1, description="Most bulk streams at a time: each keeps a connection")
    api_log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")

    @field_validator("api_cors_origins")
    @classmethod
    def _are_origins(cls, text: str) -> str:
        for origin in _listed(text):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write https://host or https://host:port, and never *")
        return text

    @property
    def cors_origins(self) -> frozenset[str]:
        """SHELFOPS_API_CORS_ORIGINS as a set."""
        return frozenset(_listed(self.api_cors_origins))

    @property
    def root(self) -> Path:
        """SHELFOPS_HOME as an absolute path."""
        return (self.home or Path(".shelfops") / Path(self.dataset).stem).absolute()

    @property
    def retailer(self) -> str:
        """The name under which the warehouse has this retailer's rows."""
        return self.retailer_name or Path(self.dataset).stem

    @property
    def models(self) -> Path:
        """Model versions and champion.json."""
        return self.root / "models"


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
