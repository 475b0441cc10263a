"""Hyperparameters: searched on windows that lie before everything that a backtest scores."""
