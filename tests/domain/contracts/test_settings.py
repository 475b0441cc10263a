"""Settings that contradict each other are refused."""

import pytest
from pydantic import ValidationError

from shelfops_pipeline.settings import Settings


def test_accepted_orders_are_kept_for_as_long_as_they_may_count_as_on_order() -> None:
    assert Settings(history_days=15, count_days=14).history_days == 15
    assert Settings(history_days=None, count_days=400).history_days is None
    with pytest.raises(ValidationError, match="below SHELFOPS_HISTORY_DAYS: accepted orders are deleted after 14 days"):
        Settings(history_days=14)
