"""The record of a run on disk: plain files, readable with pandas alone."""
