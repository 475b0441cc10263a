"""`shelfops orders` and `shelfops flags`, as a planner types them."""

import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from shelfops_pipeline.cli import app
from shelfops_pipeline.errors import ShelfOpsError
from shelfops_pipeline.services.console import console
from shelfops_pipeline.services.warehouse import warehouse_engine
from shelfops_pipeline.settings import Settings
from shelfops_pipeline.store.engine import url_string
from shelfops_pipeline.store.item_flags import flag_events
from shelfops_pipeline.store.orders import list_orders
from shelfops_pipeline.store.propose import propose_orders
from shelfops_pipeline.store.reorder import replace_plan

DAY = date(2025, 3, 3)
Shell = Callable[..., str]


@pytest.fixture
def shell(warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Runs a command on a warehouse in which two suppliers have an order proposed."""
    lines = {
        "store_id": ["s1", "s1", "s2"],
        "item_id": ["milk", "=eggs", "bread"],
        "supplier_id": ["dairy/../x", "dairy/../x", "bakery"],
        "order_date": [DAY] * 3,
        "quantity": [12.0, 30.0, 6.0],
        "unit_cost": [1.5, 0.2, 1.0],
        "reason": ["case_pack"] * 3,
    }
    propose_orders(warehouse, "simulated", "v1", lines, today=DAY)
    monkeypatch.setattr(console, "width", 200)
    before = dict(os.environ)
    os.environ |= {"SHELFOPS_DATABASE_URL": url_string(warehouse.url), "SHELFOPS_HOME": str(tmp_path / "home")}
    os.environ |= {"SHELFOPS_USER": "ann"}

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    yield run
    os.environ.clear()
    os.environ |= before


def the(engine: Engine, supplier: str) -> str:
    (order,) = list_orders(engine, "simulated", supplier_id=supplier)
    return order.order_id


def test_an_order_is_looked_at_edited_accepted_and_every_step_is_shown(shell: Shell, warehouse: Engine) -> None:
    order = the(warehouse, "dairy/../x")
    assert order in shell("orders", "list", "--status", "proposed")
    shell("orders", "edit", order, "s1", "milk", "24", "--note", "a festival")
    with pytest.raises(ShelfOpsError, match="has changed since you saw it: revision 1 is now 2"):
        shell("orders", "accept", order, "--revision", "1")
    assert "is accepted by ann" in shell("orders", "accept", order, "--revision", "2")
    shown = shell("orders", "show", order)
    for said in (
        "case pack",
        "quantity 12.0 → quantity 24.0",
        "a festival",
        "status proposed → status accepted",
        "ann",
    ):
        assert said in shown
    with pytest.raises(ShelfOpsError, match="is accepted already, by ann"):
        shell("orders", "reject", order)


def test_an_empty_list_says_why(shell: Shell, warehouse: Engine) -> None:
    def told() -> str:
        with pytest.raises(ShelfOpsError) as error:
            shell("orders", "list", "--supplier", "nobody")
        return str(error.value)

    ids = {"store_id": ["s1", "s1"], "item_id": ["milk", "bread"], "reason": ["stock_unknown"] * 2}
    assert "as `shelfops train` does" in told()
    replace_plan(warehouse, "v1", ids)
    assert "of none of the 2 series is the stock known; map `inventory`" in told()
    replace_plan(warehouse, "v1", ids | {"on_hand": [3.0, float("nan")]})
    assert told() == "no such order"


def test_a_day_is_exported_as_a_file_per_supplier_that_stays_in_its_directory(
    shell: Shell, warehouse: Engine, tmp_path: Path
) -> None:
    with pytest.raises(ShelfOpsError, match="no order for 2025-03-03 is accepted"):
        shell("orders", "export", "--day", str(DAY), "--out", str(tmp_path / "out"))
    for supplier in ("dairy/../x", "bakery"):
        shell("orders", "accept", the(warehouse, supplier))
    shell("orders", "export", "--day", str(DAY), "--out", str(tmp_path / "out"))
    files = {p.name: p.read_text() for p in (tmp_path / "out").rglob("*")}
    assert set(files) == {"orders_2025-03-03_001_bakery.csv", "orders_2025-03-03_002_dairy_x.csv"}
    assert ",'=eggs,30,0.2," in files["orders_2025-03-03_002_dairy_x.csv"]
    assert ",bread,6,1," in shell("orders", "export", the(warehouse, "bakery"))


def test_flags_are_set_listed_and_cleared(shell: Shell, warehouse: Engine) -> None:
    shell("flags", "set", "milk", "--like", "bread", "--discontinued", "--note", "season over")
    listed = shell("flags", "list")
    for said in ("milk", "bread", "every", "yes", "ann", "season over"):
        assert said in listed
    shell("flags", "set", "milk", "--store", "s1", "--continued")
    shell("flags", "clear", "milk")
    assert [e.action for e in flag_events(warehouse, "simulated")] == ["cleared", "set", "set"]
    history = shell("flags", "list", "--history", "--item", "milk")
    for said in ("cleared", "discontinued: True", "like item: bread", "season over", "ann", "s1"):
        assert said in history
    with pytest.raises(ShelfOpsError, match="has no flag of milk that holds for every store"):
        shell("flags", "clear", "milk")


def test_a_look_at_a_home_that_nobody_began_does_not_begin_it(tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    with pytest.raises(ShelfOpsError, match=f"there is no {home} yet"), warehouse_engine(Settings(home=home)):
        pass
    assert not home.exists()
