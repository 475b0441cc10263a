"""Why a training ran: the words of the tag `trigger`, the same in Dagster, in MLflow and in the fallback files."""

from enum import StrEnum
from typing import Final

TRIGGER: Final = "trigger"
"""The tag of a run."""


class Trigger(StrEnum):
    """Who asked for it. A run without the tag was started by a person."""

    MANUAL = "manual"
    WEEKLY = "weekly"
    DRIFT = "drift"
    NEW_DATA = "new_data"
    API = "api"

    @property
    def tags(self) -> dict[str, str]:
        """Of the run that it starts; plain text, for Dagster cannot send an enum from process to process."""
        return {TRIGGER: self.value}
