"""Policies replayed on the simulated retailer, whose true demand is known: what an order policy is worth in money."""
