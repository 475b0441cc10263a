"""Run once by `shelfops up` before Dagster's processes: create its tables, and clear up after killed runs.

A process of its own (`python -m`), so that `up` itself does not carry Dagster in memory.
"""

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fail-dead-runs", action="store_true", help="the storage is used by this machine alone")
    clear = parser.parse_args().fail_dead_runs

    from dagster import DagsterInstance

    from shelfops_pipeline.defs.partitions import PANEL_POOL
    from shelfops_pipeline.services.instance import fail_dead_runs, make_pool

    with DagsterInstance.get() as instance:
        make_pool(instance, PANEL_POOL)
        dead = fail_dead_runs(instance, launcher_gone=True) if clear else []
    print(f"instance ready; {len(dead)} killed runs marked failed: {' '.join(dead)}")


if __name__ == "__main__":
    main()
