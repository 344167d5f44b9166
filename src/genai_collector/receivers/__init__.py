"""Doors in: each takes one protocol and hands batches to the pipelines."""
