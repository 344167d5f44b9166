"""Metadata of observations and traces (section 3.12)."""

from __future__ import annotations

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    parse_payload,
    truthy,
)
from genai_collector.model import Scope


def user_metadata(reading: Reading, own_prefix: str) -> dict[str, JSON]:
    """What the user put under `own_prefix` or the common prefixes: one JSON object, or key by
    key; the single keys win."""
    if not reading.bits & keys.METADATA:
        return {}
    attributes = reading.attributes
    found = _whole(attributes, own_prefix)
    for key in reading.plan.metadata:
        for prefix in (own_prefix, keys.COMMON_METADATA, keys.AI_METADATA):
            name = key[len(prefix) + 1 :]
            if name and key.startswith(prefix + "."):
                found[name] = attributes[key]
    return found


def _whole(attributes: PlainAttributes, own_prefix: str) -> dict[str, JSON]:
    value = attributes.get(own_prefix)
    if not truthy(value):
        value = attributes.get(keys.COMMON_METADATA)
    parsed = parse_payload(value)
    if isinstance(parsed, list):
        return {str(at): item for at, item in enumerate(parsed)}
    return dict(parsed) if isinstance(parsed, dict) else {}


def scope_metadata(scope: Scope, attributes: PlainAttributes) -> dict[str, JSON]:
    """The instrumentation scope, as far as it says anything of itself."""
    described: dict[str, JSON] = {}
    if scope.name:
        described["name"] = scope.name
    if scope.version:
        described["version"] = scope.version
    if scope.dropped_attributes_count:
        described["droppedAttributesCount"] = scope.dropped_attributes_count
    described["attributes"] = dict(attributes)
    return described
