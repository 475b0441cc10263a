"""Files that live in the repository's root, and inside the package in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped_file(name: str) -> Path:
    """The path of `dagster.yaml`, `workspace.yaml` or `models/model_card_template.md`.

    In a checkout that is the file in the repository; in a wheel, its copy in `templates/`. Raises
    FileNotFoundError for a file that is in neither.
    """
    root = _PACKAGE.parent
    checkout = root / name
    if (root / "pyproject.toml").exists() and checkout.exists():
        return checkout
    packaged = _PACKAGE / "templates" / Path(name).name
    if packaged.exists():
        return packaged
    raise FileNotFoundError(f"{name} is neither in {root} nor in {packaged.parent}")
