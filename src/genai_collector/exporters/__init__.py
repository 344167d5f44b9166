"""Doors out: one file per kind of destination. `components.py` lists their factories."""
