"""Runs and versions against each other, over time."""
