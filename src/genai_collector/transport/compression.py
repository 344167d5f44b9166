"""Compression of whole bodies: the content codings of OTLP over HTTP.

Strategy: output is collected piece by piece and counted, so that a body which would grow over the
limit is given up having cost the limit and one piece; nothing a header declares (gzip's trailing
size, zstd's content size or window) is believed. Both functions are synchronous and release the
interpreter lock while they work: call them through `asyncio.to_thread` for large bodies.

`deflate` is a zlib stream (RFC 1950), as HTTP defines it; `zlib` is otelcol's other name for it.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import zstandard

from genai_collector.errors import DecodeError, TooLarge

IDENTITY: Final = frozenset({"", "identity", "none"})
"""The names of no compression."""

ENCODINGS: Final = ("gzip", "deflate", "zstd")
"""The codings to offer, most common first."""

LARGE_BODY_BYTES: Final = 256 * 1024
"""From this size on, (de)compressing takes longer than handing the work to a thread."""

_PIECE_IN: Final = 64 * 1024
_PIECE_OUT: Final = 256 * 1024
_MAX_GZIP_MEMBERS: Final = 1024
# RFC 9659: who speaks zstd over HTTP need not accept a window over 8 MB.
_MAX_ZSTD_WINDOW: Final = 8 * 1024 * 1024
_GZIP_WBITS: Final = 31
_ZLIB_WBITS: Final = 15
_DEFAULT_LEVELS: Final = {"gzip": 1, "deflate": 1, "zlib": 1, "zstd": 3}


class _Sink:
    """Collects output up to a limit. A BytesIO gives its bytes up without copying them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = io.BytesIO()

    def write(self, piece: bytes) -> int:
        if self._buffer.tell() + len(piece) > self._limit:
            raise TooLarge("the decompressed body is over the size limit")
        return self._buffer.write(piece)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def value(self) -> bytes:
        return self._buffer.getvalue()

    def ends_with(self, tail: bytes) -> bool:
        """Whether `tail` is the end of what was collected; takes it off if so."""
        start = self._buffer.tell() - len(tail)
        if start < 0:
            return False
        self._buffer.seek(start)
        found = self._buffer.read()
        if found != tail:
            return False
        self._buffer.truncate(start)
        return True


def _outputs(stream: zlib._Decompress, piece: bytes | memoryview) -> Iterator[bytes]:
    while True:
        output = stream.decompress(piece, _PIECE_OUT)
        yield output
        # A full output means that there may be more in the window, even with no input left.
        if len(output) < _PIECE_OUT or stream.eof:
            return
        piece = stream.unconsumed_tail


def _inflate(data: bytes, limit: int, *, wbits: int, members: int) -> bytes:
    sink = _Sink(limit)
    view = memoryview(data)
    at = 0
    for _ in range(members):
        stream = zlib.decompressobj(wbits)
        while not stream.eof:
            # Fed in pieces, because what is left of an input is copied after each call.
            piece = view[at : at + _PIECE_IN]
            if not piece:
                raise DecodeError("the compressed body ends early")
            at += len(piece)
            for output in _outputs(stream, piece):
                sink.write(output)
        at -= len(stream.unused_data)
        if at == len(data):
            return sink.value()
    raise DecodeError("there is something after the end of the compressed body")


def _gunzip(data: bytes, limit: int) -> bytes:
    return _inflate(data, limit, wbits=_GZIP_WBITS, members=_MAX_GZIP_MEMBERS)


def _unzlib(data: bytes, limit: int) -> bytes:
    return _inflate(data, limit, wbits=_ZLIB_WBITS, members=1)


# The library does not tell whether a stream stopped at the end of a frame or inside one. So one
# more frame is fed after the data: its content comes out only if everything before was complete.
_SEAL: Final = b"\0" * 64
_SEAL_FRAME: Final = zstandard.ZstdCompressor(level=1).compress(_SEAL)


def _unzstd(data: bytes, limit: int) -> bytes:
    sink = _Sink(limit + len(_SEAL))
    stream = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
    writer = stream.stream_writer(sink, write_size=_PIECE_OUT, closefd=False)  # type: ignore[arg-type]
    writer.write(data)
    # In two halves: given a whole frame at once, the library forgets a header cut short before it.
    half = len(_SEAL_FRAME) // 2
    writer.write(_SEAL_FRAME[:half])
    writer.write(_SEAL_FRAME[half:])
    if not sink.ends_with(_SEAL):
        raise DecodeError("the compressed body ends early")
    value = sink.value()
    if len(value) > limit:
        raise TooLarge("the decompressed body is over the size limit")
    return value


_DECOMPRESSORS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _unzlib,
    "zlib": _unzlib,
    "zstd": _unzstd,
}


_CANONICAL: Final = {"x-gzip": "gzip", "zlib": "deflate"}


def canonical(encoding: str) -> str | None:
    """The name in `ENCODINGS` of what a Content-Encoding header says; empty for no compression,
    None for one that is not supported."""
    name = encoding.strip().lower()
    if name in IDENTITY:
        return ""
    return _CANONICAL.get(name, name) if name in _DECOMPRESSORS else None


def canonical_of(headers: Sequence[str]) -> str | None:
    """`canonical` of all Content-Encoding headers of one request. None also for more than one:
    nested codings have no use here but to hide a bomb."""
    return canonical(headers[0] if headers else "") if len(headers) < 2 else None


def decompress(encoding: str, data: bytes, limit: int) -> bytes:
    """The body that `data` is under `encoding`: none/identity, gzip, deflate (= zlib) or zstd.

    Raises TooLarge if the result would be over `limit` bytes, having used no more memory than
    that, and DecodeError if `data` is corrupt, cut short or followed by something else.
    """
    if encoding in IDENTITY:
        if len(data) > limit:
            raise TooLarge("the body is over the size limit")
        return data
    decompressor = _DECOMPRESSORS.get(encoding)
    if decompressor is None:
        raise DecodeError("the body has an unsupported compression")
    if not data:
        return data
    try:
        return decompressor(data, limit)
    except (zlib.error, zstandard.ZstdError) as exc:
        raise DecodeError(f"the body is not valid {encoding}") from exc


def compress(encoding: str, data: bytes, level: int | None = None) -> bytes:
    """`data` under `encoding`. Default levels favour speed: gzip and deflate 1, zstd 3.

    Raises ValueError for an encoding that is none of ours.
    """
    if encoding in IDENTITY:
        return data
    if encoding not in _DEFAULT_LEVELS:
        raise ValueError(f"unsupported compression {encoding!r}")
    level = _DEFAULT_LEVELS[encoding] if level is None else level
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=level).compress(data)
    return zlib.compress(data, level, wbits=_GZIP_WBITS if encoding == "gzip" else _ZLIB_WBITS)
