"""Reads the tensors of a pickle without executing anything in it."""
