"""Experiment tracking: MLflow where it answers, a JSON file where it does not, and the replay between them."""
