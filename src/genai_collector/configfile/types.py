"""What a configuration class says about the value at some path: fields, secrets.

Walks the annotations of pydantic models; needed because an error's input, or what `print-config`
shows, must not be shown where a secret was wanted.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from genai_collector.configfile.tree import ListNode, MapNode, Node

REDACTED: Final = "[REDACTED]"
_USERINFO: Final = re.compile(r"(\w://[^/@:\s]*):[^/@\s]+@")
_URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s?#]*\?[^\s#]*")
_QUERY_VALUE: Final = re.compile(r"=[^&;\s]+")


def at_path(annotation: Any, path: Sequence[str | int]) -> list[Any]:
    """The alternatives that the annotation allows at a path; empty when it cannot be told."""
    found = _alternatives(annotation)
    for key in path:
        found = [below for one in found for below in _below(one, key)]
    return found


def fields_at(annotation: Any, path: Sequence[str | int]) -> list[str]:
    """The field names that may be written at a path."""
    names: list[str] = []
    for one in at_path(annotation, path):
        if _is_model(one):
            names += [field.alias or name for name, field in one.model_fields.items()]
    return names


def holds_secret(annotation: Any, path: Sequence[str | int]) -> bool:
    """Whether what may stand at a path is a secret, contains one, or cannot be told."""
    found = at_path(annotation, path)
    return not found or any(_mentions_secret(one, frozenset()) for one in found)


def redact(node: Node, *annotations: Any) -> Any:
    """The tree as plain values, secrets hidden. `annotations` are the alternatives it may be."""
    if isinstance(node, MapNode):
        return {
            key: redact(entry.node, *_all_below(annotations, key))
            for key, entry in node.entries.items()
        }
    if isinstance(node, ListNode):
        return [redact(item, *_all_below(annotations, at)) for at, item in enumerate(node.items)]
    secret = any(_is_secret(one) for annotation in annotations for one in _alternatives(annotation))
    if node.value is not None and secret:
        return REDACTED
    return hide_in_urls(node.value) if isinstance(node.value, str) else node.value


def hide_in_urls(text: str) -> str:
    """The text without the passwords of URLs in it, and without the values of their queries, where
    some services want their keys."""
    return _URL.sub(_without_values, _USERINFO.sub(rf"\1:{REDACTED}@", text))


def _without_values(url: re.Match[str]) -> str:
    address, mark, query = url[0].partition("?")
    return address + mark + _QUERY_VALUE.sub(f"={REDACTED}", query)


def _all_below(annotations: Sequence[Any], key: str | int) -> list[Any]:
    return [below for annotation in annotations for below in at_path(annotation, (key,))]


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(annotation) for one in _alternatives(part)]
    return [annotation]


def _below(annotation: Any, key: str | int) -> list[Any]:
    if _is_model(annotation):
        for name, field in annotation.model_fields.items():
            if key in (name, field.alias):
                return _alternatives(field.annotation)
        return []
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not isinstance(origin, type) or not arguments:
        return []
    if isinstance(key, str) and issubclass(origin, Mapping):
        return _alternatives(arguments[-1])
    if isinstance(key, int) and issubclass(origin, Sequence | set | frozenset):
        return _alternatives(arguments[0])
    return []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes)


def _mentions_secret(annotation: Any, seen: frozenset[type]) -> bool:
    if _is_secret(annotation):
        return True
    if _is_model(annotation):
        if annotation in seen:
            return False
        return any(
            _mentions_secret(one, seen | {annotation})
            for field in annotation.model_fields.values()
            for one in _alternatives(field.annotation)
        )
    return any(
        _mentions_secret(one, seen)
        for part in get_args(annotation)
        for one in _alternatives(part)
        if not isinstance(part, str)
    )
