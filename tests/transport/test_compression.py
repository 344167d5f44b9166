"""Content codings: round trips, other libraries' output, damage, and bombs."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError, TooLarge
from genai_collector.transport.compression import ENCODINGS, canonical, compress, decompress

MIB = 1024 * 1024
PLAIN = os.urandom(100_000) + b"span " * 100_000


def _stream(encoding: str, data: bytes) -> bytes:
    """As a client writes it that does not know the length beforehand."""
    if encoding == "zstd":
        writer = zstandard.ZstdCompressor(level=3).compressobj()
    elif encoding == "gzip":
        writer = zlib.compressobj(6, zlib.DEFLATED, 31)  # type: ignore[assignment]
    else:
        writer = zlib.compressobj(6, zlib.DEFLATED, 15)  # type: ignore[assignment]
    return writer.compress(data) + writer.flush()


def _bomb(encoding: str, mebibytes: int) -> bytes:
    piece = bytes(MIB)
    if encoding == "zstd":
        writer = zstandard.ZstdCompressor(level=3).compressobj()
    else:
        wbits = 31 if encoding == "gzip" else 15
        writer = zlib.compressobj(9, zlib.DEFLATED, wbits)  # type: ignore[assignment]
    return b"".join(writer.compress(piece) for _ in range(mebibytes)) + writer.flush()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["", *ENCODINGS]), st.binary(max_size=2000), st.integers(1, 9))
def test_round_trip(encoding: str, data: bytes, level: int) -> None:
    """What was compressed comes back, at every level, with a limit of exactly its size."""
    assert decompress(encoding, compress(encoding, data, level), len(data)) == data


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_streamed_by_other_libraries(encoding: str) -> None:
    """Streams without a declared length are read, over many pieces of input and output."""
    assert decompress(encoding, _stream(encoding, PLAIN), len(PLAIN)) == PLAIN


def test_gzip_file() -> None:
    """A gzip file with name and time, as the standard library writes it, is read."""
    buffer = io.BytesIO()
    with gzip.GzipFile("trace.pb", "wb", fileobj=buffer) as file:
        file.write(PLAIN)
    assert decompress("gzip", buffer.getvalue(), len(PLAIN)) == PLAIN


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_concatenated(encoding: str) -> None:
    """Several gzip members or zstd frames are one body, and the limit is for their sum."""
    twice = compress(encoding, PLAIN) * 2
    assert decompress(encoding, twice, 2 * len(PLAIN)) == PLAIN + PLAIN
    with pytest.raises(TooLarge):
        decompress(encoding, twice, 2 * len(PLAIN) - 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_byte_over_the_limit(encoding: str) -> None:
    """The limit is exact."""
    data = compress(encoding, PLAIN)
    assert decompress(encoding, data, len(PLAIN)) == PLAIN
    with pytest.raises(TooLarge):
        decompress(encoding, data, len(PLAIN) - 1)


@pytest.mark.parametrize("encoding", ["", *ENCODINGS])
def test_limit_zero_and_no_bytes(encoding: str) -> None:
    """No bytes at all are an empty body under any coding."""
    assert decompress(encoding, b"", 0) == b""


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [1, 33, 300, 1000, 5000])
def test_every_truncation_is_refused(encoding: str, size: int) -> None:
    """A body cut short anywhere is refused, never taken for a shorter one."""
    for data in (compress(encoding, os.urandom(size)), _stream(encoding, b"a" * size)):
        for cut in range(1, len(data)):
            with pytest.raises(DecodeError):
                decompress(encoding, data[:cut], MIB)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_something_after_the_end(encoding: str) -> None:
    """Bytes after the end of the body are refused."""
    with pytest.raises(DecodeError):
        decompress(encoding, compress(encoding, PLAIN) + b"junk", 2 * len(PLAIN))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ENCODINGS), st.data())
def test_damage_is_refused_or_harmless(encoding: str, data: st.DataObject) -> None:
    """Flipped and random bytes give a result within the limit or one of our two errors."""
    good = bytearray(compress(encoding, b"hello world " * 50))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    for body in (bytes(good), data.draw(st.binary(max_size=200))):
        try:
            assert len(decompress(encoding, body, 1000)) <= 1000
        except (DecodeError, TooLarge):
            pass


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bomb_costs_no_more_than_the_limit(encoding: str) -> None:
    """256 MiB of zeros under a limit of 8 MiB are refused for at most the limit and a little."""
    bomb = _bomb(encoding, 256)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(encoding, bomb, 8 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 11 * MIB


def test_a_million_empty_gzip_members() -> None:
    """A body of empty members is given up early instead of starting a decompressor for each."""
    with pytest.raises(DecodeError):
        decompress("gzip", gzip.compress(b"") * 100_000, MIB)


def test_huge_zstd_window_is_refused() -> None:
    """A frame that declares a window of 128 MiB is refused before anything is reserved for it."""
    params = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    writer = zstandard.ZstdCompressor(compression_params=params).compressobj()
    body = writer.compress(b"x" * 1000) + writer.flush()
    with pytest.raises(DecodeError):
        decompress("zstd", body, 64 * MIB)


def test_lying_zstd_size() -> None:
    """A frame header that promises 4 GiB costs nothing and is refused."""
    frame = bytearray(zstandard.ZstdCompressor().compress(b"x" * 70_000))
    assert frame[4] & 0xC0 == 0x80  # the content size is the four bytes after the descriptor
    start = 5 if frame[4] & 0x20 else 6
    frame[start : start + 4] = b"\xff\xff\xff\xff"
    tracemalloc.start()
    try:
        with pytest.raises((DecodeError, TooLarge)):
            decompress("zstd", bytes(frame), MIB)
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", ""),
        ("identity", ""),
        ("none", ""),
        ("gzip", "gzip"),
        (" GZIP ", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate", "deflate"),
        ("zlib", "deflate"),
        ("zstd", "zstd"),
        ("br", None),
        ("snappy", None),
        ("gzip, zstd", None),
    ],
)
def test_canonical(header: str, name: str | None) -> None:
    """Header values map to our names; several codings at once are not supported."""
    assert canonical(header) == name


def test_unknown_encoding() -> None:
    """Unknown names are a DecodeError when reading and a ValueError when writing."""
    with pytest.raises(DecodeError):
        decompress("br", b"x", 10)
    with pytest.raises(ValueError, match="unsupported"):
        compress("br", b"x")
