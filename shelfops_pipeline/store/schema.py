"""All tables of the warehouse together, whichever module describes them: what the migrations have to make."""

from shelfops_pipeline.store import operational_tables, replenishment_tables, totals
from shelfops_pipeline.store.tables import metadata

__all__ = ["metadata", "operational_tables", "replenishment_tables", "totals"]
