"""The standard's charts. Functions return figures; `charts.write` writes them."""
