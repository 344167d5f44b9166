"""Values of event bodies as span attributes that Langfuse reads back as what they were.

Langfuse takes text, numbers, booleans and lists of text as they are; maps it would show as their
OTLP wrapper (section 3.1), so they travel as JSON text, as its own SDKs send them.
"""

from __future__ import annotations

import math
import re
from typing import Final, cast

import orjson

from genai_collector.formats.langfuse.values import JSON, js_text
from genai_collector.model import Attributes, Value

_INT64: Final = 2**63
_NOT_AS_JAVASCRIPT: Final = re.compile(rb"[0-9](\.0[,\]}]|\.0$|[eE][+-]?[0-9])")


def json_text(value: JSON) -> str:
    """JSON text as JavaScript writes it."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits
        return js_text(value)
    # orjson agrees with JavaScript except on floats that are whole or have an exponent. To look for
    # floats is cheaper than to look through all text for what is written like one.
    if _may_have_float(value) and _NOT_AS_JAVASCRIPT.search(text):
        return js_text(value)
    return text.decode()


def _may_have_float(value: JSON) -> bool:
    if not isinstance(value, (dict, list)):
        return type(value) is float
    for item in value.values() if isinstance(value, dict) else value:
        kind = type(item)
        if kind is float or ((kind is dict or kind is list) and _may_have_float(item)):
            return True
    return False


def as_text(value: JSON) -> str:
    """Text as it is, everything else as JSON text: how Langfuse stores input and output."""
    return value if isinstance(value, str) else json_text(value)


def as_attribute(value: JSON) -> Value:
    """The value itself where an attribute keeps its type, else its JSON text."""
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else json_text(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return cast("Value", value)
    return json_text(value)


def metadata_attributes(prefix: str, metadata: JSON) -> Attributes:
    """One attribute per key below `prefix`; keys that could not be told from absent ones (empty
    names, nulls) together as a JSON object under `prefix` itself."""
    if not isinstance(metadata, dict):
        return {}
    found: Attributes = {}
    odd: dict[str, JSON] = {}
    for key, value in metadata.items():
        if value is None or not key:
            odd[key] = value
        else:
            found[f"{prefix}.{key}"] = as_attribute(value)
    if odd:
        found[prefix] = json_text(odd)
    return found
