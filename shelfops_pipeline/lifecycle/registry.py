"""The model registry: `models/registry.json` (every version) and `models/champion.json` (which one serves).

The registry is the truth, and the pointer follows from it: whoever finds it behind, because a process was killed
between the two writes, writes it again. Both are replaced whole; changes are serialised by a lock, so that any number
of promotions at once leave exactly one champion per tier.
"""

import getpass
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr, ValidationError

from shelfops_pipeline.contracts.bundle import MANIFEST, ChampionPointer, Manifest, RegistryEntry
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.errors import BundleError, PromotionError
from shelfops_pipeline.lifecycle import succession
from shelfops_pipeline.lifecycle.files import remove_drafts, write_json
from shelfops_pipeline.lifecycle.lock import registry_lock
from shelfops_pipeline.models.bundle import sha256, verify
from shelfops_pipeline.settings import Settings

REGISTRY: Final = "registry.json"
CHAMPION: Final = "champion.json"


@dataclass(frozen=True)
class Registry:
    """The versions of one retailer, under its models directory."""

    models: Path
    dataset: str = ""
    """Whose versions these are: names the lock that hosts share."""
    database: SecretStr | None = None
    """A warehouse that several hosts share; None: the lock is a file."""
    by: str = ""
    """Who changes status, for the history; empty: the system's user."""

    @classmethod
    def of(cls, settings: Settings, by: str = "") -> Self:
        """The registry of a deployment; `by` stands above SHELFOPS_USER."""
        return cls(settings.models, Path(settings.dataset).stem, settings.database_url, by or settings.user or "")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold while reading and writing: changes of other processes wait."""
        with registry_lock(self.models, self.dataset, self.database):
            remove_drafts(self.models / REGISTRY)
            remove_drafts(self.models / CHAMPION)
            yield

    def entries(self) -> list[RegistryEntry]:
        """Every version ever registered, oldest first. Raises BundleError when the file is damaged."""
        path = self.models / REGISTRY
        if not path.is_file():
            return []
        try:
            return [RegistryEntry.model_validate(e) for e in json.loads(path.read_text())]
        except (ValueError, TypeError) as error:  # not UTF-8, not JSON, not a list of entries
            first = str(error).splitlines()[0]
            raise BundleError(f"{path} is damaged ({first}); restore it from a backup") from None

    def entry(self, version: str) -> RegistryEntry:
        """One version. Raises BundleError naming the known ones when there is no such version."""
        entries = {e.version: e for e in self.entries()}
        if version not in entries:
            known = ", ".join(entries) or "none yet"
            raise BundleError(f"no model version '{version}'; known versions: {known}")
        return entries[version]

    def champion(self) -> ChampionPointer | None:
        """What serves now, or None before the first promotion. A pointer that is behind is written again."""
        if self.is_settled():
            return succession.pointer_of(self.entries())
        with self.lock():
            return self._settle(self.entries())

    def champion_of(self, tier: Tier) -> str | None:
        """The version that serves a tier, or None."""
        held = succession.champion_of(self.entries(), tier)
        return None if held is None else held.version

    def predecessor(self, tier: Tier) -> str | None:
        """The version that `rollback` would return to, or None."""
        return succession.predecessor(self.entries(), tier)

    def is_settled(self) -> bool:
        """Does champion.json say what the registry says?"""
        return self._pointer_file() == succession.pointer_of(self.entries())

    def next_version(self) -> str:
        """v1, v2, ...; a version directory left by a crash is not reused."""
        numbers = [int(e.version[1:]) for e in self.entries()]
        numbers += [int(p.name[1:]) for p in self.models.glob("v*") if p.name[1:].isdigit()]
        return f"v{max(numbers, default=0) + 1}"

    def of_run(self, run_id: str, tier: Tier) -> RegistryEntry | None:
        """What a run has registered for a tier, or None."""
        return next((e for e in self.entries() if (e.run_id, e.feature_tier) == (run_id, tier)), None)

    def register(self, manifest: Manifest, mae: float, reason: str, run_id: str | None = None) -> RegistryEntry:
        """Add a version as candidate.

        Raises PromotionError when its MAE is not a finite number, when it is registered already, or when the registry
        is another data set's.
        """
        if not 0 <= mae < math.inf:
            raise PromotionError(f"{manifest.version}: MAE is {mae}; a model that cannot be scored is not registered")
        entry = RegistryEntry(
            version=manifest.version,
            feature_tier=manifest.tier,
            dataset=manifest.dataset,
            mae=mae,
            status=Status.CANDIDATE,
            created_at=manifest.created_at,
            manifest_sha256=sha256(self.models / manifest.version / MANIFEST),
            run_id=run_id,
        )
        with self.lock():
            entries = self.entries()
            self._check_new(entries, manifest)
            at = succession.moment(entries)
            entry = succession.changed(entry, Status.CANDIDATE, at, self._who(), reason)
            self._write([*entries, entry])
        return entry

    def promote(self, version: str, reason: str, over: str | None = None) -> ChampionPointer:
        """Make a version its tier's champion, archive the old one.

        With `over`, only if that version is the tier's champion still ("": only if there is none). Raises BundleError
        when the bundle is damaged, PromotionError when its metrics are no numbers.
        """
        with self.lock():
            entry, entries = self.entry(version), self.entries()
            held = succession.champion_of(entries, entry.feature_tier)
            now = "" if held is None else held.version
            if over is not None and over != now:
                raise PromotionError(
                    f"{version} was compared with {over or 'the baselines'}, but {now or 'nothing'} serves the"
                    f" {entry.feature_tier} tier by now; run the gate again"
                )
            self.check(entry)
            return self._crown(entries, version, reason)

    def rollback(self, tier: Tier, reason: str) -> ChampionPointer:
        """Let the champion before the present one serve the tier again. Raises PromotionError where there is none."""
        with self.lock():
            entries = self.entries()
            version = succession.predecessor(entries, tier)
            if version is None:
                raise PromotionError(
                    f"the {tier} tier has no earlier champion to return to; choose a version with"
                    " `shelfops models list` and `shelfops models promote`"
                )
            self.check(self.entry(version))
            return self._crown(entries, version, reason)

    def refuse(self, version: str, reason: str) -> None:
        """Record why a candidate was not promoted; it stays what it is. Raises BundleError where there is none."""
        with self.lock():
            self.entry(version)
            entries = self.entries()
            at = succession.moment(entries)
            self._write(
                [
                    succession.changed(e, e.status, at, self._who(), reason) if e.version == version else e
                    for e in entries
                ]
            )

    def check(self, entry: RegistryEntry) -> Manifest:
        """Can this version serve? Raises BundleError when a file is missing or changed, PromotionError when the MAE is
        no number or the bundle is not the one that was registered."""
        folder = self.models / entry.version
        if not math.isfinite(entry.mae):
            raise PromotionError(f"{entry.version}: MAE is {entry.mae}; train it anew")
        manifest = verify(folder)
        if entry.manifest_sha256 is not None and sha256(folder / MANIFEST) != entry.manifest_sha256:
            raise BundleError(f"{folder / MANIFEST} does not match its checksum; restore the bundle from a backup")
        registered = (entry.version, entry.dataset, entry.feature_tier)
        if (manifest.version, manifest.dataset, manifest.tier) != registered:
            found = f"{manifest.version} of {manifest.dataset}, {manifest.tier}"
            raise PromotionError(f"{folder} holds {found}, not what was registered; restore it from a backup")
        undefined = [name for name, v in manifest.metrics.items() if v is not None and not math.isfinite(v)]
        if undefined or manifest.metrics.get("mae") is None:
            raise PromotionError(f"{entry.version}: {', '.join(undefined) or 'mae'} is not a number; train it anew")
        return manifest

    def _check_new(self, entries: Sequence[RegistryEntry], manifest: Manifest) -> None:
        if any(e.version == manifest.version for e in entries):
            raise PromotionError(f"{manifest.version} is registered already; versions are never overwritten")
        others = {e.dataset for e in entries} - {manifest.dataset}
        if others:
            raise PromotionError(
                f"{self.models} holds models of {', '.join(sorted(others))}, not of {manifest.dataset}: one home serves"
                " one retailer; set SHELFOPS_HOME to another directory"
            )

    def _crown(self, entries: Sequence[RegistryEntry], version: str, reason: str) -> ChampionPointer:
        after = succession.crowned(entries, version, self._who(), reason)
        self._write(after)
        pointer = self._settle(after)
        if pointer is None:
            raise PromotionError("no champion after a promotion; the registry is inconsistent")
        return pointer

    def _settle(self, entries: Sequence[RegistryEntry]) -> ChampionPointer | None:
        """Write what follows from the registry to champion.json, unless it is there. Call under the lock."""
        pointer = succession.pointer_of(entries)
        if pointer is not None and pointer != self._pointer_file():
            write_json(self.models / CHAMPION, json.loads(pointer.model_dump_json()))
        return pointer

    def _pointer_file(self) -> ChampionPointer | None:
        """What champion.json says; None where it is missing or cannot be read, which is settled alike."""
        path = self.models / CHAMPION
        try:
            return ChampionPointer.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _who(self) -> str:
        return self.by or system_user()

    def _write(self, entries: Sequence[RegistryEntry]) -> None:
        write_json(self.models / REGISTRY, [json.loads(e.model_dump_json()) for e in entries])


def system_user() -> str:
    """The name of the user whose process this is; in a container that has no name for it, its number."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # KeyError: Python 3.12 and before, where the password database has no entry
        return f"uid {os.getuid()}"
