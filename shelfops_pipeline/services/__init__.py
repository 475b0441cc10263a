"""The processes of the laptop stack: starting, watching and stopping them, and saying what is missing."""
