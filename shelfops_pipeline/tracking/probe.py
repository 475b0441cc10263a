"""Where MLflow is, and whether anything answers there."""

import http.client
import re
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shelfops_pipeline.settings import Settings

WEB: Final = {"http": 80, "https": 443}
"""Schemes of an MLflow server, with their ports."""
PROBE_SECONDS: Final = 3


class TrackingUnavailableError(Exception):
    """MLflow cannot be reached, or failed while it logged a run."""


def tracking_uri(settings: Settings) -> str:
    """The settings' MLflow, or the database store in the home."""
    return settings.mlflow_tracking_uri or embedded_store(settings)


def embedded_store(settings: Settings) -> str:
    """A database file in the home (MLflow 3.17 refuses a bare folder), beside the artifacts."""
    return f"sqlite:///{settings.root / 'mlflow' / 'mlflow.db'}"


def artifact_folder(root: Path) -> Path:
    """Where an MLflow that is in the home keeps its artifacts."""
    return root / "mlflow" / "artifacts"


def is_remote(uri: str) -> bool:
    """Is there a network between us and this MLflow?"""
    scheme = urlsplit(uri).scheme
    return scheme in WEB or scheme.startswith("postgresql")


def probe(uri: str) -> None:
    """Raise TrackingUnavailableError if nothing answers at `uri`.

    MLflow's own client would retry for minutes (a dead PostgreSQL took 101 s, a dead server 247 s), and is slow to
    import. Looking up a name has no limit of its own, nor has an answer that comes by the byte: a caller who must not
    wait sets one for the whole.
    """
    scheme = urlsplit(uri).scheme
    if scheme in WEB:
        _probe_server(uri)
    elif is_remote(uri):
        _probe_database(uri)


def why_away(settings: Settings) -> str | None:
    """Why the settings' MLflow does not answer; None when it does."""
    try:
        probe(tracking_uri(settings))
    except TrackingUnavailableError as error:
        return str(error)
    return None


def _probe_server(uri: str) -> None:
    parts = urlsplit(uri)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port or WEB[parts.scheme], timeout=PROBE_SECONDS)
        with closing(connection):
            connection.request("GET", f"{parts.path.rstrip('/')}/health")
            status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TrackingUnavailableError(first_line(error)) from error
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TrackingUnavailableError(f"{without_password(uri)} answers with status {status}")


def _probe_database(uri: str) -> None:
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(make_url(uri), poolclass=NullPool, connect_args={"connect_timeout": PROBE_SECONDS})
        engine.connect().close()
    except SQLAlchemyError as error:
        raise TrackingUnavailableError(first_line(error)) from error


def first_line(error: Exception) -> str:
    """Type and first line, without a password that a URL in the message may hold."""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {without_password(text)}"


def without_password(text: str) -> str:
    """`text` with the user and password of every URL in it left out."""
    return re.sub(r"://[^@/ ]*@", "://…@", text)
