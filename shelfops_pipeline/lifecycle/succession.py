"""What a change does to the entries of the registry. Entries in, entries out; reading and writing are `registry`'s."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shelfops_pipeline.contracts.bundle import ChampionPointer, ColdStartChampion, RegistryEntry, StatusChange
from shelfops_pipeline.contracts.columns import Status, Tier

Entries = Sequence[RegistryEntry]


def moment(entries: Entries) -> datetime:
    """Now, and later than every change before: the order of changes holds although hosts' clocks differ."""
    latest = max((change.at for e in entries for change in e.history), default=None)
    now = datetime.now(UTC)
    return now if latest is None or now > latest else latest + timedelta(microseconds=1)


def changed(entry: RegistryEntry, status: Status, at: datetime, by: str, reason: str) -> RegistryEntry:
    """The entry with one more change in its history."""
    change = StatusChange(status=status, at=at, by=by, reason=reason)
    update = {"status": status, "reason": reason, "history": (*entry.history, change)}
    return entry.model_copy(update=update)


def crowned(entries: Entries, version: str, by: str, reason: str) -> list[RegistryEntry]:
    """A version made champion; the tier's champion before it is archived."""
    at = moment(entries)
    (tier,) = (e.feature_tier for e in entries if e.version == version)
    out = []
    for entry in entries:
        if entry.version == version:
            entry = changed(entry, Status.CHAMPION, at, by, reason)
        elif entry.feature_tier is tier and entry.status is Status.CHAMPION:
            entry = changed(entry, Status.ARCHIVED, at, by, f"succeeded by {version}")
        out.append(entry)
    return out


def champion_of(entries: Entries, tier: Tier) -> RegistryEntry | None:
    """The tier's champion, or None."""
    held = [e for e in entries if e.feature_tier is tier and e.status is Status.CHAMPION]
    return held[-1] if held else None


def predecessor(entries: Entries, tier: Tier) -> str | None:
    """The version that a rollback of the tier returns to, or None.

    Champions form a line: a new one is put at its end, and one that serves again cuts off what came after it. So a
    second rollback goes further back, never to the version that the first one left.
    """
    reigns = sorted(
        (change.at, e.version)
        for e in entries
        for change in e.history
        if e.feature_tier is tier and change.status is Status.CHAMPION
    )
    line: list[str] = []
    for _, version in reigns:
        line = [*line[: line.index(version)], version] if version in line else [*line, version]
    return line[-2] if len(line) > 1 else None


def pointer_of(entries: Entries) -> ChampionPointer | None:
    """The production champion and, beside it, the cold-start one; alone, the cold-start one serves everything."""
    cold = champion_of(entries, Tier.COLD_START)
    main = champion_of(entries, Tier.PRODUCTION) or cold
    if main is None:
        return None
    beside = None
    if cold is not None and cold.version != main.version:
        beside = ColdStartChampion(version=cold.version, feature_tier=cold.feature_tier, mae=cold.mae)
    return ChampionPointer(
        version=main.version,
        feature_tier=main.feature_tier,
        dataset=main.dataset,
        mae=main.mae,
        cold_start=beside,
        promoted_at=max(_crowned_at(e) for e in (main, cold) if e is not None),
    )


def _crowned_at(champion: RegistryEntry) -> datetime:
    reigns = [change.at for change in champion.history if change.status is Status.CHAMPION]
    return max(reigns, default=champion.created_at)
