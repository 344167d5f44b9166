"""Events as bytes: the body of `POST /api/public/ingestion`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import orjson

from genai_collector.formats.langfuse.values import JSON


def encode_batch(
    events: Sequence[dict[str, JSON]], metadata: Mapping[str, JSON] | None = None
) -> bytes:
    """`{"batch":[...]}`, with `metadata` if there is any, on one line, written in one go: pieces
    that are joined afterwards cost twice the fresh memory, which is most of the cost. Raises
    ValueError for what no encoder can write."""
    batch: dict[str, object] = {"batch": list(events)}
    if metadata:
        batch["metadata"] = dict(metadata)
    return _dump(batch)


def dump_event(event: dict[str, JSON]) -> bytes:
    """One event as JSON. Raises ValueError for what no encoder can write."""
    return _dump(event)


def _dump(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # what orjson does not write: huge integers, lone surrogates, deep nesting
        pass
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError as exc:
        raise ValueError("nested too deep for JSON") from exc
