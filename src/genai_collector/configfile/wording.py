"""pydantic's errors in the words of somebody who edits a configuration file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from genai_collector.configfile.tree import (
    Node,
    Path,
    Place,
    Scalar,
    child,
    fault_at,
    find,
    is_broken,
    place_of,
)
from genai_collector.configfile.types import fields_at, hide_in_urls, holds_secret
from genai_collector.errors import Fault

_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
}
"""pydantic's error type -> what would have been right."""

_BOUNDS: Final = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "must match {pattern}",
}
_ABOUT_THE_KEY: Final = ("missing", "extra_forbidden")
_LONGEST: Final = 60
_QUOTED: Final = re.compile(r"'([^']+)'")


class _Problem(NamedTuple):
    path: Path
    expected: str
    """What would have been right, to be joined with the other alternatives; or nothing."""
    message: str
    hidden: bool
    at_key: bool = False
    """The key itself is wrong, or what it stands for is missing."""


def suggest(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'endpoint'?`, `` (there are: a, b)``, or nothing."""
    words = sorted(set(known))
    close = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    if close:
        return f", did you mean {close[0]!r}?"
    return f" (there are: {', '.join(words)})" if words else ""


def explain(error: ValidationError, model: Any, root: Node, base: Path) -> list[Fault]:
    """One fault per place. `base` is where in `root` the validated value stands."""
    here = find(root, base)
    found = [_problem(one, model, here) for one in error.errors(include_url=False)]
    grouped: dict[Path, list[_Problem]] = {}
    for problem in found:
        grouped.setdefault(problem.path, []).append(problem)
    return [
        fault_at(
            _place(root, (*base, *path), problems), (*base, *path), _message(problems, here, path)
        )
        for path, problems in grouped.items()
        if not is_broken(root, (*base, *path))
    ]


def text_wanted(error: ValidationError, node: Node) -> list[Path]:
    """Paths where a string was wanted and an expanded value stands that has a text."""
    paths = []
    for one in error.errors(include_url=False):
        path = _path(one, node)
        found = find(node, path)
        if found is None or found.text is None or _is_text(found):
            continue
        named = one["type"] == "literal_error" and repr(found.text) in one["ctx"]["expected"]
        if named or one["type"] == "string_type":
            paths.append(path)
    return paths


def _is_text(node: Node) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, str)


def _path(error: ErrorDetails, node: Node | None) -> Path:
    """Where in the tree the error is: its location without pydantic's names of alternatives."""
    path: list[str | int] = []
    location = error["loc"]
    for at, key in enumerate(location):
        below = child(node, key) if node is not None else None
        if below is not None:
            path.append(key)
            node = below
        elif at == len(location) - 1 and error["type"] in _ABOUT_THE_KEY:
            path.append(key)
    return tuple(path)


def _problem(error: ErrorDetails, model: Any, node: Node | None) -> _Problem:
    path, kind = _path(error, node), error["type"]
    context = error.get("ctx", {})
    hidden = holds_secret(model, path)
    if kind == "missing":
        return _Problem(path, "", "is required", hidden=True, at_key=True)
    if kind == "extra_forbidden":
        known = fields_at(model, path[:-1])
        hint = suggest(str(path[-1]), known)
        return _Problem(path, "", f"unknown field{hint}", hidden=True, at_key=True)
    if kind in _EXPECTED:
        return _Problem(path, _EXPECTED[kind], "", hidden)
    if kind in ("literal_error", "enum"):
        return _Problem(path, str(context.get("expected", "another value")), "", hidden)
    if kind in _BOUNDS:
        return _Problem(path, "", _bound(kind, context), hidden)
    if kind == "value_error":
        message = str(context.get("error", error["msg"]))
        # A message of our own that already says what it got, or speaks of the whole section.
        complete = not message.startswith("expected ") or ", got " in message
        return _Problem(path, "", message, hidden or complete)
    return _Problem(path, "", error["msg"][:1].lower() + error["msg"][1:], hidden=True)


def _bound(kind: str, context: dict[str, Any]) -> str:
    if context.get("min_length") == 1:
        return "must not be empty"
    shown = {key: f"{x:g}" if isinstance(x, float) else x for key, x in context.items()}
    return _BOUNDS[kind].format_map(shown)


def _message(problems: Sequence[_Problem], root: Node | None, path: Path) -> str:
    node = find(root, path) if root is not None else None
    expected = list(dict.fromkeys(one.expected for one in problems if one.expected))
    others = list(dict.fromkeys(one.message for one in problems if one.message))
    hidden = any(one.hidden for one in problems)
    if expected:
        *most, last = expected
        others.insert(0, f"expected {', '.join(most) + ' or ' if most else ''}{last}")
    got = _got(node, hidden=hidden)
    return "; ".join(others) + got + _hint(node, expected, hidden=hidden)


def _got(node: Node | None, *, hidden: bool) -> str:
    if node is not None and node.origin is not None:
        return f", got what {node.origin} stands for"
    if not isinstance(node, Scalar):
        return ""
    if hidden:
        return ""
    if node.value is None:
        return ", got nothing"
    if isinstance(node.value, bool):
        return f", got {str(node.value).lower()}"
    shown = hide_in_urls(node.value) if isinstance(node.value, str) else node.value
    text = repr(shown)
    return f", got {text if len(text) <= _LONGEST else text[: _LONGEST - 4] + '...' + text[-1]}"


def _hint(node: Node | None, expected: list[str], *, hidden: bool) -> str:
    if not isinstance(node, Scalar) or node.origin is not None:
        return ""
    words = [word for one in expected for word in _QUOTED.findall(one)]
    if isinstance(node.value, int | float) and ("a string" in expected or node.raw in words):
        return "; put it in quotes"
    if isinstance(node.value, str) and not hidden:
        close = get_close_matches(node.value.lower(), words, n=1, cutoff=0.6)
        return f", did you mean {close[0]!r}?" if close else ""
    return ""


def _place(root: Node, path: Path, problems: Sequence[_Problem]) -> Place:
    of_value = not any(one.at_key for one in problems)
    return place_of(root, path, value=of_value)
