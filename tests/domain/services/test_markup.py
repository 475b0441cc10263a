"""What commands print of a retailer's data is text: a store called [/b] is no markup, and [new] is not swallowed."""

from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from shelfops_pipeline.contracts.columns import SCORE_COLUMNS
from shelfops_pipeline.services.console import worst_groups_view
from shelfops_pipeline.services.ingest import quarantine_table
from shelfops_pipeline.store.records import QuarantinedRow, QuarantineView
from tests.support import shelfops

Call = Callable[..., tuple[int, str, str]]


def test_a_quarantined_row_is_shown_as_it_came() -> None:
    row = {"store_id": "[/b]", "item_id": "[new] 12", "quantity": None}
    view = QuarantineView(
        (QuarantinedRow("2024-01-01", "a [1].csv", 7, "missing_id", row, "0" * 64),), {"missing_id": 1}
    )
    console = Console(file=StringIO(), width=200)
    console.print(quarantine_table(view, "shop"))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "store_id=[/b], item_id=[new] 12" in shown
    assert "a [1].csv:7" in shown


def test_a_group_without_any_baseline_names_none() -> None:
    rows = [
        ("served", "store", store, "ensemble", metric, value, 9, None)
        for store in ("[/a]", "b")
        for metric, value in (("wape", 0.2), ("bias", 0.0), ("coverage_90", 0.9))
    ]
    console = Console(file=StringIO(), width=120)
    console.print(worst_groups_view(pd.DataFrame(rows, columns=list(SCORE_COLUMNS)), "served", "store"))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[/a]" in shown
    assert "nan" not in shown


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`shelfops onboard` in an empty directory; (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return partial(shelfops, {}, "onboard")


def test_onboarding_shows_names_with_brackets(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data [old]"
    folder.mkdir()
    rows = [f"2024-02-{d:02},[/b],{i},{d % 5}" for d in range(1, 29) for i in ("[new] 1", "[new] 2")]
    (folder / "sales.csv").write_text("\n".join(["date,store,item,units", *rows]) + "\n")
    (folder / "stores.csv").write_text("store,kind\n[/a],x\n[/b],y\n[/c],y\n")
    (folder / "items.csv").write_text("item,group\n[new] 2,a\n[new] 3,b\n[new] 4,a\n[new] 5,b\n")
    code, out, err = call(folder.name, "--out", "[mine].yaml")
    assert code == 0, err
    assert "1 of them not in the reference: [new] 1" in " ".join(out.split())
    assert "shelfops onboard --check '[mine].yaml' --data 'data [old]'" in out
    assert call("--check", "[mine].yaml", "--data", folder.name)[1].splitlines()[-1].startswith("✓ [mine].yaml is fine")
