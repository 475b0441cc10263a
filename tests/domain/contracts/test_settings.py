"""Settings that contradict each other are refused."""

import pytest
from pydantic import ValidationError

from shelfops_pipeline.services.stack import settings_environment
from shelfops_pipeline.settings import Settings


def test_accepted_orders_are_kept_for_as_long_as_they_may_count_as_on_order() -> None:
    assert Settings(history_days=15, count_days=14).history_days == 15
    assert Settings(history_days=None, count_days=400).history_days is None
    with pytest.raises(ValidationError, match="below SHELFOPS_HISTORY_DAYS: accepted orders are deleted after 14 days"):
        Settings(history_days=14)


def test_never_is_a_number_of_days_too_and_children_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPRESS_AFTER_DAYS", "HISTORY_DAYS", "RUN_DAYS"):
        monkeypatch.setenv(f"SHELFOPS_{name}", "never")
    settings = Settings()
    assert (settings.compress_after_days, settings.history_days, settings.run_days) == (None, None, None)
    monkeypatch.undo()
    for name, text in settings_environment(settings).items():
        monkeypatch.setenv(name, text)
    child = Settings()
    assert (child.compress_after_days, child.history_days, child.run_days) == (None, None, None)
