"""Fitting, exporting and storing the models of a tier."""
