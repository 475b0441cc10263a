"""Scoring: metrics, baselines, and the rolling-origin backtest."""
