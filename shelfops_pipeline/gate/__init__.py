"""The row gate: every transaction is accepted, or quarantined with a reason."""
