"""MLflow's names for what the registry says: a registered model per tier, with the aliases champion and challenger."""

import re
from typing import Final

from shelfops_pipeline.contracts.bundle import RegistryEntry
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.tracking.outbox import Aliases
from shelfops_pipeline.tracking.run_record import run_key

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"


def model_name(dataset: str, tier: str) -> str:
    """The registered model of a dataset's tier; MLflow allows no slash or colon in it."""
    return re.sub(r"[^\w.-]+", "-", f"shelfops-{dataset}-{tier}")


def registry_aliases(registry: Registry) -> Aliases:
    """What MLflow's aliases should be: the champion of each tier, and its challenger, the latest candidate that is
    newer than the champion. Tiers without a version are left out."""
    entries, wanted = registry.entries(), {}
    for tier in Tier:
        own = [e for e in entries if e.feature_tier is tier]
        if own:
            held = [i for i, e in enumerate(own) if e.status is Status.CHAMPION]
            newer = [e for e in own[max(held, default=-1) + 1 :] if e.status is Status.CANDIDATE]
            champion = own[held[-1]] if held else None
            wanted[model_name(own[-1].dataset, tier)] = {
                CHAMPION: _key(champion),
                CHALLENGER: _key(newer[-1] if newer else None),
            }
    return wanted


def _key(entry: RegistryEntry | None) -> str | None:
    return None if entry is None else run_key(entry.dataset, entry.version, entry.created_at)
