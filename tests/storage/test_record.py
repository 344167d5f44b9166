"""One record: what was packed comes out again, or is told to be corrupt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.storage.record import RAW, ZSTD, Corrupt, Packer, Row

PACKER = Packer()


@given(st.binary(max_size=2000), st.binary(max_size=50), st.integers(0, 10**9), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_was_packed_comes_out(data: bytes, meta: bytes, items: int, given_so: bool) -> None:
    """Unpacking is the inverse of packing, whatever the data, and nothing becomes larger."""
    row = PACKER.pack(data, meta, items, given_so)
    assert PACKER.unpack(row) == data
    assert (row.meta, row.items, row.size) == (meta, items, len(data))
    assert len(row.data) <= len(data)


def test_compresses_what_it_may() -> None:
    """Text is compressed, what is compressed already is not touched."""
    text = b"how are you? " * 100
    assert PACKER.pack(text, b"", 1, compressed=False).codec == ZSTD
    assert PACKER.pack(text, b"", 1, compressed=True).codec == RAW


@given(
    st.binary(min_size=1, max_size=400),
    st.sampled_from(["data", "meta", "items", "size", "codec", "checksum"]),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_damage_is_found(data: bytes, column: str, draw: st.DataObject) -> None:
    """No column can change without being noticed."""
    row = PACKER.pack(data, b"about it", 7, compressed=False)
    at = row._fields.index(column)
    columns: list[Any] = list(row)
    if isinstance(columns[at], bytes):
        damaged = bytearray(columns[at])
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] ^= 0x10
        columns[at] = bytes(damaged)
    else:
        columns[at] += draw.draw(st.sampled_from([1, 256, 1 << 20]))
    with pytest.raises(Corrupt):
        PACKER.unpack(Row(*columns))


@pytest.mark.parametrize(
    "row",
    [
        Row(None, 1, 0, 0, b"", b""),  # type: ignore[arg-type]
        Row(1, 1, 0, 0, "text", b""),  # type: ignore[arg-type]
        Row(1, 1, 0, 0, b"", 3.5),  # type: ignore[arg-type]
        Row(1, 1, -1, 0, b"", b""),
    ],
)
def test_columns_of_other_types(row: Row) -> None:
    """SQLite may hand out anything from a damaged file; it is corrupt, not a fault of ours."""
    with pytest.raises(Corrupt):
        PACKER.unpack(row)
