"""The YAML of a mapping: what is accepted, and what is said of the rest."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from shelfops_pipeline.contracts.columns import Grain
from shelfops_pipeline.data.mapping import (
    Holidays,
    Mapping,
    Plan,
    Query,
    Rules,
    Table,
    Transactions,
    dump_mapping,
    load_mapping,
)
from shelfops_pipeline.data.text_format import Format
from shelfops_pipeline.errors import DataError

COLUMNS = {"ts": "Datum", "store_id": "Filiale", "item_id": "Artikel", "quantity": "Menge"}
Content = dict[str, Any]


@pytest.fixture
def content() -> Content:
    return {"name": "laden", "transactions": {"files": "*.csv", "columns": dict(COLUMNS)}}


@pytest.fixture
def complaint(tmp_path: Path) -> Callable[[Content], str]:
    def refuse(content: Content) -> str:
        path = tmp_path / "laden.yaml"
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(DataError) as caught:
            load_mapping(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


def test_the_least_mapping_is_daily_units_in_iso(content: Content, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(content))
    mapping = load_mapping(tmp_path / "m.yaml")
    assert mapping.grain is Grain.DAY
    assert mapping.quantity_column == "quantity"
    assert mapping.transactions.format == Format()


def test_a_mapping_survives_being_written_and_read(content: Content, tmp_path: Path) -> None:
    content |= {"grain": "week", "start_date": "2024-01-01", "holidays": [{"country": "AT", "region": 9}]}
    content["transactions"]["format"] = {"separator": "\t", "thousands": " ", "decimal": ","}
    content["transactions"]["columns"] |= {"store_id": {"value": "web"}}
    content["known_future"] = [{"files": "p.csv", "absence": "zero", "columns": {"date": "d", "on_promotion": "p"}}]
    mapping = Mapping.model_validate(content)
    assert mapping.transactions.format.separator == "\t"
    assert mapping.transactions.format.thousands == " "
    assert mapping.holidays[0].region == "9"
    path = tmp_path / "m.yaml"
    path.write_text(dump_mapping(mapping), "utf-8")
    assert load_mapping(path) == mapping


def test_norway_needs_no_quotes(content: Content) -> None:
    content["holidays"] = yaml.safe_load("[{country: NO}]")
    assert Mapping.model_validate(content).holidays[0].country == "NO"


def test_a_plan_may_be_given_as_a_table(content: Content) -> None:
    mapping = Mapping.model_validate(content)
    table = Table(files="p.csv", columns={"date": "d", "price": "p"})
    assert Mapping(**(dict(mapping) | {"known_future": (table,)})).known_future[0].absence == "missing"


TABLE = {"files": "x.csv", "columns": {"date": "d", "price": "p"}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nane": "x"}, "nane: Extra inputs are not permitted"),
        ({"name": "Mein Laden"}, "name: "),
        ({"grain": "month"}, "grain: "),
        ({"transactions": {"columns": COLUMNS}}, "transactions: say either `files` or `sql`"),
        ({"transactions": {"files": "x", "columns": {"ts": "d"}}}, "columns.store_id is not mapped"),
        (
            {"transactions": {"files": "x", "columns": COLUMNS | {"colour": "c"}}},
            "columns.colour is unknown; known: ts",
        ),
        ({"transactions": {"files": "x", "columns": COLUMNS | {"Größe": "c"}}}, "'Größe' cannot be a name here"),
        ({"transactions": {"files": "x", "rows": "week", "columns": COLUMNS}}, "a week cannot be split into days"),
        (
            {"rules": {"unique_key": ["ts", "Filiale"]}},
            "rules.unique_key: Filiale is none of the mapped columns: item_id, ",
        ),
        ({"rules": {"unique_key": ["store_id", "item_id"]}}, "rules.unique_key: ts is missing"),
        ({"rules": {"item_pattern": "K("}}, "rules.item_pattern: 'K(' is no regular expression: missing ), "),
        ({"target": "revenue"}, "columns.revenue is not mapped"),
        ({"stores": {"files": "x", "columns": {"city": "c"}}}, "stores: columns.store_id is not mapped"),
        ({"inventory": {"files": "x", "columns": {"date": "d"}}}, "inventory: columns.store_id is not mapped"),
        ({"calendar": {"files": "x", "columns": {"date": "d"}}}, "calendar: columns.name is not mapped"),
        ({"known_future": [TABLE | {"absence": "zero"}]}, "nothing is free for want of a row"),
        ({"known_future": [{"files": "x", "columns": {"date": "d"}}]}, "known_future.0: no column besides date"),
        ({"known_future": [{"files": "x", "columns": {"price": "p"}}]}, "known_future.0: columns.date is not mapped"),
        (
            {"known_future": [{"files": "x", "columns": {"date": "d", "quantity": "p"}}]},
            "columns.quantity cannot be a covariate",
        ),
        ({"past": [TABLE]}, "past: columns.price belongs in known_future"),
        (
            {
                "past": [{"files": "x", "columns": {"date": "d", "rain": "r"}}],
                "known_future": [{"files": "x", "columns": {"date": "d", "rain": "r"}}],
            },
            "past: columns.rain is in known_future too",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    change: Content, words: str, content: Content, complaint: Callable[[Content], str]
) -> None:
    text = complaint(content | change)
    assert "laden.yaml" in text
    assert words in text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"encoding": "utf-9"}, "unknown encoding 'utf-9'"),
        ({"encoding": "hex"}, "unknown encoding 'hex'"),
        ({"timezone": "Europe/Wien"}, "unknown time zone 'Europe/Wien'; use an IANA name"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"separator": '"'}, "separator and quote are both"),
        ({"separator": ";;"}, "at most 1 character"),
        ({"separator": "¦"}, "separator '¦' is not ASCII"),
    ],
)
def test_a_format_that_contradicts_itself_is_refused(
    form: Content, words: str, content: Content, complaint: Callable[[Content], str]
) -> None:
    content["transactions"]["format"] = form
    assert words in complaint(content)


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "not valid YAML"), ("- a\n", "shelfops onboard DIR --out laden.yaml"), ("", "a mapping is expected")],
)
def test_what_is_no_mapping_is_told_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "laden.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        load_mapping(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_mapping(tmp_path / "nowhere.yaml")


DOC = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text("utf-8")


def test_the_example_of_the_documentation_is_a_mapping(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOC, flags=re.DOTALL)
    (tmp_path / "laden.yaml").write_text(example, "utf-8")
    mapping = load_mapping(tmp_path / "laden.yaml")
    unused = {name for name in Mapping.model_fields if not getattr(mapping, name)}
    assert unused == {"start_date"}


@pytest.mark.parametrize("model", [Mapping, Transactions, Plan, Format, Query, Holidays, Rules])
def test_every_entry_of_a_mapping_is_documented(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in DOC] == []
