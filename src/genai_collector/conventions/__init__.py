"""Attribute vocabularies: one file per vocabulary found inside spans. Pure functions.

read_observation(span) -> Observation
"""
