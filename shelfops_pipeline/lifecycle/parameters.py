"""What a version was trained with, as flat names and values."""

from collections.abc import Mapping
from typing import Any

from shelfops_pipeline.contracts.bundle import Manifest


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested settings as `outer.inner`; lists in one line."""
    found: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else value
    return found


def parameters(manifest: Manifest) -> dict[str, object]:
    """The recipe, the data and the libraries of a version: all in which two trainings can differ."""
    return {
        "trained from": manifest.training_start,
        "trained to": manifest.training_cutoff,
        "horizon": manifest.horizon,
        "features": len(manifest.features),
        **flat(manifest.recipe),
        "seed": manifest.seed,
        **{f"library {name}": version for name, version in manifest.library_versions.items()},
    }
