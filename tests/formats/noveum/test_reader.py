"""Reading bytes: every shape a body has, faults with their place, JSON without losses."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats import json_text, noveum, residual, tagged
from genai_collector.formats.residual import same
from genai_collector.model import Value
from tests.formats.noveum.material import JSON_VALUES, RECORDS, VALUES
from tests.support.captures import shared

ANNOTATED = b"""\
[
  {
    // When it was made.
    "timestamp": "2025-03-05T16:03:20.123Z",
    "url": "http://x//y",   // a URL is no comment, nor is "this, ]"
    "attributes": {
      "id": "msg_29", // the last comma is one too many
    },
  },
]
"""


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b"", []),
        (b" \n ", []),
        (b"[]", []),
        (b'{"a": 1}', [{"a": 1}]),
        (b'[{"a": 1}, {}]', [{"a": 1}, {}]),
        (b'{"a": 1}\n{"b": 2}\n', [{"a": 1}, {"b": 2}]),
        (b'{"a": 1}\r\n\r\n{"b": 2}', [{"a": 1}, {"b": 2}]),
        (b'\xef\xbb\xbf{"a": 1}', [{"a": 1}]),
        (b'{"a": 1} // one', [{"a": 1}]),
        (b'{"a": "\\"//", }', [{"a": '"//'}]),
        (b'{"a": [1, // x, ]\n ],}', [{"a": [1]}]),
        (
            ANNOTATED,
            [
                {
                    "timestamp": "2025-03-05T16:03:20.123Z",
                    "url": "http://x//y",
                    "attributes": {"id": "msg_29"},
                }
            ],
        ),
    ],
)
def test_shapes_of_a_body(body: bytes, records: list[noveum.Record]) -> None:
    """An object, an array, one object per line, comments and trailing commas."""
    assert noveum.parse(body) == records


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"a": }', "line 1 column 7"),
        (b'[\n  {"a": 1},\n  {"b" 2}\n]', "line 3 column 8"),
        (b'{"a": 1}\n{"b" 2}\n', "line 2 column 6"),
        (b'{"a": 1}\n\n5\n', "line 3 column 1: not an object"),
        (b'[\n  // fine\n  {"a": 1,},\n  {"b" 2}]', "line 4 column 8"),
        (b'{"a": "\xff"}', "line 1 column 8: not UTF-8"),
        (b"5", "must be an object or a list"),
        (b"null", "must be an object or a list"),
        (b"[{}, 5]", "record 1: not an object"),
        (b"5\n{}", "line 2 column 1"),
        (b"[" * 100_000, "nested deeper|line 1 column"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "nested deeper"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a": "', "line 1 column"),
        (b"\x00\xff", "line 1 column"),
    ],
)
def test_faults_name_their_place(body: bytes, fault: str) -> None:
    """What is no record raises DecodeError with line and column, and no content."""
    with pytest.raises(DecodeError, match=fault):
        noveum.parse(body)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes(body: bytes) -> None:
    """Bytes are records or a DecodeError, never anything else."""
    try:
        noveum.parse(body)
    except DecodeError:
        pass


@pytest.mark.parametrize(
    "body",
    [
        b'"\\"' * 200_000,
        b'"' + b'\\"' * 200_000,
        b",  " * 200_000,
        b"{//" * 200_000,
        b"/*" * 200_000,
    ],
    ids=["quotes", "escapes", "commas", "comments", "slashes"],
)
def test_hostile_bodies_take_linear_time(body: bytes) -> None:
    """The lenient reader does not go over the same bytes again and again."""
    started = time.process_time()
    with pytest.raises(DecodeError):
        noveum.parse(body)
    assert time.process_time() - started < 5


def test_the_documented_sample() -> None:
    """The sample of the gateway's documentation, comments and all, is its three records."""
    text = shared("seeds/002_2aa5c4193a942b6f.txt").read_bytes()
    sample = text[text.index(b"[") :]
    assert noveum.parse(sample) == RECORDS[:3]


