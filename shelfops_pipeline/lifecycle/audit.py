"""Is every version as it was registered, and does champion.json say what the registry says?"""

from collections import Counter
from dataclasses import dataclass

from shelfops_pipeline.contracts.bundle import RegistryEntry
from shelfops_pipeline.contracts.columns import Status
from shelfops_pipeline.errors import BundleError, PromotionError
from shelfops_pipeline.lifecycle.registry import CHAMPION, REGISTRY, Registry


@dataclass(frozen=True)
class Finding:
    """What was found about a version or a file."""

    what: str
    ok: bool
    detail: str


def audit(registry: Registry) -> list[Finding]:
    """Check every bundle and the pointer. A pointer that is behind the registry is written again, and told."""
    entries = registry.entries()
    found = [_version(registry, entry) for entry in entries]
    return [*found, *_champions(entries), _pointer(registry), *_unregistered(registry, entries)]


def _version(registry: Registry, entry: RegistryEntry) -> Finding:
    try:
        manifest = registry.check(entry)
    except (BundleError, PromotionError) as error:
        return Finding(entry.version, False, str(error))
    return Finding(entry.version, True, f"{entry.status}; {len(manifest.sha256)} files and the manifest are unchanged")


def _champions(entries: list[RegistryEntry]) -> list[Finding]:
    held = Counter(e.feature_tier for e in entries if e.status is Status.CHAMPION)
    return [
        Finding(REGISTRY, False, f"{n} champions of the {tier} tier; promote one of them again")
        for tier, n in held.items()
        if n > 1
    ]


def _pointer(registry: Registry) -> Finding:
    behind = not registry.is_settled()
    pointer = registry.champion()
    if pointer is None:
        detail = f"names a version, but {REGISTRY} has no champion; restore {REGISTRY} from a backup"
        return Finding(CHAMPION, not behind, detail if behind else "none yet: nothing was promoted")
    said = f"names {pointer.release}, as the registry does"
    return Finding(CHAMPION, True, f"{said}; it was behind, and has been written again" if behind else said)


def _unregistered(registry: Registry, entries: list[RegistryEntry]) -> list[Finding]:
    """Folders that a killed run left before it could register them; they hurt nobody."""
    known = {e.version for e in entries}
    left = sorted(p.name for p in registry.models.glob("v*") if p.is_dir() and p.name not in known)
    return [Finding(name, True, "not registered: a run was cut short; the folder may be deleted") for name in left]
