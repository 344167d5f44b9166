"""A small JSON Schema check, enough for the message schemas of the GenAI conventions.

Their `anyOf` ends in a generic part that takes any `type`, so validation alone never refuses a
malformed text or tool call. Here the definition whose `type` is the value's own one is used.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.captures import shared

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "object": dict, "array": list, "null": type(None), "boolean": bool,
    "integer": int, "number": (int, float),
}  # fmt: skip


def schema(name: str) -> dict[str, Any]:
    """An official schema such as `gen-ai-output-messages`; skips the test where it is absent."""
    loaded = json.loads(shared(f"schemas/genai/{name}.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


def faults(value: Any, root: dict[str, Any]) -> list[str]:
    """What is wrong with a value; empty if it is valid."""
    return list(_faults(value, root, root, "$"))


def _faults(value: Any, rule: dict[str, Any], root: dict[str, Any], path: str) -> list[str]:
    if "$ref" in rule:
        if not rule["$ref"].startswith("#/$defs/"):
            return []
        rule = root["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in rule:
        return _any_of(value, rule["anyOf"], root, path)
    if "const" in rule and value != rule["const"]:
        return [f"{path}: {value!r} is not {rule['const']!r}"]
    if "enum" in rule and value not in rule["enum"]:
        return [f"{path}: {value!r} is none of {rule['enum']}"]
    wanted = rule.get("type")
    if wanted is not None and not isinstance(value, _TYPES[wanted]):
        return [f"{path}: {type(value).__name__} is no {wanted}"]
    found: list[str] = []
    if isinstance(value, list) and "items" in rule:
        for at, item in enumerate(value):
            found += _faults(item, rule["items"], root, f"{path}[{at}]")
    if isinstance(value, dict):
        found += [f"{path}: no {key}" for key in rule.get("required", []) if key not in value]
        for key, inner in rule.get("properties", {}).items():
            if key in value:
                found += _faults(value[key], inner, root, f"{path}.{key}")
    return found


def _any_of(value: Any, rules: list[dict[str, Any]], root: dict[str, Any], path: str) -> list[str]:
    if isinstance(value, dict):
        for rule in rules:
            definition = root["$defs"].get(rule.get("$ref", "").removeprefix("#/$defs/"), {})
            kind = definition.get("properties", {}).get("type", {}).get("const")
            if kind is not None and kind == value.get("type"):
                return _faults(value, definition, root, path)
    attempts = [_faults(value, rule, root, path) for rule in rules]
    return [] if [] in attempts else attempts[-1]
