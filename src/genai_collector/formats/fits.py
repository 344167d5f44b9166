"""Which JSON values an attribute of OTLP can carry as they are."""

from __future__ import annotations

import math
from typing import Final

from genai_collector.model import Value

_INT64: Final = 2**63


def is_text(value: Value) -> bool:
    """Whether it is a string that protobuf can hold (no lone surrogates)."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_int64(value: Value) -> bool:
    """Whether it is an integer that OTLP can hold."""
    return type(value) is int and -_INT64 <= value < _INT64


def is_number(value: Value) -> bool:
    """Whether it is a finite number that OTLP can hold."""
    return (isinstance(value, float) and math.isfinite(value)) or is_int64(value)


def is_otlp_value(value: Value) -> bool:
    """Whether an attribute can hold it as it is, however nested."""
    if isinstance(value, dict):
        return all(is_text(key) and is_otlp_value(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_otlp_value, value))
    return value is None or isinstance(value, bool | float) or is_text(value) or is_int64(value)
