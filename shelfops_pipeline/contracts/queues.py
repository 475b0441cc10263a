"""Celery's queues, by the names that runs, workers and processes on one machine agree on."""

from typing import Final

ML: Final = "ml"
"""Heavy steps: training, backtests, explanations, forecasts."""
DEFAULT: Final = "dagster"
"""All others."""
