"""YAML text to a tree with places.

PyYAML composes (node graph with marks); the values are made here, by the core schema of YAML 1.2:
only `true` and `false` are booleans, and `1:30` or `0123` stay text, where YAML 1.1 would make the
numbers 90 and 83 of them. Documents are bounded in size, depth and in what aliases may unfold to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from genai_collector.configfile.tree import Entry, ListNode, MapNode, Node, Place, Scalar, fault_at
from genai_collector.errors import Fault

MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_NODES: Final = 100_000
_MAX_DEPTH: Final = 100
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAG}merge"
_MAP: Final = f"{_TAG}map"
_SEQ: Final = f"{_TAG}seq"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the implicit types of YAML 1.2's core schema, and merge keys."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  how PyYAML is told


_FLOAT: Final = (
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_INT: Final = r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", _INT, [*"-+0123456789"]),
    ("float", _FLOAT, [*"-+.0123456789"]),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_tag}", re.compile(f"(?:{_pattern})$"), _first)

_NUMBERS: Final = {".inf": float("inf"), "-.inf": float("-inf"), "+.inf": float("inf")}


class _Refused(Exception):
    """The document goes over a bound; nothing of it is used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def parse(text: str, file: str) -> tuple[Node | None, list[Fault]]:
    """The document (None when it is empty or cannot be read) and what is wrong with it."""
    if len(text) > MAX_BYTES:
        return None, [Fault(file, 0, 0, "", f"larger than {MAX_BYTES} bytes")]
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        return None, [_syntax_fault(error, file)]
    except yaml.YAMLError as error:
        return None, [Fault(file, 0, 0, "", f"not YAML: {str(error).splitlines()[0]}")]
    except RecursionError:
        return None, [Fault(file, 0, 0, "", f"nested more than {_MAX_DEPTH} levels deep")]
    if root is None:
        return None, []
    builder = _Builder(file)
    try:
        return builder.build(root, ()), builder.faults
    except _Refused as refused:
        return None, [refused.fault]


def _syntax_fault(error: yaml.MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(part for part in (error.problem, error.context) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return Fault(file, line, column, "", f"not YAML: {problem}{_hint(problem, error)}")


def _hint(problem: str, error: yaml.MarkedYAMLError) -> str:
    if "'\\t'" in problem:
        return "; indent with spaces, not tabs"
    snippet = error.problem_mark.get_snippet() if error.problem_mark else None
    if "flow" in problem and "${" in (snippet or ""):
        return "; inside { } and [ ], put ${...} in quotes"
    return ""


class _Builder:
    """Makes the tree of one composed document, collecting faults on the way."""

    def __init__(self, file: str) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._nodes = 0

    def build(self, node: yaml.Node, path: tuple[str | int, ...]) -> Node:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            what = (
                f"more than {_MAX_NODES} values, aliases unfolded"
                if self._nodes > _MAX_NODES
                else f"nested more than {_MAX_DEPTH} levels deep"
            )
            raise _Refused(fault_at(self._place(node), (), what))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != _SEQ:
                self._strange_tag(node, path)
            items = [self.build(item, (*path, at)) for at, item in enumerate(node.value)]
            return ListNode(items, self._place(node))
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _strange_tag(self, node: yaml.Node, path: tuple[str | int, ...]) -> None:
        tag = node.tag.replace(_TAG, "!!")
        self.faults.append(fault_at(self._place(node), path, f"the tag {tag} has no meaning here"))

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> MapNode:
        if node.tag != _MAP:
            self._strange_tag(node, path)
        merged: dict[str, Entry] = {}
        own: dict[str, Entry] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for entries in self._merge_sources(value, path):
                    merged = entries | merged
            elif not isinstance(key, yaml.ScalarNode):
                self.faults.append(fault_at(self._place(key), path, "a key must be plain text"))
            elif key.value in own:
                first = own[key.value].key_place.line
                self.faults.append(
                    fault_at(
                        self._place(key),
                        (*path, key.value),
                        f"written twice, first in line {first}",
                    )
                )
            else:
                own[key.value] = Entry(self._place(key), self.build(value, (*path, key.value)))
        return MapNode(self._place(node), own | {k: v for k, v in merged.items() if k not in own})

    def _merge_sources(
        self, value: yaml.Node, path: tuple[str | int, ...]
    ) -> Iterator[dict[str, Entry]]:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                yield self._mapping_below(source, path).entries
            else:
                self.faults.append(fault_at(self._place(source), path, "<< takes mappings only"))

    def _mapping_below(self, source: yaml.MappingNode, path: tuple[str | int, ...]) -> MapNode:
        built = self.build(source, (*path, "<<"))
        assert isinstance(built, MapNode)
        return built

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str | int, ...]) -> Scalar:
        place, raw = self._place(node), _raw(node)
        try:
            value = _value(node)
        except (KeyError, ValueError):
            self._strange_tag(node, path)
            return Scalar(node.value, place, raw, broken=True)
        return Scalar(value, place, raw)


def _value(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    match kind:
        case "str" | "merge":
            return str(text)
        case "null":
            return None
        case "bool":
            return {"true": True, "false": False}[text.lower()]
        case "int":
            return int(text, 0)
        case "float":
            lower = text.lower()
            return _NUMBERS[lower] if lower in _NUMBERS else float(lower.replace(".nan", "nan"))
        case _:
            raise KeyError(kind)


def _raw(node: yaml.ScalarNode) -> str | None:
    start, end = node.start_mark, node.end_mark
    if start.buffer is None or start.line != end.line:
        return None
    # The buffer may have lost its beginning; pointers and columns advance together on one line.
    return str(start.buffer[start.pointer : start.pointer + end.column - start.column])
