"""The model registry: `models/registry.json` (every version) and `models/champion.json` (which one serves).

Both are replaced whole; changes are serialised by a lock, so that two promotions leave exactly one champion.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from shelfops_pipeline.contracts.bundle import ChampionPointer, ColdStartChampion, Manifest, RegistryEntry
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.errors import BundleError, PromotionError
from shelfops_pipeline.lifecycle.files import write_json
from shelfops_pipeline.models.bundle import verify

_REGISTRY = "registry.json"
_CHAMPION = "champion.json"
_LOCK_SECONDS = 60


@dataclass(frozen=True)
class Registry:
    """The versions of one retailer, under its models directory."""

    models: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold while reading and writing: changes of other processes wait."""
        self.models.mkdir(parents=True, exist_ok=True)
        with FileLock(self.models / ".registry.lock", timeout=_LOCK_SECONDS):
            yield

    def entries(self) -> list[RegistryEntry]:
        """Every version ever registered, oldest first."""
        path = self.models / _REGISTRY
        if not path.is_file():
            return []
        return [RegistryEntry.model_validate(e) for e in json.loads(path.read_text())]

    def entry(self, version: str) -> RegistryEntry:
        """One version. Raises BundleError naming the known ones when there is no such version."""
        entries = {e.version: e for e in self.entries()}
        if version not in entries:
            known = ", ".join(entries) or "none yet"
            raise BundleError(f"no model version '{version}'; known versions: {known}")
        return entries[version]

    def champion(self) -> ChampionPointer | None:
        """What serves now, or None before the first promotion."""
        path = self.models / _CHAMPION
        return ChampionPointer.model_validate_json(path.read_text()) if path.is_file() else None

    def champion_of(self, tier: Tier) -> str | None:
        """The version that serves a tier, or None."""
        held = [e.version for e in self.entries() if e.feature_tier is tier and e.status is Status.CHAMPION]
        return held[-1] if held else None

    def next_version(self) -> str:
        """v1, v2, ...; a version directory left by a crash is not reused."""
        numbers = [int(e.version[1:]) for e in self.entries()]
        numbers += [int(p.name[1:]) for p in self.models.glob("v*") if p.name[1:].isdigit()]
        return f"v{max(numbers, default=0) + 1}"

    def register(self, manifest: Manifest, mae: float, reason: str) -> RegistryEntry:
        """Add a version as candidate. Raises PromotionError when its MAE is not a finite number."""
        if not mae >= 0 or mae == float("inf"):
            raise PromotionError(f"{manifest.version}: MAE is {mae}; a model that cannot be scored is not registered")
        entry = RegistryEntry(
            version=manifest.version,
            feature_tier=manifest.tier,
            dataset=manifest.dataset,
            mae=mae,
            status=Status.CANDIDATE,
            created_at=manifest.created_at,
            reason=reason,
        )
        with self.lock():
            self._write([*self.entries(), entry])
        return entry

    def promote(self, version: str, reason: str) -> ChampionPointer:
        """Make a version its tier's champion, archive the old one. Raises BundleError when the bundle is damaged."""
        with self.lock():
            entry = self.entry(version)
            verify(self.models / version)
            entries = [self._after_promotion(e, entry, reason) for e in self.entries()]
            pointer = self._pointer(entries)
            self._write(entries)
            write_json(self.models / _CHAMPION, json.loads(pointer.model_dump_json()))
        return pointer

    def refuse(self, version: str, reason: str) -> None:
        """Record why a candidate was not promoted; it stays a candidate."""
        with self.lock():
            entries = self.entries()
            self._write([e.model_copy(update={"reason": reason}) if e.version == version else e for e in entries])

    @staticmethod
    def _after_promotion(entry: RegistryEntry, promoted: RegistryEntry, reason: str) -> RegistryEntry:
        if entry.version == promoted.version:
            return entry.model_copy(update={"status": Status.CHAMPION, "reason": reason})
        if entry.feature_tier is promoted.feature_tier and entry.status is Status.CHAMPION:
            return entry.model_copy(update={"status": Status.ARCHIVED, "reason": f"succeeded by {promoted.version}"})
        return entry

    @staticmethod
    def _pointer(entries: list[RegistryEntry]) -> ChampionPointer:
        """The production champion and, beside it, the cold-start one; alone, the cold-start one serves everything."""
        held = {e.feature_tier: e for e in entries if e.status is Status.CHAMPION}
        cold = held.get(Tier.COLD_START)
        main = held.get(Tier.PRODUCTION) or cold
        if main is None:
            raise PromotionError("no champion after a promotion; the registry is inconsistent")
        beside = None
        if cold is not None and cold.version != main.version:
            beside = ColdStartChampion(version=cold.version, feature_tier=cold.feature_tier, mae=cold.mae)
        return ChampionPointer(
            version=main.version,
            feature_tier=main.feature_tier,
            dataset=main.dataset,
            mae=main.mae,
            cold_start=beside,
            promoted_at=datetime.now(UTC),
        )

    def _write(self, entries: list[RegistryEntry]) -> None:
        write_json(self.models / _REGISTRY, [json.loads(e.model_dump_json()) for e in entries])
