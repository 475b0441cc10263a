"""What crosses a boundary between rooms, processes or releases. Pydantic and plain constants; no pandas."""
