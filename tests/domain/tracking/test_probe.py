"""Is anything there? Said within seconds, without MLflow's client."""

import pytest

from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.probe import TrackingUnavailableError, probe, tracking_uri, why_away
from tests.domain.tracking.faulty import door
from tests.mlflow_server import free_port


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:{}", "https://127.0.0.1:{}/base", "postgresql+psycopg2://someone:secret@127.0.0.1:{}/m"]
)
def test_a_closed_port_is_away_and_no_password_is_told(uri: str) -> None:
    with pytest.raises(TrackingUnavailableError) as error:
        probe(uri.format(free_port()))
    assert "secret" not in str(error.value)


def test_a_server_that_never_answers_is_away() -> None:
    with door(None, "silent") as uri, pytest.raises(TrackingUnavailableError, match=r"(?i)timed? ?out"):
        probe(uri)


def test_a_database_file_is_there(settings: Settings) -> None:
    probe(tracking_uri(settings))
    assert why_away(settings) is None


def test_mlflows_own_variable_names_the_server_where_ours_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert Settings().mlflow_tracking_uri == "http://mlflow:5000"
    monkeypatch.setenv("SHELFOPS_MLFLOW_TRACKING_URI", "http://other:5000")
    assert Settings().mlflow_tracking_uri == "http://other:5000"
