"""Features: arrays in, arrays out, no I/O."""
