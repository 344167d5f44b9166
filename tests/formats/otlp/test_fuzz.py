"""Whatever bytes come in, reading succeeds or raises DecodeError, never anything else; and what
was read can be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats import otlp
from genai_collector.formats.otlp import CODEC
from genai_collector.model import Batch, Signal, Span
from tests.support.captures import FIXTURES

bounded = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
signals = st.sampled_from(Signal)
_CASES = sorted((FIXTURES / "otlp").rglob("*.pb"))
captures = st.sampled_from(_CASES)


def _read_protobuf(signal: Signal, data: bytes) -> None:
    try:
        count = otlp.check(signal, data)
    except DecodeError:
        with pytest.raises(DecodeError):
            otlp.decode(signal, data)
        _read_unchecked(signal, data)
        return
    items = otlp.decode(signal, data)
    assert Batch(signal, CODEC, items=items).count == count
    assert otlp.check(signal, otlp.encode(signal, items)) == count
    assert otlp.encode_json(signal, items)
    _read_unchecked(signal, data)
    for item in items:
        if isinstance(item, Span):
            assert item.events is not None
            assert item.links is not None
    assert otlp.check(signal, otlp.encode(signal, items)) == count


def _read_unchecked(signal: Signal, data: bytes) -> None:
    """As a batch does, which trusts that its bytes were checked: laziness hides no other error."""
    try:
        for item in CODEC.decode(signal, data):
            if isinstance(item, Span):
                _ = item.events, item.links
    except DecodeError:
        pass


def _read_json(signal: Signal, data: bytes) -> None:
    try:
        read = otlp.decode_json(signal, data)
    except DecodeError:
        return
    assert (read.rejected > 0) == bool(read.errors)
    encoded = otlp.encode(signal, read.items)
    assert otlp.check(signal, encoded) == Batch(signal, CODEC, items=read.items).count
    again = otlp.decode_json(signal, otlp.encode_json(signal, read.items))
    assert again.errors == []


def _mutate(data: bytes, edits: list[tuple[int, bytes, int]], size: int) -> bytes:
    """Replace a few bytes here and there, remove or repeat some, and perhaps cut off the end."""
    for at, new, removed in edits:
        start = at % (len(data) + 1)
        data = data[:start] + new + data[start + removed :]
    return data[: size % (len(data) + 1)] if size else data


edits = st.lists(
    st.tuples(st.integers(0, 2**16), st.binary(max_size=3), st.integers(0, 3)), max_size=4
)
cuts = st.one_of(st.just(0), st.integers(1, 2**16))


@bounded
@given(signals, st.binary(max_size=200))
def test_random_bytes(signal: Signal, data: bytes) -> None:
    """Random bytes, as protobuf and as JSON."""
    _read_protobuf(signal, data)
    _read_json(signal, data)


@bounded
@given(signals, captures, edits, cuts)
def test_mutated_protobuf(
    signal: Signal, case: Path, edits: list[tuple[int, bytes, int]], cut: int
) -> None:
    """Recorded requests with a few bytes changed or cut off, also read as another signal."""
    data = _BYTES[case]
    _read_protobuf(signal, _mutate(data, edits, cut))


@bounded
@given(captures, edits, cuts)
def test_mutated_json(case: Path, edits: list[tuple[int, bytes, int]], cut: int) -> None:
    """Recorded requests as JSON text with a few bytes changed or cut off."""
    signal, text = _TEXTS[case]
    _read_json(signal, _mutate(text, edits, cut))


_BYTES = {case: case.read_bytes() for case in _CASES}
_TEXTS = {
    case: (signal, otlp.encode_json(signal, otlp.decode(signal, _BYTES[case])))
    for case in _CASES
    for signal in [Signal(case.name.split(".")[-2])]
}


def _names() -> list[str]:
    """Every field name that occurs in the recordings, and a few that should not matter."""
    found: set[str] = {"unknown", "trace_id", "", "exponentialHistogram", "summary", "links"}

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.update(node)
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    for _, text in _TEXTS.values():
        walk(json.loads(text))
    return sorted(found)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-2, 2), st.floats(),
    st.sampled_from(["", "5", "-1", "NaN", "ab" * 8, "AB" * 16, "SPAN_KIND_CLIENT"]),
    st.text(st.characters(), max_size=5),
)  # fmt: skip
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(_names()), inner, max_size=4),
    ),
    max_leaves=20,
)


@bounded
@given(captures, documents, st.integers(0, 2**16), st.booleans())
def test_wrong_shapes(case: Path, graft: object, at: int, ascii_only: bool) -> None:
    """Valid JSON in which some value has become another one, of any type, surrogates included;
    and JSON that is nothing but that."""
    signal, text = _TEXTS[case]
    document = json.loads(text)
    slots: list[tuple[object, object]] = []

    def walk(node: object) -> None:
        children = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
        for key, child in children:
            slots.append((node, key))
            if isinstance(child, dict | list):
                walk(child)

    walk(document)
    owner, key = slots[at % len(slots)]
    owner[key] = graft  # type: ignore[index]
    for changed in (document, graft):
        try:
            written = json.dumps(changed, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        except RecursionError:
            continue
        _read_json(signal, written)
