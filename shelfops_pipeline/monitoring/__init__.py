"""How the champion does once it serves: forecasts as issued, their scores, a challenger in its shadow, drift."""
