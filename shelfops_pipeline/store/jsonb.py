"""Values as JSON that PostgreSQL takes."""

import json
import math
from collections.abc import Mapping
from typing import Any

REPLACEMENT = "\ufffd"
"""Stands for the NUL character, which PostgreSQL cannot store in a text or in JSON."""


def to_json(row: Mapping[str, Any]) -> str:
    """`row` as JSON text; dates and the like as their text."""
    return json.dumps(clean(row), default=str, ensure_ascii=False)


def clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """`row` without what JSON or PostgreSQL lacks: NaN and infinity become null, NUL becomes U+FFFD."""
    return {storable(str(key)): storable(value) for key, value in row.items()}


def storable(value: Any) -> Any:
    """One value of such a row."""
    if isinstance(value, str):
        return value.replace("\x00", REPLACEMENT)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