@pytest.mark.parametrize(
    "text",
    [
        "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "-0.0",
        "1.0", "1e2", "NaN", "-Infinity", '"\\ud800"', "1e400", '"\\u0000"', "[null,NaN]", "{}",
    ],
)  # fmt: skip
def test_json_values_are_exact(text: str) -> None:
    """A number keeps its kind, size and sign; oddities of real JSON survive reading and writing."""
    value = json_text.loads(text)
    assert same(json_text.loads(json_text.dumps(value)), value)
    assert same(json_text.loads(noveum.dump({"a": value}))["a"], value)  # type: ignore[index,call-overload]
    if "." not in text:
        assert type(json_text.loads(text)) is not float or text in {
            "NaN",
            "-Infinity",
            "1e400",
            "1e2",
        }


@given(JSON_VALUES)
@settings(max_examples=200, deadline=None)
def test_written_json_is_the_value(value: Value) -> None:
    """What is written reads as the same value, whichever library wrote it."""
    assert same(json_text.loads(json_text.dumps(value)), value)
    record: noveum.Record = {"a": None, "attributes": {"b": value, "metadata": {"c": None}}}
    assert noveum.parse(noveum.dump(record)) == [record] or "nan" in repr(value)
    assert same(noveum.parse(noveum.dump(record))[0], record)


@given(JSON_VALUES, JSON_VALUES)
@settings(max_examples=200, deadline=None)
def test_residual_law(base: Value, target: Value) -> None:
    """apply(base, diff(base, target)) is the target; nothing differs from itself."""
    before = repr(base)
    assert same(residual.apply(base, residual.diff(base, target)), target)
    assert repr(base) == before
    assert residual.diff(base, base) == []


@pytest.mark.parametrize(
    "operations",
    [
        None,
        5,
        {},
        [5],
        [[]],
        [[5]],
        [["x"]],
        [[["no", "such"], 1]],
        [[[0], 1]],
        [[["a", 9], 1]],
        [[[]]],
    ],
)
def test_operations_that_do_not_fit(operations: Value) -> None:
    """A residual that was not made for this value leaves it alone."""
    base: Value = {"a": [1]}
    assert residual.apply(base, operations) == base


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_tagged_law(value: Value) -> None:
    """Every OTLP value has a JSON text and comes back from it, type and all."""
    text = json_text.dumps(tagged.pack(value))
    assert same(tagged.unpack(json_text.loads(text)), value)
    attributes = {"a": value}
    fast = tagged.packed_attributes_text(attributes)
    assert same(json_text.loads(fast), tagged.pack_attributes(attributes))
    json_text.dumps(tagged.readable(value))
    assert not json_text.has_non_finite(tagged.readable(value))


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, {"$int": "9007199254740992"}),
        (-(2**63), {"$int": "-9223372036854775808"}),
        (b"\x00", {"$bytes": "AA=="}),
        (math.inf, {"$float": "Infinity"}),
        (-math.inf, {"$float": "-Infinity"}),
        ({"$int": 5}, {"$map": {"$int": 5}}),
        ({"$a": 1, "b": 2}, {"$a": 1, "b": 2}),
        (1.0, 1.0),
        (True, True),
    ],
)
def test_tags(value: Value, packed: Value) -> None:
    """The tags that docs/noveum.md documents."""
    assert same(tagged.pack(value), packed)


@pytest.mark.parametrize(
    "packed",
    [{"$x": 1}, {"$int": 5}, {"$int": "x"}, {"$bytes": 1}, {"$bytes": "!"}, {"$float": "x"},
     {"$float": 1}, {"$map": 1}],
)  # fmt: skip
def test_foreign_tags_are_refused(packed: Value) -> None:
    """What we never write is not guessed at."""
    with pytest.raises((TypeError, ValueError, KeyError)):
        tagged.unpack(packed)
