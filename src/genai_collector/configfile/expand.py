"""`${...}` in values, after everything has been merged.

    ${env:VAR}  ${VAR}      an environment variable; unset is an error, unless
    ${env:VAR:-default}     a default is given (which may itself contain ${...})
    ${file:path}            the text of a file, without its last newline; a default works too
    ${yaml:text}            the text itself
    $$                      a literal dollar

An expression that is the whole value is read as YAML: a number, a boolean, even a mapping. Its
text is remembered for fields that want a string, so that a password of digits stays what it is.
Inside a longer value the text is put in as it stands. A mapping or list found this way is expanded
in turn; plain text that was found is never looked at again, so a secret may contain `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from genai_collector.configfile.reader import parse
from genai_collector.configfile.sources import read_text
from genai_collector.configfile.tree import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Path,
    Place,
    Scalar,
    fault_at,
    is_null,
    moved_to,
)
from genai_collector.errors import Fault

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_MAX_DEPTH: Final = 20
_MAX_EXPANSIONS: Final = 10_000
_MAX_CHARACTERS: Final = 4 * 1024 * 1024
_NULLS: Final = frozenset({"~", "null", "Null", "NULL"})


class _Unresolved(Exception):
    """An expression cannot be resolved; `offset` is where in the value it stands."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def expand(
    root: MapNode,
    environ: Mapping[str, str],
    faults: list[Fault],
    files: list[str] | None = None,
) -> MapNode:
    """A new tree with every expression resolved; what cannot be is broken and reported. The files
    that were asked for are added to `files`."""
    expanded = _Expander(environ, faults, [] if files is None else files).node(root, (), 0)
    assert isinstance(expanded, MapNode)
    return expanded


class _Expander:
    def __init__(self, environ: Mapping[str, str], faults: list[Fault], files: list[str]) -> None:
        self._environ = environ
        self._files = files
        self._faults = faults
        self._count = 0
        self._characters = 0

    def node(self, node: Node, path: Path, depth: int) -> Node:
        """The node with everything below it expanded. `depth` counts documents in documents."""
        if isinstance(node, MapNode):
            entries = {
                key: Entry(entry.key_place, self.node(entry.node, (*path, key), depth))
                for key, entry in node.entries.items()
            }
            return replace(node, entries=entries)
        if isinstance(node, ListNode):
            items = [self.node(item, (*path, at), depth) for at, item in enumerate(node.items)]
            return replace(node, items=items)
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        return self._scalar(node, node.value, path, depth)

    def _scalar(self, node: Scalar, value: str, path: Path, depth: int) -> Node:
        try:
            if value.startswith("${") and _closing(value, 0) == len(value) - 1:
                found = self._resolve(value[2:-1], 2, depth)
                return self._whole(node, value, found, path, depth)
            text = self._text(value, 0, depth)
        except _Unresolved as problem:
            self._faults.append(fault_at(_at(node, problem.offset), path, str(problem)))
            return replace(node, broken=True)
        origin = value if "${" in value else None
        return Scalar(text, node.place, text=text, origin=origin)

    def _whole(self, node: Scalar, value: str, text: str, path: Path, depth: int) -> Node:
        parsed, problems = parse(text, node.place.file)
        if problems or parsed is None or _is_text(parsed, text):
            return Scalar(text, node.place, text=text, origin=value)
        moved = moved_to(parsed, node.place, origin=value)
        if isinstance(moved, Scalar):
            return replace(moved, text=text)
        if depth >= _MAX_DEPTH:
            raise _Unresolved(f"more than {_MAX_DEPTH} expansions inside each other", 0)
        return replace(self.node(moved, path, depth + 1), text=text)

    def _text(self, value: str, offset: int, depth: int) -> str:
        """The text with every expression in it put in."""
        parts: list[str] = []
        at = 0
        while (dollar := value.find("$", at)) >= 0:
            parts.append(value[at:dollar])
            if value.startswith("$$", dollar):
                parts.append("$")
                at = dollar + 2
            elif value.startswith("${", dollar):
                close = _closing(value, dollar)
                if close < 0:
                    raise _Unresolved("'${' is never closed (a literal $ is $$)", offset + dollar)
                inner = value[dollar + 2 : close]
                parts.append(self._resolve(inner, offset + dollar + 2, depth))
                at = close + 1
            else:
                parts.append("$")
                at = dollar + 1
        return "".join([*parts, value[at:]])

    def _resolve(self, expression: str, offset: int, depth: int) -> str:
        """What `${expression}` stands for. `offset` is the expression's place in the value."""
        self._count += 1
        if depth >= _MAX_DEPTH or self._count > _MAX_EXPANSIONS:
            raise _Unresolved("too many expansions", offset - 2)
        head, dash, default = _split_default(expression)
        name = self._text(head, offset, depth + 1)
        scheme = _SCHEME.match(name)
        kind, rest = (scheme[1], name[scheme.end() :]) if scheme else ("env", name)
        found, problem = self._look_up(kind, rest, offset - 2)
        if found is None and dash:
            found = self._text(default, offset + len(head) + 2, depth + 1)
        if found is None:
            raise _Unresolved(problem, offset - 2)
        self._characters += len(found)
        if self._characters > _MAX_CHARACTERS:
            raise _Unresolved("expands to too much text", offset - 2)
        return found

    def _look_up(self, kind: str, rest: str, offset: int) -> tuple[str | None, str]:
        if kind == "env":
            if not _NAME.fullmatch(rest):
                raise _Unresolved(f"{rest!r} cannot be an environment variable's name", offset)
            if rest in self._environ:
                return self._environ[rest], ""
            message = f"environment variable {rest} is not set (a default: ${{env:{rest}:-...}})"
            return None, message
        if kind == "file":
            self._files.append(rest)
            text, problem = read_text(rest)
            if text is not None:
                text = text.removesuffix("\n").removesuffix("\r")
            return text, f"file {rest!r} {problem}"
        if kind == "yaml":
            return rest, ""
        raise _Unresolved(f"unknown kind {kind!r} in ${{...}} (env, file or yaml)", offset)


def _closing(text: str, start: int) -> int:
    """Where the brace of the `${` at `start` closes, or -1."""
    depth, at = 0, start
    while at < len(text):
        if text.startswith("${", at):
            depth, at = depth + 1, at + 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return -1


def _split_default(expression: str) -> tuple[str, str, str]:
    """Head, `:-` if it is there, default; a `:-` inside a nested `${}` does not count."""
    depth = 0
    for at in range(len(expression)):
        if expression.startswith("${", at):
            depth += 1
        elif expression[at] == "}":
            depth -= 1
        elif depth == 0 and expression.startswith(":-", at):
            return expression[:at], ":-", expression[at + 2 :]
    return expression, "", ""


def _is_text(parsed: Node, text: str) -> bool:
    """Whether YAML sees plain text, or nothing where there is something (`#hash`)."""
    if is_null(parsed):
        return text.strip() not in _NULLS
    quoted = text.lstrip()[:1] in ("'", '"')
    return isinstance(parsed, Scalar) and isinstance(parsed.value, str) and not quoted


def _at(node: Scalar, offset: int) -> Place:
    """The column of the offset, where the value stands in the file as it is."""
    if node.raw is None or not isinstance(node.value, str):
        return node.place
    start = node.raw.find(node.value)
    return (
        node.place if start < 0 else node.place._replace(column=node.place.column + start + offset)
    )
