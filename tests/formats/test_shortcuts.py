"""What all formats share has short ways too, which give what the long ways give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.json_text import depth, dumps, has_non_finite
from genai_collector.formats.residual import apply, diff, same
from genai_collector.model import Value

KEYS = st.sampled_from(["a", "b", "c"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "null", "a"])
    | st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf")]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=10,
)  # fmt: skip


def _depth(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, children), default=0) if isinstance(value, dict | list) else 0


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_what_is_looked_for_in_json(value: Any) -> None:
    """Depth and numbers that JSON has not are those of a plain recursion; nothing is lost."""
    text = json.dumps(value)
    assert depth(value) == _depth(value)
    assert has_non_finite(value) == ("NaN" in text or "Infinity" in text)
    assert same(json.loads(dumps(value)), value)


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_a_difference_gives_the_target(base: Any, target: Any) -> None:
    """The operations turn one value into the other, and there are none between the same."""
    operations = diff(base, target)
    assert same(apply(base, operations), target)
    assert (not operations) == same(base, target)


@pytest.mark.parametrize(
    ("base", "target", "operations"),
    [
        ({}, {"a": None}, [[["a"], None]]),
        ({"a": None}, {}, [[["a"]]]),
        ({"b": 1, "a": 1}, {"c": 1, "b": True}, [[["a"]], [["b"], True], [["c"], 1]]),
        ({"a": {"b": 1.0}}, {"a": {"b": 1}}, [[["a", "b"], 1]]),
    ],
)
def test_differences_are_ordered_and_strict(
    base: Value, target: Value, operations: list[Value]
) -> None:
    """A null is no absent member, 1 is neither 1.0 nor true, and the order is that of the keys."""
    assert diff(base, target) == operations
    assert same(diff(base, target), operations)
