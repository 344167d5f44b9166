"""Attribute values, as OTLP's AnyValue allows them."""

from __future__ import annotations

from typing import TypeAlias

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value] | None"
"""`None` is an AnyValue with nothing set. Nested values are shared: replace, never mutate."""

Attributes: TypeAlias = "dict[str, Value]"
