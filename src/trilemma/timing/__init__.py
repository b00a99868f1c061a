"""Clocks, memory and the fixed unit of work that speed is measured in."""
