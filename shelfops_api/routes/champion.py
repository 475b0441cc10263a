"""Which model is being served."""

from fastapi import APIRouter, Depends

from shelfops_api.auth import Scope, require
from shelfops_api.deps import SnapshotDep
from shelfops_api.errors import Code, documented
from shelfops_api.schemas import ChampionAnswer

router = APIRouter(prefix="/v1/champion", tags=["champion"], dependencies=[Depends(require(Scope.READ))])


@router.get("", responses=documented(Code.NO_CHAMPION))
async def champion(snapshot: SnapshotDep) -> ChampionAnswer:
    """The serving champion, how good it was in the backtest, and the cold-start champion beside it."""
    return ChampionAnswer.of(snapshot)
