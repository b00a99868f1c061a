"""Simulated measurements with planted changes, and what the gate says of them."""
