"""Run once by `shelfops up` before Dagster's processes: create its tables, and clear up after killed runs.

A process of its own (`python -m`), so that `up` itself does not carry Dagster in memory. In the compose stack, with
`--deployment`, it is the one container that runs before the others.
"""

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fail-dead-runs", action="store_true", help="the storage is used by this machine alone")
    parser.add_argument(
        "--deployment",
        action="store_true",
        help="first migrate the warehouse, give the API's role its rights, and write dagster.yaml into the home",
    )
    arguments = parser.parse_args()
    clear = arguments.fail_dead_runs
    if arguments.deployment:
        _prepare_deployment()

    from dagster import DagsterInstance

    from shelfops_pipeline.defs.dead_runs import fail_dead_runs
    from shelfops_pipeline.defs.partitions import PANEL_POOL
    from shelfops_pipeline.services.instance import make_pool

    with DagsterInstance.get() as instance:
        make_pool(instance, PANEL_POOL)
        dead = fail_dead_runs(instance, launcher_gone=True) if clear else []
    print(f"instance ready; {len(dead)} killed runs marked failed: {' '.join(dead)}")


def _prepare_deployment() -> None:
    from shelfops_pipeline.services.instance import dagster_home
    from shelfops_pipeline.services.warehouse import warehouse_engine
    from shelfops_pipeline.settings import Settings
    from shelfops_pipeline.store.migrate import grant_api

    settings = Settings()
    with warehouse_engine(settings) as engine:
        grant_api(engine)
    dagster_home(settings)


if __name__ == "__main__":
    main()
