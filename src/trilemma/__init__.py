"""Trilemma: quality, diversity and speed of image generators, measured in one run."""

__version__ = "0.1.0"
