"""Prediction, numpy only: shared by the asset graph, the command line and the API, so that they cannot differ."""
