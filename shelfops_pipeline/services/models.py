"""What `shelfops models` does, behind `cli.models`."""

from rich.markup import escape
from rich.table import Table

from shelfops_pipeline.contracts.bundle import ChampionPointer
from shelfops_pipeline.contracts.columns import Status, Tier
from shelfops_pipeline.errors import BundleError, PromotionError, ShelfOpsError
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.console import console
from shelfops_pipeline.settings import Settings

_CHAMPION_ALIAS = "champion"


def list_models(settings: Settings) -> None:
    """`shelfops models list`."""
    entries = Registry.of(settings).entries()
    if not entries:
        raise ShelfOpsError(f"no model in {settings.models} yet; train one with `shelfops train` or `shelfops demo`")
    table = _table("version", "tier", "status", "MAE", "created", "reason")
    for e in entries:
        when = f"{e.created_at:%Y-%m-%d %H:%M}"
        style = "bold" if e.status is Status.CHAMPION else None
        table.add_row(e.version, e.feature_tier, e.status, f"{e.mae:.4g}", when, escape(e.reason), style=style)
    console.print(table)


def show_model(settings: Settings, version: str) -> None:
    """`shelfops models show`."""
    registry = Registry.of(settings)
    entry = registry.entry(version)
    manifest = registry.check(entry)
    console.print(f"[bold]{version}[/] ({entry.feature_tier}, {entry.status}): {escape(entry.reason)}")
    table = Table(show_header=False)
    table.add_row("folder", escape(str(settings.models / version)))
    table.add_row("trained on", f"{manifest.dataset}, {manifest.training_start} to {manifest.training_cutoff}")
    table.add_row("horizon", f"{manifest.horizon} {manifest.grain}s")
    table.add_row("features", f"{len(manifest.features)}: {', '.join(f.name for f in manifest.features[:8])}, ...")
    for name, value in manifest.metrics.items():
        table.add_row(name, "undefined" if value is None else f"{value:.4g}")
    table.add_row("files", f"{len(manifest.sha256)} match their checksums")
    console.print(table)
    history = _table("when", "status", "by", "why", title="history")
    for change in entry.history:
        history.add_row(f"{change.at:%Y-%m-%d %H:%M:%S}", change.status, escape(change.by), escape(change.reason))
    console.print(history)


def compare_models(settings: Settings, first: str, second: str) -> None:
    """`shelfops models compare`."""
    from shelfops_pipeline.lifecycle.compare import Comparison, compare

    registry = Registry.of(settings)
    entries = [registry.entry(version) for version in (first, second)]
    found: Comparison = compare(*(settings.models / e.version for e in entries))
    console.print("    ".join(f"[bold]{e.version}[/]: {e.feature_tier}, {e.status}" for e in entries))
    if found.note:
        console.print(f"[yellow]scores:[/] {escape(found.note)}", highlight=False)
    if found.scores:
        table = _table("fold", "metric", first, second, "change", title=f"scores on {len(found.folds)} common folds")
        for origin, metric, a, b in found.scores:
            table.add_row(origin, metric, *_cells(metric, a, b), style="bold" if origin == "all" else None)
        console.print(table)
    _tell_differences(found.parameters, first, second)
    table = _table("file", first, second, "", title="files")
    for name, size, other, same in found.files:
        table.add_row(name, _size(size), _size(other), "same" if same else "differs")
    console.print(table)


def promote_model(settings: Settings, version: str, reason: str) -> None:
    """`shelfops models promote`."""
    registry = Registry.of(settings)
    pointer = registry.promote(version, reason)
    _tell_champion(settings, pointer, version)


def rollback_model(settings: Settings, tier: Tier | None, reason: str) -> None:
    """`shelfops models rollback`."""
    registry = Registry.of(settings)
    able = [t for t in Tier if registry.predecessor(t) is not None]
    if tier is None and len(able) > 1:
        raise PromotionError(f"{' and '.join(able)} both have an earlier champion; say which with --tier")
    chosen = tier or next(iter(able), Tier.PRODUCTION)
    left = registry.champion_of(chosen)
    pointer = registry.rollback(chosen, reason if left is None else f"{reason} (was {left})")
    version = registry.champion_of(chosen)
    console.print(f"{chosen} tier: back from {left} to [bold]{version}[/]")
    _tell_champion(settings, pointer, str(version))


def verify_models(settings: Settings) -> None:
    """`shelfops models verify`: exits 1 when a version cannot serve, or nobody can tell which one does."""
    from shelfops_pipeline.lifecycle.audit import audit

    registry = Registry.of(settings)
    if not registry.entries() and registry.is_settled():
        raise ShelfOpsError(f"no model in {settings.models} yet; train one with `shelfops train` or `shelfops demo`")
    found = audit(registry)
    table = _table("", "what", "found")
    for finding in found:
        table.add_row("[green]✓" if finding.ok else "[red]✗", finding.what, escape(finding.detail))
    console.print(table)
    bad = [finding for finding in found if not finding.ok]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise BundleError(f"{bad[0].what}: {bad[0].detail}{more}")


def _tell_champion(settings: Settings, pointer: ChampionPointer, version: str) -> None:
    """Say what serves now, also on the page of the latest run, and move MLflow's alias along with it."""
    from shelfops_pipeline.lifecycle.run_page import write_run_pages
    from shelfops_pipeline.tracking.track import set_alias

    entry = Registry.of(settings).entry(version)
    console.print(f"champion: [bold]{pointer.release}[/]; publish its forecasts with the `publish` job (`shelfops up`)")
    try:
        write_run_pages(settings.reports, settings.models)
    except BundleError as error:  # of a damaged version, from which one may just have rolled back
        console.print(f"[yellow]the page of the latest run was not written again[/]: {escape(str(error))}")
    if not set_alias(settings, entry.dataset, entry.feature_tier, version, _CHAMPION_ALIAS):
        console.print(f"[yellow]MLflow's alias champion was not moved to {version}[/]: it is away, or has no such run")


def _tell_differences(differing: list[tuple[str, object, object]], first: str, second: str) -> None:
    if not differing:
        console.print("parameters: all the same")
        return
    table = _table("parameter", first, second, title="parameters that differ")
    for name, a, b in differing:
        table.add_row(name, *("–" if value is None else escape(str(value)) for value in (a, b)))
    console.print(table)


def _cells(metric: str, a: float, b: float) -> tuple[str, str, str]:
    from shelfops_pipeline.charts.numbers import SHARES, metric_value, percent

    change = percent(b - a, signed=True) if metric in SHARES else percent(b / a - 1 if a else None, signed=True)
    return metric_value(metric, a), metric_value(metric, b), change


def _size(size: int | None) -> str:
    return "–" if size is None else f"{size:,}"


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name)
    return table
