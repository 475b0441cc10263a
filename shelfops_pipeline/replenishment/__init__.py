"""From a forecast to what to order, and what to warn about."""
