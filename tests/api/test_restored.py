"""What was backed up while a service answered is answered by a service on what was restored, number for number."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.contracts.bundle import MANIFEST, Manifest
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.backup import run_backup
from shelfops_pipeline.services.restore import run_restore
from shelfops_pipeline.settings import Settings
from tests.api.support import CHAMPION, COLD, DATASET, Retailer, api_settings, publish, served, until
from tests.api.test_champion import MILK, Hammer, went_on
from tests.api.test_faults import expected
from tests.conftest import make_databases

PATHS = ("/v1/champion", "/v1/forecasts/S1/milk", "/v1/forecasts?limit=5", "/v1/models", "/v1/alerts", "/v1/orders")


def registered(models: Path) -> None:
    """Make a registry of what lies there, as trainings would have."""
    registry = Registry(models)
    for version in (COLD, CHAMPION):
        manifest = Manifest.model_validate_json((models / version / MANIFEST).read_bytes())
        registry.register(manifest, 2.5, "trained")
        registry.promote(version, "better")


def test_a_restored_home_answers_as_the_one_that_was_backed_up(
    retailer: Retailer,
    models_copy: Path,
    warehouse: Engine,
    warehouse_url_of_test: str,
    postgres_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SHELFOPS_{name.upper()}", raising=False)
    (models_copy / "champion.json").unlink()
    registered(models_copy)
    publish(warehouse, retailer, CHAMPION)
    databases = make_databases(postgres_server, f"restored_{tmp_path.name}")
    storage = databases["dagster_database_url"]  # of which nobody has made use
    old = Settings(
        dataset=DATASET, home=models_copy.parent, database_url=warehouse_url_of_test, dagster_database_url=storage
    )
    new = Settings(dataset=DATASET, home=tmp_path / "new", **databases)

    def api_of(settings: Settings, url: str) -> ApiSettings:
        return api_settings(settings.root, url, api_cache_mb=0)

    with served(api_of(old, warehouse_url_of_test)) as api:
        hammer = Hammer(lambda: api.get("/v1/forecasts/S1/milk"), expected(retailer))
        hammer.start()
        run_backup(old, str(tmp_path / "backup"))
        until(lambda: went_on([hammer], [3]))
        hammer.stop.set()
        hammer.join()
        assert hammer.wrong == []
        answers = {path: api.get(path).json() for path in PATHS}
        what_if = api.post("/v1/predict", json=MILK).json()
    run_restore(new, str(tmp_path / "backup"))
    with served(api_of(new, databases["database_url"])) as api:
        assert {path: api.get(path).json() for path in PATHS} == answers
        assert api.post("/v1/predict", json=MILK).json() == what_if
        assert api.get("/readyz").json()["warehouse"] == "published"
