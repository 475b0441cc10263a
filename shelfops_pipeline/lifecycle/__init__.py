"""The life of a model version: registered, compared, promoted, documented."""
