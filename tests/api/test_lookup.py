"""Rows of the warehouse, held in memory."""

from pathlib import Path

from sqlalchemy import Engine

from shelfops_api.build import build_services
from shelfops_api.lookup import held_features, stored_features
from tests.api.support import CHAMPION, Retailer, api_settings, publish


def test_inputs_are_held_under_the_publication_that_they_were_read_from(
    models_copy: Path, warehouse: Engine, warehouse_url_of_test: str, retailer: Retailer
) -> None:
    publish(warehouse, retailer, CHAMPION)
    services = build_services(api_settings(models_copy.parent, warehouse_url_of_test))
    services.champion.refresh()
    before, key = services.champion.snapshot, retailer.keys[0]
    assert before is not None
    publish(warehouse, retailer, CHAMPION)  # the same release with the rows of another day, not noticed yet
    assert set(stored_features(services, before, [key])) == {key}
    assert held_features(services, before, [key]) == {}
    services.champion.refresh()
    after = services.champion.snapshot
    assert after is not None
    assert after.edition != before.edition
    assert set(held_features(services, after, [key])) == {key}
    services.warehouse.close()
