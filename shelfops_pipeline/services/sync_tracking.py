"""`shelfops models sync-tracking`."""

from rich.markup import escape

from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.console import console
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.tracking.probe import tracking_uri, without_password
from shelfops_pipeline.tracking.track import replay_runs


def sync_tracking(settings: Settings) -> None:
    """Replay what waits, and say what became of it. Raises ShelfOpsError when MLflow is away or refuses a run."""
    done, place = replay_runs(settings), without_password(tracking_uri(settings))
    for run in done.tracked:
        console.print(escape(str(run)), highlight=False)
    console.print(
        f"{len(done.tracked)} runs sent to MLflow at {escape(place)}, {len(done.waiting)} wait", highlight=False
    )
    if done.away:
        raise ShelfOpsError(
            f"MLflow at {place} is away: {done.away}; runs wait in {settings.reports} until this is called again"
        )
    if done.refused:
        more = f" (and {len(done.refused) - 1} more)" if len(done.refused) > 1 else ""
        raise ShelfOpsError(f"MLflow cannot have {done.refused[0]}{more}; moved back to reports/, it is tried again")
