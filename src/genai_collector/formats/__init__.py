"""Payload formats: decode(bytes) -> items and encode(items) -> bytes. Pure, one folder each."""
