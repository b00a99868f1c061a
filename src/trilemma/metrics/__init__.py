"""Metrics of generated images: one file each, pure functions of numpy arrays."""
