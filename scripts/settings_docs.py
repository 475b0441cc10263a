"""Write docs/settings.md from the settings classes. `make docs` runs it; a test holds the page current."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

INTRO = """\
# Settings

Generated from `shelfops_pipeline/settings.py` and `shelfops_api/settings.py` by `make docs`; a test fails when this
page is not current.

Settings come from environment variables; nothing else in the packages reads the environment. Flags of the command line
stand above them. An empty variable counts as unset. Secret values are never printed or logged.

`SHELFOPS_HOME` holds everything that a retailer's deployment makes (`artifacts/`, `models/`, `reports/`, the embedded
database): one home per retailer. `SHELFOPS_DEBUG=1`, like the flag `--debug`, makes the command line show the traceback
of an error.

"""


def render() -> str:
    """The page."""
    return INTRO + "\n".join(
        ["## Pipeline and command line\n", *_table(Settings), "", "## API\n", *_table(ApiSettings), ""]
    )


def variables(settings: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Environment variable -> field."""
    prefix = settings.model_config["env_prefix"]
    return {f"{prefix}{name.upper()}": field for name, field in settings.model_fields.items()}


def _table(settings: type[BaseSettings]) -> Iterator[str]:
    yield "| variable | meaning | type | default |"
    yield "|---|---|---|---|"
    for name, field in variables(settings).items():
        cells = (f"`{name}`", field.description or "", type_name(field), _default(field.default))
        yield f"| {' | '.join(cells)} |".replace("<", "&lt;")


def type_name(field: FieldInfo) -> str:
    """What may be written into the variable."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
    if get_origin(field.annotation) is Literal:
        return " / ".join(map(str, kinds))
    pattern = next((m.pattern for m in field.metadata if getattr(m, "pattern", None)), None)
    if pattern is not None:
        return str(pattern).strip("^()$").replace("|", " / ")
    return _plain(kinds[0]) + _bounds(field)


def _plain(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " / ".join(str(member.value) for member in kind)
    names = {SecretStr: "secret", Path: "path", str: "text", int: "whole number", float: "number"}
    return str(names.get(kind, kind.__name__))


def _bounds(field: FieldInfo) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [f"{words[k]} {v:g}" for m in field.metadata for k in words if (v := getattr(m, k, None)) is not None]
    return f", {', '.join(found)}" if found else ""


def _default(value: object) -> str:
    if value is None:
        return "unset"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def main() -> None:
    PAGE.write_text(render())


if __name__ == "__main__":
    main()
