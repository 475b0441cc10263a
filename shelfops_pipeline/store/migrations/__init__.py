"""Alembic's environment for the warehouse, run by `shelfops_pipeline.store.migrate`; shipped in the wheel."""
