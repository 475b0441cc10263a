"""Pandera models: what a table must look like where it crosses a validation gate."""
