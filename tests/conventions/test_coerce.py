"""Single values: what a producer meant, in the type that the conventions ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions import coerce
from genai_collector.model import Value
from tests.conventions.loading import values


@pytest.mark.parametrize(
    ("read", "value", "fact"),
    [
        (coerce.text, "gpt-4o", "gpt-4o"),
        (coerce.text, "", None),
        (coerce.text, 7, None),
        (coerce.whole, 7, 7),
        (coerce.whole, "7", 7),
        (coerce.whole, 40.0, 40),
        (coerce.whole, "40.0", 40),
        (coerce.whole, 40.5, None),
        (coerce.whole, True, None),
        (coerce.whole, "", None),
        (coerce.whole, 2**63, None),
        (coerce.whole, -(2**63), -(2**63)),
        (coerce.whole, "99999999999999999999", None),
        (coerce.count, -1, None),
        (coerce.count, "-1", None),
        (coerce.count, "17", 17),
        (coerce.number, 1, 1.0),
        (coerce.number, "0.2", 0.2),
        (coerce.number, "nan", None),
        (coerce.number, float("inf"), None),
        (coerce.number, False, None),
        (coerce.number, "9" * 65, None),
        (coerce.flag, "True", True),
        (coerce.flag, False, False),
        (coerce.flag, "yes", None),
        (coerce.texts, ["stop"], ["stop"]),
        (coerce.texts, '["stop"]', ["stop"]),
        (coerce.texts, "['\\n\\n', 'END']", ["\n\n", "END"]),
        (coerce.texts, "stop", ["stop"]),
        (coerce.texts, ["stop", None], ["stop"]),
        (coerce.texts, [], None),
        (coerce.texts, "[]", None),
        (coerce.texts, "", None),
    ],
)
def test_reads(read: Callable[[Value], Value], value: Value, fact: Value) -> None:
    """Each reader gives the fact in its canonical type, or None for what says nothing."""
    found = read(value)
    assert found == fact
    assert type(found) is type(fact)


@given(values())
@settings(max_examples=150, deadline=None)
def test_never_raise(value: Value) -> None:
    """No value makes a reader raise."""
    for read in (coerce.text, coerce.whole, coerce.count, coerce.number, coerce.flag, coerce.texts):
        read(value)
    coerce.to_json(value)


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_literals_are_values(text: str) -> None:
    """Whatever a text holds, what is read from it can be written again."""
    found = coerce.literal("[" + text + "]")
    assert found is None or coerce.to_json(found) is not None


def test_refuses_bombs() -> None:
    """Texts made to exhaust the parser are no literals."""
    for bomb in ("[" * 100_000, "[" + "-" * 50_000 + "1]", "[" + "1+" * 100_000 + "1]"):
        assert coerce.literal(bomb) is None


def test_keeps_what_orjson_refuses() -> None:
    """NaN, lone surrogates and big integers are JSON in practice."""
    found = coerce.from_json('{"n": NaN}')
    assert isinstance(found, dict)
    assert isinstance(found["n"], float)
    assert coerce.from_json('["\\ud800"]') == ["\ud800"]
    assert coerce.to_json(["\ud800"]) == '["\\ud800"]'
    assert coerce.to_json({"n": 2**80}) == '{"n":1208925819614629174706176}'
    assert coerce.to_json({"b": b"\x00\x01"}) == '{"b":"AAE="}'
