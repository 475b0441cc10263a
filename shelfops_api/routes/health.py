"""For load balancers and orchestrators."""

from fastapi import APIRouter

from shelfops_api.deps import AuthDep, SnapshotDep, WarehouseDep
from shelfops_api.errors import Code, documented
from shelfops_api.schemas import Alive, Ready

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Alive:
    """Is the process alive? Depends on nothing else."""
    return Alive()


@router.get("/readyz", responses=documented(Code.NO_CHAMPION))
def ready(snapshot: SnapshotDep, warehouse: WarehouseDep, auth: AuthDep) -> Ready:
    """Is a champion loaded, and what has the warehouse for it?"""
    return Ready(release=snapshot.release, warehouse=warehouse.state(snapshot.release), open_to=auth.open_to)
