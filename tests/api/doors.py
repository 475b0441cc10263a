"""An API with authentication on and an empty warehouse: what the tests of keys, limits and operations knock at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.contracts.access import Scope
from shelfops_pipeline.store.api_keys import issue_key
from shelfops_pipeline.store.engine import open_engine
from tests.api.support import DATASET, api_settings, served

JWT_SECRET = "an unguessable phrase: 7Hq2-vX9-Lm4-Zt8-Rw1"  # noqa: S105
KEY_REFRESH = 0.2


@dataclass(frozen=True)
class Door:
    """The API behind its door: a client without credentials, and keys of one scope each."""

    client: httpx.Client
    engine: Engine
    settings: ApiSettings
    keys: dict[Scope, str]

    def ask(self, method: str, path: str, scope: Scope | None = None, **options: Any) -> httpx.Response:
        """A request with the key of `scope`, or without any."""
        headers = {} if scope is None else bearer(self.keys[scope])
        return self.client.request(method, path, headers=headers | options.pop("headers", {}), **options)


def bearer(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials}"}


@contextmanager
def opened_door(home: Path, url: str, **changes: Any) -> Iterator[Door]:
    """A door with a key named after each scope; the warehouse at `url` must have its tables."""
    strict = {"api_auth": "on", "api_jwt_secret": JWT_SECRET, "api_key_refresh_seconds": KEY_REFRESH}
    settings = api_settings(home, url, **strict | changes)
    engine = open_engine(url)
    try:
        keys = {scope: issue_key(engine, DATASET, f"{scope}-er", [scope], by="tests").text for scope in Scope}
        with served(settings) as client:
            yield Door(client, engine, settings, keys)
    finally:
        engine.dispose()
