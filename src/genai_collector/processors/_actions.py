"""The list of actions that `attributes` and `resource` share, compiled once.

Names and meaning are otelcol's (`attributesprocessor`), with two differences: `hash` writes SHA-256
in hexadecimal where otelcol writes SHA-1, and `convert` also knows `boolean`. Actions run in the
order written; one that cannot do its work on a value (a text that is no number) leaves it as it is.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import field_validator, model_validator

from genai_collector.component import Config
from genai_collector.model import Attributes, Value
from genai_collector.processors._patterns import compile_pattern, searcher

Edit: TypeAlias = "Callable[[Attributes], bool]"
"""Changes attributes in place; says whether it wrote anything."""

_WRITING: Final = ("insert", "update", "upsert")


class ActionConfig(Config):
    """One change to attributes."""

    action: Literal["insert", "update", "upsert", "delete", "hash", "extract", "convert"]
    """insert: only where the key is absent. update: only where it is present. upsert: both.
    delete. hash: SHA-256 of the value. extract: named groups of `pattern` become attributes.
    convert: to `converted_type`."""
    key: str | None = None
    """The attribute."""
    pattern: str | None = None
    """delete, hash: every attribute whose key this regular expression finds. extract: what is
    searched for in the value of `key`."""
    value: Any = None
    """insert, update, upsert: what to write."""
    from_attribute: str | None = None
    """insert, update, upsert: write this attribute's value; nothing is written if it is absent."""
    default_value: Any = None
    """With `from_attribute`: what to write where that attribute is absent."""
    converted_type: Literal["int", "double", "string", "boolean"] | None = None
    """convert: the type to become."""

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compile_pattern(pattern)
        return pattern

    @field_validator("value", "default_value")
    @classmethod
    def _is_value(cls, value: object) -> Value:
        return _attribute_value(value)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        fault = _fault(self)
        if fault:
            raise ValueError(f"action {self.action}: {fault}")
        return self


def compile_actions(actions: Sequence[ActionConfig]) -> Edit:
    """One function that does all of them, in order."""
    edits = [_COMPILERS[action.action](action) for action in actions]

    def edit_all(attributes: Attributes) -> bool:
        wrote = False
        for edit in edits:
            wrote = edit(attributes) or wrote
        return wrote

    return edit_all


def _fault(action: ActionConfig) -> str:
    given = action.model_fields_set
    if action.action in _WRITING:
        if action.key is None:
            return "needs a key"
        if ("value" in given) == (action.from_attribute is not None):
            return "needs either value or from_attribute"
    elif action.action in ("delete", "hash"):
        return "" if action.key or action.pattern else "needs a key or a pattern"
    elif action.action == "extract":
        return _extract_fault(action)
    elif action.key is None or action.converted_type is None:
        return "needs a key and a converted_type"
    return ""


def _extract_fault(action: ActionConfig) -> str:
    if action.key is None or action.pattern is None:
        return "needs a key and a pattern"
    compiled = compile_pattern(action.pattern)
    if not compiled.groups or len(compiled.groupindex) != compiled.groups:
        return "every group of the pattern must be named, and there must be one: (?P<name>...)"
    return ""


def _attribute_value(value: object) -> Value:
    """What YAML holds as an attribute value. Raises ValueError for dates and the like."""
    if isinstance(value, str | bool | int | float | bytes) or value is None:
        return value
    if isinstance(value, list):
        return [_attribute_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _attribute_value(item) for key, item in value.items()}
    raise ValueError("expected a text, a number, true, false, or a list or mapping of these")


def _write(action: ActionConfig) -> Edit:
    key, source, default = action.key or "", action.from_attribute, action.default_value
    constant: Value = action.value
    if_present, if_absent = action.action != "insert", action.action != "update"

    def write(attributes: Attributes) -> bool:
        if not (if_present if key in attributes else if_absent):
            return False
        value = constant
        if source is not None:
            value = attributes.get(source, default)
            if value is None:
                return False
        attributes[key] = value
        return True

    return write


def _keys(action: ActionConfig) -> Callable[[Attributes], list[str]]:
    """Which keys `delete` and `hash` are about."""
    key = action.key
    found = searcher(action.pattern) if action.pattern is not None else None

    def keys(attributes: Attributes) -> list[str]:
        chosen = [name for name in attributes if found(name)] if found is not None else []
        if key is not None and key in attributes and key not in chosen:
            chosen.append(key)
        return chosen

    return keys


def _delete(action: ActionConfig) -> Edit:
    keys = _keys(action)

    def delete(attributes: Attributes) -> bool:
        chosen = keys(attributes)
        for key in chosen:
            del attributes[key]
        return bool(chosen)

    return delete


def _hash(action: ActionConfig) -> Edit:
    keys = _keys(action)

    def hash_values(attributes: Attributes) -> bool:
        chosen = keys(attributes)
        for key in chosen:
            data = to_bytes(attributes[key])
            attributes[key] = hashlib.sha256(data).hexdigest()
        return bool(chosen)

    return hash_values


def _extract(action: ActionConfig) -> Edit:
    key, find = action.key or "", searcher(action.pattern or "")

    def extract(attributes: Attributes) -> bool:
        text = attributes.get(key)
        match = find(text) if isinstance(text, str) else None
        if match is None:
            return False
        attributes.update((name, found) for name, found in match.groupdict().items() if found)
        return True

    return extract


def _convert(action: ActionConfig) -> Edit:
    key, to = action.key or "", _CONVERSIONS[action.converted_type or "string"]

    def convert(attributes: Attributes) -> bool:
        if key not in attributes:
            return False
        value = attributes[key]
        try:
            converted = to(value)
        except (ValueError, OverflowError):
            return False
        attributes[key] = converted
        return type(converted) is not type(value)

    return convert


_COMPILERS: Final[dict[str, Callable[[ActionConfig], Edit]]] = {
    "insert": _write,
    "update": _write,
    "upsert": _write,
    "delete": _delete,
    "hash": _hash,
    "extract": _extract,
    "convert": _convert,
}


def to_text(value: Value) -> str:
    """The text form of a value: itself, `true`, a number's shortest form, bytes as hexadecimal,
    JSON for a list or a mapping, nothing for nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_hex)


def to_bytes(value: Value) -> bytes:
    """What is hashed: bytes as they are, anything else as the UTF-8 of its text form."""
    return value if isinstance(value, bytes) else to_text(value).encode("utf-8", "surrogatepass")


def to_int(value: Value) -> int:
    """A whole number; a fraction is cut off. Raises ValueError or OverflowError."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        number = math.trunc(value)
    elif isinstance(value, str) and len(value) <= 64:
        text = value.strip()
        number = int(text) if _INTEGER.fullmatch(text) else math.trunc(to_float(text))
    else:
        raise ValueError("not a number")
    if not -(2**63) <= number < 2**63:
        raise OverflowError("more than 64 bits")
    return number


def to_float(value: Value) -> float:
    """A floating-point number. Raises ValueError or OverflowError."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str) and len(value) <= 64:
        return float(value)
    raise ValueError("not a number")


def to_bool(value: Value) -> bool:
    """True or false, of the words of otelcol's language and of numbers. Raises ValueError."""
    if isinstance(value, bool | int | float):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    raise ValueError("not a boolean")


def _hex(value: object) -> str:
    assert isinstance(value, bytes)
    return value.hex()


_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_BOOLEANS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_CONVERSIONS: Final[dict[str, Callable[[Value], Value]]] = {
    "int": to_int,
    "double": to_float,
    "string": to_text,
    "boolean": to_bool,
}
