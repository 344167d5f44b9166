"""Where configuration comes from: `--config` sources and `--set` assignments, as trees.

A source is a bare path or `file:path`, `env:VAR` (the variable holds YAML) or `yaml:text`.
A place in inline text is named after the source's kind, and an assignment's after its key: values
may be secret, so the text itself is never shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from genai_collector.configfile.reader import MAX_BYTES, parse
from genai_collector.configfile.tree import Entry, MapNode, Node, Place, Scalar, fault_at, moved_to
from genai_collector.errors import Fault

_SCHEMES: Final = ("file", "env", "yaml")
_REMOTE: Final = ("http", "https")


def file_of(source: str) -> str | None:
    """The path of a source that is a file."""
    scheme, rest = _parts(source)
    return rest if scheme == "file" else None


def _parts(source: str) -> tuple[str, str]:
    scheme, colon, rest = source.partition(":")
    if not colon or len(scheme) == 1 or not scheme.isalpha():  # `C:\\...` is a path
        return "file", source
    return scheme, rest


def read_source(source: str, environ: Mapping[str, str]) -> tuple[MapNode | None, list[Fault]]:
    """The source's document; None when it gives nothing to go on with."""
    scheme, rest = _parts(source)
    if scheme in _REMOTE:
        message = "configuration is not fetched over the network; download it and give a path"
        return None, [Fault(f"{scheme}:", 0, 0, "", message)]
    if scheme not in _SCHEMES:
        message = f"unknown kind of source {scheme!r} (there are: {', '.join(_SCHEMES)})"
        return None, [Fault(source, 0, 0, "", message)]
    name = {"file": rest, "env": source, "yaml": "inline yaml"}[scheme]
    if scheme == "file":
        text, problem = read_text(rest)
    elif scheme == "env":
        text, problem = environ.get(rest), "this environment variable is not set"
    else:
        # As in otelcol, `yaml:a::b::c: 1` is short for nested mappings.
        return _inline(rest, name)
    if text is None:
        return None, [Fault(name, 0, 0, "", problem)]
    node, faults = parse(text, name)
    return _document(node, name, faults)


def read_text(path: str) -> tuple[str | None, str]:
    """The text of a file, or None and why not."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            return None, f"larger than {MAX_BYTES} bytes"
        return data.decode("utf-8-sig"), ""
    except OSError as error:
        return None, f"cannot be read: {os.strerror(error.errno or 0)}"
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 text (byte {error.start})"


def read_set(assignment: str) -> tuple[MapNode | None, list[Fault]]:
    """`a.b.c=value` or `a::b::c=value` as a tree. With `::`, keys may contain dots.

    The value is YAML; none at all is null, as after a key in a file."""
    key, equals, value = assignment.partition("=")
    name = f"--set {key.strip()}"
    if not equals:
        return None, [Fault("--set", 0, 0, "", "expected key=value, such as a.b.c=value")]
    keys = [part.strip() for part in key.split("::" if "::" in key else ".")]
    if not all(keys):
        return None, [Fault(name, 0, 0, "", "expected key=value, such as a.b.c=value")]
    node, faults = parse(value, name)
    if faults:
        return None, faults
    place = Place(name)
    value_node = Scalar(None, place) if node is None else moved_to(node, place)
    return _nest(keys, value_node, place), []


def _nest(keys: list[str], node: Node, place: Place) -> MapNode:
    for key in reversed(keys):
        node = MapNode(place, {key: Entry(place, node)})
    assert isinstance(node, MapNode)
    return node


def _inline(text: str, name: str) -> tuple[MapNode | None, list[Fault]]:
    head, colon, rest = text.partition(": ")
    if "::" not in head or "\n" in head or not colon:
        node, faults = parse(text, name)
        return _document(node, name, faults)
    node, faults = parse(rest, name)
    if faults or node is None:
        return None, faults
    return _nest(head.split("::"), node, node.place), []


def _document(
    node: Node | None, name: str, faults: list[Fault]
) -> tuple[MapNode | None, list[Fault]]:
    if node is None:
        return None, faults or [Fault(name, 0, 0, "", "is empty")]
    if not isinstance(node, MapNode):
        message = "expected a mapping with receivers, processors, exporters and service"
        return None, [*faults, fault_at(node.place, (), message)]
    return node, faults
