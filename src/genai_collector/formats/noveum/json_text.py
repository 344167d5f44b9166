"""JSON text of Noveum's records."""

from __future__ import annotations

import orjson

from genai_collector.formats.json_text import dumps, slow_dumps
from genai_collector.model import Value


def dump_record(record: dict[str, Value]) -> bytes:
    """`dumps` for a record, which has many nulls where everybody expects them."""
    attributes = record.get("attributes")
    if isinstance(attributes, dict):
        try:
            text = orjson.dumps(record)
        except (TypeError, RecursionError):
            return slow_dumps(record)
        # As many nulls as there are None at the top: so none of them was a NaN.
        metadata = attributes.get("metadata")
        known = list(attributes.values()).count(None)
        if isinstance(metadata, dict):
            known += list(metadata.values()).count(None)
        if text.count(b"null") == known:
            return text
    return dumps(record)
