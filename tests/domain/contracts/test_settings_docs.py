"""docs/settings.md: current, with every variable that the packages read."""

import re
import runpy
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from shelfops_api.settings import ApiSettings
from shelfops_pipeline.settings import Settings

ROOT = Path(__file__).parents[3]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "settings_docs.py"))


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == SCRIPT["render"](), "run `make docs`"


@pytest.mark.parametrize("settings", [Settings, ApiSettings])
def test_every_variable_has_a_row(settings: type[BaseSettings]) -> None:
    listed = re.findall(r"^\| `(SHELFOPS_\w+)` \|", SCRIPT["render"](), flags=re.MULTILINE)
    assert set(SCRIPT["variables"](settings)) <= set(listed)


def test_secrets_are_called_secret() -> None:
    assert re.search(r"`SHELFOPS_DATABASE_URL` \|[^|]+\| secret \|", SCRIPT["render"]())
