"""Rich output of the command line: progress of runs, tables of results."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from shelfops_pipeline.contracts.columns import LINE, ON_PROMOTION, OPEN, PRICE, SOURCE

if TYPE_CHECKING:
    import pandas as pd

    from shelfops_pipeline.contracts.columns import Tier
    from shelfops_pipeline.data.panel import Panel
    from shelfops_pipeline.gate.validation import ValidationResult

_PIPED_WIDTH: Final = 200
_SHOWN: Final = 5  # stores that are named
_THEN: Final = {
    ON_PROMOTION: "none is assumed after that",
    PRICE: "the last one is taken to hold",
    OPEN: "the last four weeks are taken to go on",
}


def _console(stderr: bool = False) -> Console:
    """What goes to a file or another program has no edge at which a table would have to be cut."""
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=_PIPED_WIDTH if piped and "COLUMNS" not in os.environ else None)


console = _console()
errors = _console(stderr=True)


@contextmanager
def step_progress(title: str) -> Iterator["StepBoard"]:
    """A live board of the steps of a run; a line for each thing that happens where the output is not a terminal."""
    columns = (_Mark(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=False, disable=not errors.is_terminal) as progress:
        board = StepBoard(progress, progress.add_task(f"[bold]{title}", total=1), title)
        yield board
        progress.update(board.title, completed=1)
        board.log(title, "done")


class _Mark(SpinnerColumn):
    """Before a step: at work, done or failed."""

    def render(self, task: Task) -> RenderableType:
        return Text("✗", style="red") if task.fields.get("failed") else super().render(task)


class StepBoard:
    """Steps as they start and finish."""

    def __init__(self, progress: Progress, title: TaskID, name: str) -> None:
        self._progress, self.title, self._name = progress, title, name
        self._tasks: dict[str, TaskID] = {}
        self._began = time.monotonic()
        self.log(name, "started")

    def report(self, step: str, what: str) -> None:
        """See `pipeline.Report`."""
        if step not in self._tasks and what != "started":
            return  # what is said of steps that never ran
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(f"  {step}", total=1)
        task = self._tasks[step]
        self.log(step, what)
        if what == "done":
            self._progress.update(task, completed=1, description=f"  {step}")
        elif what == "failed":
            self._progress.update(task, completed=1, description=f"  [red]{step} failed", failed=True)
        elif what != "started":
            self._progress.update(task, description=f"  {step} [dim]{what}")

    def say(self, what: str) -> None:
        """One line of progress without a step of its own."""
        self._progress.update(self.title, description=f"[bold]{what}")
        self.log(self._name, what)

    def log(self, step: str, what: str) -> None:
        """The same as a line of its own, with the time since the beginning, where there is no live board."""
        if self._progress.disable:
            passed = timedelta(seconds=round(time.monotonic() - self._began))
            errors.print(f"{passed} {step}: {what}", markup=False, highlight=False, soft_wrap=True)


def metrics_view(table: "pd.DataFrame", title: str) -> Table:
    """Models and baselines of each tier: WAPE, MAE, bias and coverage over all folds."""
    view = Table(title=title, title_justify="left")
    for name, justify in (("tier", "left"), ("model", "left"), ("WAPE", "right"), ("MAE", "right"), ("bias", "right")):
        view.add_column(name, justify=justify)  # type: ignore[arg-type]
    view.add_column("90 % coverage", justify="right")
    over_all = table[table["origin"] == "all"].pivot_table(
        index=["tier", "model"], columns="metric", values="value", sort=False, dropna=False
    )
    for (tier, model), row in zip(over_all.index.to_list(), over_all.to_dict("records"), strict=True):
        cells = [_percent(row.get("wape")), _number(row.get("mae")), _percent(row.get("bias"), sign=True)]
        style = "bold" if model == "ensemble" else None
        view.add_row(str(tier), str(model), *cells, _percent(row.get("coverage_90")), style=style)
    return view


def worst_groups_view(scores: "pd.DataFrame", tier: str, by: str, most: int = 5) -> Table | None:
    """The groups (stores, categories) with the largest WAPE of the ensemble, beside each one's best baseline; None
    where there are fewer than two groups to compare."""
    from shelfops_pipeline.charts.score_tables import beside_best_baseline, wide
    from shelfops_pipeline.charts.theme import ENSEMBLE

    table = beside_best_baseline(scores, tier, by)
    if len(table) < 2:
        return None
    others = [wide(scores, tier, by, metric)[ENSEMBLE] for metric in ("bias", "coverage_90")]
    view = Table(title=f"{by}: largest WAPE, {min(most, len(table))} of {len(table):,}", title_justify="left")
    for name, justify in ((by, "left"), ("rows", "right"), ("WAPE", "right")):
        view.add_column(name, justify=justify)  # type: ignore[arg-type]
    view.add_column("best baseline", no_wrap=True, min_width=19)
    for name in ("its WAPE", "bias", "coverage"):
        view.add_column(name, justify="right")
    for group, ours, theirs, who, n in table.head(most).itertuples(name=None):
        bias, coverage = (values.get(group) for values in others)
        cells = (
            _percent(ours),
            who if isinstance(who, str) else "–",
            _percent(theirs),
            _percent(bias, sign=True),
            _percent(coverage),
        )
        view.add_row(escape(str(group)), f"{n:,.0f}", *cells)
    return view


def _percent(value: float | None, sign: bool = False) -> str:
    return "–" if value is None or value != value else f"{100 * value:{'+' if sign else ''}.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:,.3g}"


def tell_refused(validation: "ValidationResult") -> None:
    """Say which rows the gate turned away, if any: none is dropped in silence."""
    from shelfops_pipeline.gate.quarantine import ORIGINAL

    bad, good = validation.quarantined, len(validation.valid)
    if bad.empty:
        return
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in validation.counts.items())
    source, line, original = bad[[SOURCE, LINE, ORIGINAL]].astype(object).iloc[0]
    first = escape(f"{source}:{line} {original}")
    console.print(
        f"[yellow]{len(bad):,} of {good + len(bad):,} rows refused[/]: {reasons}; the first is {first}. "
        "`shelfops ingest` keeps them all for `shelfops quarantine show`"
    )


def tell_plans(panel: "Panel", horizon: int) -> None:
    """Say which plans end before the forecast does, and what is assumed then."""
    for name, periods in panel.periods_ahead.items():
        if name not in panel.known_ahead:
            console.print(f"[yellow]{name}[/]: nothing is known ahead; the models do without it")
        elif periods < horizon:
            then = _THEN.get(name, "unknown after that")
            console.print(f"[yellow]{name}[/]: known for {periods} of {horizon} periods ahead; {then}")


def tell_closed(panel: "Panel") -> None:
    """Say which stores are taken for closed because nothing was heard of them: their forecasts are 0."""
    stores = panel.expected_closed
    if not stores:
        return
    some = ", ".join(stores[:_SHOWN]) + (f" and {len(stores) - _SHOWN:,} more" if len(stores) > _SHOWN else "")
    console.print(
        f"[yellow]{escape(some)}[/]: no sales in the last four weeks, taken for closed: the forecast is 0. If only "
        "their data are late, say in a plan that they are `open`"
    )


def tell_tuned(notes: "Mapping[Tier, str]") -> None:
    """Say, tier by tier, what was made of what `shelfops tune` had found."""
    for note in notes.values():
        console.print(escape(note), highlight=False)
