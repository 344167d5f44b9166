"""JavaScript's behaviour, where the mapping relies on it."""

from __future__ import annotations

import math

import pytest

from genai_collector.formats.langfuse.values import (
    JSON,
    MAX_DEPTH,
    iso_from_ns,
    js_number,
    js_string,
    js_text,
    parse_int,
    parse_json,
    plain,
    to_number,
    truthy,
)
from genai_collector.model import Value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.7, "0.7"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-5, "0.00001"),
        (1.25e-6, "0.00000125"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (-2.5, "-2.5"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_print_as_in_javascript(value: float, shown: str) -> None:
    """A float is printed as `String(value)` prints it."""
    assert js_number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["a", "b"], '["a","b"]'),
        ([1, 2.0, None, True], "[1,2,null,true]"),
        ({"a": {"b": "ü"}}, '{"a":{"b":"ü"}}'),
        ("\ud800", '"\\ud800"'),
        ("a\nb", '"a\\nb"'),
        (None, "null"),
        ([math.inf], "[null]"),
    ],
)
def test_json_text_is_compact(value: JSON, shown: str) -> None:
    """`JSON.stringify`: no spaces, no needless escapes."""
    assert js_text(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x", "x"), (True, "true"), ([1, None, ["a"]], "1,,a"), ({}, "[object Object]"), (1.0, "1")],
)
def test_string_conversion(value: JSON, shown: str) -> None:
    """`String(value)`."""
    assert js_string(value) == shown


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12", 12),
        (" 12 ", 12),
        ("", 0),
        ("1.5", 1.5),
        ("1e3", 1000),
        ("0x1f", 31),
        ("-3", -3),
        (True, 1),
        ([], 0),
        (["7"], 7),
        ("Infinity", math.inf),
    ],
)
def test_number_conversion(value: JSON, number: float) -> None:
    """`Number(value)`."""
    assert to_number(value) == number


@pytest.mark.parametrize("value", ["abc", "1_000", "12px", "nan", "inf", {}, [1, 2], "0xZZ"])
def test_no_number(value: JSON) -> None:
    """What is no number is NaN."""
    assert math.isnan(to_number(value))


def test_leading_digits() -> None:
    """`parseInt` reads as far as there are digits."""
    assert [parse_int(text) for text in ("3.9", "12abc", " 7", "-2", "x")] == [3, 12, 7, -2, None]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("s", "s"),
        (2**60, 2**60),
        (math.nan, "NaN"),
        ([math.inf, "a"], ["Infinity", "a"]),
        (b"\x00\x01", '{"bytesValue":"AAE="}'),
        (None, "{}"),
        (
            {"a": "b", "n": 1, "l": [True, 1.5]},
            (
                '{"kvlistValue":{"values":[{"key":"a","value":{"stringValue":"b"}},'
                '{"key":"n","value":{"intValue":"1"}},{"key":"l","value":{"arrayValue":'
                '{"values":[{"boolValue":true},{"doubleValue":1.5}]}}}]}}'
            ),
        ),
    ],
)
def test_plain_values(value: Value, expected: JSON) -> None:
    """Maps, bytes and empty values become the JSON text of their OTLP wrapper."""
    assert plain(value) == expected


def test_truth() -> None:
    """Empty containers are true, empty strings and zero are not."""
    examples: list[JSON] = [[], {}, "", 0, False, None, "0"]
    assert [truthy(value) for value in examples] == [
        True, True, False, False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["NaN", "{", "{'a': 1}", "", "[" * 500 + "]" * 500, "[" * 100_000])
def test_bad_json(text: str) -> None:
    """What is no JSON, or absurdly deep, is a ValueError and nothing else."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_json_that_orjson_refuses() -> None:
    """Lone surrogates and huge integers are JSON all the same."""
    assert parse_json('["\\ud800", ' + "9" * 40 + "]") == ["\ud800", int("9" * 40)]
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


def test_times_are_cut_to_milliseconds() -> None:
    """Integer arithmetic only; what is below a millisecond is cut."""
    assert iso_from_ns(1_714_488_530_687_999_999) == "2024-04-30T14:48:50.687Z"
    assert iso_from_ns(2**64 - 1) == "2554-07-21T23:34:33.709Z"
