"""Dagster objects only: what runs, on what, when. The work itself is in the domain rooms."""

import warnings

from dagster import BetaWarning

# Single-run backfills and dagster-pandera are beta in the pinned release; the pins keep them as they were tested.
warnings.filterwarnings("ignore", category=BetaWarning)
