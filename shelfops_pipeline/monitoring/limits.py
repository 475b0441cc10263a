"""Every threshold of the drift report. What they were measured on is in docs/monitoring.md."""

from typing import Final

from shelfops_pipeline.contracts.columns import Grain

# Inputs: the last few origins beside the training reference, feature by feature.
PSI: Final = 0.25
"""Population stability index: 0.1 is called a small change, 0.25 a large one (Siddiqi 2006)."""
KS: Final = 0.15
"""Kolmogorov and Smirnov's largest distance between two distributions, 0 to 1."""
BEYOND: Final = 2.0
"""A feature has drifted only if it is this many times as far from the whole reference as any window of it was: seasons
and features of a few stores make some windows lie far from the whole without anything being wrong."""
LEAST_FEATURES: Final = 2
"""So many features have to drift: one of a hundred may do so by chance."""
LEAST_VALUES: Final = 30
"""Fewer current values of a feature than this are not compared."""

# Errors: issued forecasts of the champion beside what its backtest promised, by block of the horizon.
JUDGED: Final = {Grain.DAY: 7, Grain.WEEK: 4}
"""Latest periods whose forecasts are judged."""
LEAST_PERIODS: Final = {Grain.DAY: 4, Grain.WEEK: 2}
"""Of these, so many must have been scored."""
LEAST_ROWS: Final = 100
"""Scored rows of a block; fewer are not judged."""
ERROR: Final = 1.75
"""WAPE over the backtest's."""
SPREADS: Final = 3.0
"""And outside of what the backtest's folds differ by: so many of their standard deviations from their mean."""
BIAS: Final = 0.25
"""Log of forecast over actual demand, less the backtest's: a quarter too much or too little."""

# Coverage of the 90 % interval.
COVERAGE: Final = 0.90
COVERED: Final = {Grain.DAY: 28, Grain.WEEK: 8}
"""Latest periods over which it is taken."""
MARGIN: Final = 0.06
"""Below 0.90 by more than this, and by more than so many standard errors between periods:"""
ERRORS: Final = 3.0
