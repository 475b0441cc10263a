"""The standard's charts. Functions return figures; `charts.write` writes them. Plotly is imported where it is used."""
