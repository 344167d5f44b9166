"""YAML text to trees: values, places, bounds."""

from __future__ import annotations

import math

import pytest

from genai_collector.configfile.reader import parse
from genai_collector.configfile.tree import MapNode, Place, place_of, plain

VALUES = {
    "true": True,
    "False": False,
    "yes": "yes",
    "on": "on",
    "12": 12,
    "-3": -3,
    "0x1f": 31,
    "0o17": 15,
    "0123": "0123",
    "1:30": "1:30",
    "2024-01-01": "2024-01-01",
    "1.5": 1.5,
    "1e3": 1000.0,
    ".5": 0.5,
    ".inf": math.inf,
    "-.inf": -math.inf,
    "~": None,
    "null": None,
    "": None,
    "'12'": "12",
    '"a\\nb"': "a\nb",
    "!!str 12": "12",
    "!!int '12'": 12,
    "localhost:4317": "localhost:4317",
}


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=VALUES)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    """Only what YAML 1.2 calls a number or a boolean is one."""
    node, faults = parse(f"a: {text}", "f")

    assert faults == []
    assert node is not None
    assert plain(node) == {"a": value}
    assert type(plain(node)["a"]) is type(value)


def test_nan() -> None:
    """NaN is a number."""
    node, _ = parse("a: .nan", "f")

    assert node is not None
    assert math.isnan(plain(node)["a"])


def test_merge_keys_and_anchors() -> None:
    """Explicit keys win over merged ones, earlier merged mappings over later ones."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: *b}\n"

    node, faults = parse(text, "f")

    assert faults == []
    assert node is not None
    assert plain(node)["c"] == {"x": 3, "y": 1, "z": 2}
    assert plain(node)["d"] == {"y": 2, "z": 2}


def test_order_and_places_are_kept() -> None:
    """Every key knows its line and column, in the order in which it was written."""
    node, _ = parse("b:\n  d: 1\na: [x, {c: 2}]\n", "f")

    assert isinstance(node, MapNode)
    assert list(node.entries) == ["b", "a"]
    assert place_of(node, ("b", "d")) == Place("f", 2, 3)
    assert place_of(node, ("b", "d"), value=True) == Place("f", 2, 6)
    assert place_of(node, ("a", 0)) == Place("f", 3, 5)
    assert place_of(node, ("a", 1, "c")) == Place("f", 3, 9)
    assert place_of(node, ("b", "none")) == Place("f", 2 - 1, 1)


FAULTS = {
    "twice": ("a: 1\nb: 2\na: 3", "f:3:1: a: written twice, first in line 1"),
    "syntax": ("a: b: c", "f:1:5: not YAML: mapping values are not allowed here"),
    "tab": (
        "a:\n\tb: 1",
        (
            "f:2:1: not YAML: found character '\\t' that cannot start any token while scanning "
            "for the next token; indent with spaces, not tabs"
        ),
    ),
    "expression in a flow mapping": (
        "a: {b: ${X}}",
        (
            "f:1:9: not YAML: expected ',' or '}', but got '{' while parsing a flow mapping; "
            "inside { } and [ ], put ${...} in quotes"
        ),
    ),
    "alias": ("a: *b", "f:1:4: not YAML: found undefined alias 'b'"),
    "tag": (
        "a: !!python/name:os.system",
        "f:1:4: a: the tag !!python/name:os.system has no meaning here",
    ),
    "map tag": ("a: !x {}", "f:1:4: a: the tag !x has no meaning here"),
    "list tag": ("a: !x []", "f:1:4: a: the tag !x has no meaning here"),
    "key": ("? [a]\n: 1", "f:1:3: a key must be plain text"),
    "merge": ("a: {<<: 5}", "f:1:9: a: << takes mappings only"),
    "documents": (
        "a: 1\n---\nb: 2",
        "f:2:1: not YAML: but found another document expected a single document in the stream",
    ),
    "characters": (
        "a: \x00",
        "f: not YAML: unacceptable character #x0000: special characters are not allowed",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(text: str, message: str) -> None:
    """What is no good YAML is named with its place."""
    _, faults = parse(text, "f")

    assert [str(fault) for fault in faults] == [message]


def _bomb() -> str:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{above}'] * 10)}]")
    return "\n".join(lines)


BOMBS = {
    "aliases": (_bomb(), "more than 100000 values, aliases unfolded"),
    "itself": ("a: &a [*a]", "nested more than 100 levels deep"),
    "deep": ("[" * 5000, "nested more than 100 levels deep"),
    "deep but closed": ("[" * 150 + "]" * 150, "nested more than 100 levels deep"),
    "large": ("a" * (4 * 1024 * 1024 + 1), "larger than 4194304 bytes"),
}


@pytest.mark.parametrize(("text", "message"), BOMBS.values(), ids=BOMBS)
def test_bombs(text: str, message: str) -> None:
    """A document that would unfold without bound is refused with one fault."""
    node, faults = parse(text, "f")

    assert node is None
    assert [fault.message for fault in faults] == [message]
