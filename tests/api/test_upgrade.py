"""The warehouse is migrated while the service answers: no request fails, and what older releases read stays."""

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from shelfops_pipeline.store.engine import open_engine
from shelfops_pipeline.store.migrate import VERSION_TABLE, downgrade, migrate, revisions
from tests.api.support import CHAMPION, Retailer, api_settings, publish, served, until
from tests.api.test_champion import MILK, Hammer, went_on
from tests.api.test_faults import expected

OLD = "0004"
"""What a service reads for forecasts and what-ifs is there since before this revision."""
WRITTEN = {"retrain_requests", "purchase_order_events", "item_flags", "item_flag_events"}
"""Tables into which the service inserts; it updates others."""


class Asker(Hammer):
    """Asks anything that must be answered, whatever it says."""

    def run(self) -> None:
        while not self.stop.is_set():
            answer = self.ask()
            self.count += 1
            if answer.status_code != 200:
                self.wrong.append(f"{answer.status_code} {answer.url} {answer.text}")


def further(counts: list[int], hammers: list[Hammer]) -> None:
    """Wait until each has asked so often."""
    until(lambda: went_on(hammers, counts))


def test_migrations_fail_no_request(
    retailer: Retailer, models_copy: Path, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    publish(warehouse, retailer, CHAMPION)
    downgrade(warehouse, OLD)
    uncached = {"api_cache_mb": 0, "api_mode": "development"}
    with served(api_settings(models_copy.parent, warehouse_url_of_test, **uncached)) as api:
        right = expected(retailer)
        hammers: list[Hammer] = [
            Hammer(lambda: api.get("/v1/forecasts/S1/milk"), right),
            Hammer(lambda: api.post("/v1/predict", json=MILK), right),
            *(Asker(lambda path=path: api.get(path), {}) for path in ("/healthz", "/readyz", "/metrics")),  # type: ignore[misc]
        ]
        for hammer in hammers:
            hammer.start()
        further([3] * len(hammers), hammers)
        for revision in [found for found in reversed(revisions()) if found > OLD]:
            migrate(warehouse, revision)
            further([hammer.count + 2 for hammer in hammers], hammers)
        for hammer in hammers:
            hammer.stop.set()
            hammer.join()
        assert [wrong for hammer in hammers for wrong in hammer.wrong] == []
        assert api.get("/v1/orders").status_code == 200, "what came with the newest tables answers without a restart"


def test_going_back_fails_no_request_for_what_the_older_schema_has(
    retailer: Retailer, models_copy: Path, warehouse: Engine, warehouse_url_of_test: str
) -> None:
    publish(warehouse, retailer, CHAMPION)
    with served(api_settings(models_copy.parent, warehouse_url_of_test, api_cache_mb=0)) as api:
        hammer = Hammer(lambda: api.get("/v1/forecasts/S1/milk"), expected(retailer))
        hammer.start()
        further([3], [hammer])
        downgrade(warehouse, OLD)
        further([hammer.count + 5], [hammer])
        hammer.stop.set()
        hammer.join()
        assert hammer.wrong == []


def columns_of(engine: Engine) -> dict[str, set[str]]:
    found = inspect(engine)
    names = set(found.get_table_names()) - {VERSION_TABLE}
    return {name: {column["name"] for column in found.get_columns(name)} for name in names}


def test_a_revision_leaves_the_service_of_the_release_before_what_it_reads_and_writes(postgres_url: str) -> None:
    """So the warehouse is migrated first, and that service goes on until it is replaced."""
    engine = open_engine(postgres_url)
    before: dict[str, set[str]] = {}
    query = text("""SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'
                    AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'""")
    for revision in reversed(revisions()):
        migrate(engine, revision)
        after = columns_of(engine)
        gone = {name: columns - after.get(name, set()) for name, columns in before.items()}
        assert {name: columns for name, columns in gone.items() if columns} == {}, revision
        with engine.connect() as connection:
            needed = [(name, column) for name, column in connection.execute(query) if name in before]
        new = [(name, column) for name, column in needed if column not in before[name]]
        assert [found for found in new if found[0] in WRITTEN] == [], revision
        before = after
    engine.dispose()
