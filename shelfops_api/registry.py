"""The model registry as the API sees it: a file that is only ever replaced whole."""

from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from shelfops_api.errors import Code, Problem
from shelfops_pipeline.contracts.bundle import RegistryEntry

REGISTRY: Final = "registry.json"
_ENTRIES: Final = TypeAdapter(tuple[RegistryEntry, ...])


def read_registry(models: Path) -> tuple[RegistryEntry, ...]:
    """Every version, oldest first; none where none was registered yet. Raises Problem for a file that is damaged."""
    try:
        return _ENTRIES.validate_json((models / REGISTRY).read_bytes())
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        detail = f"{REGISTRY} is damaged ({error.error_count()} errors); see `shelfops models verify`"
        raise Problem(Code.REGISTRY_DAMAGED, detail) from None
