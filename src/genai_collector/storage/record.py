"""One record as it is stored: compressed, with a checksum.

The checksum is a CRC-32 over everything that is stored of a record, in its stored form. It is there
against disks, not against people: a CRC finds every burst of up to 32 bits and misses one in four
billion other damages, at a third of the cost of a cryptographic hash. What is checked first cannot
surprise the decompressor.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

import zstandard

from genai_collector.storage.statements import OVERHEAD_BYTES

RAW: Final = 0
ZSTD: Final = 1
_LEVEL: Final = 1
_MIN_TO_COMPRESS: Final = 128
_HEADER: Final = struct.Struct(">qqB")


class Corrupt(Exception):
    """A stored record is not what was stored; the message says what is wrong with it."""


class Row(NamedTuple):
    """The columns of a record, but for its id."""

    items: int
    size: int
    """Of the data as it was given."""
    codec: int
    checksum: int
    meta: bytes
    data: bytes

    @property
    def stored(self) -> int:
        """Bytes that it counts as."""
        return len(self.data) + len(self.meta) + OVERHEAD_BYTES


class Packer:
    """Makes rows of records and records of rows. For one thread."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()

    def pack(self, data: bytes, meta: bytes, items: int, compressed: bool) -> Row:
        """The row; data that is `compressed` already, or does not become smaller, stays."""
        codec, stored = RAW, data
        if not compressed and len(data) >= _MIN_TO_COMPRESS:
            smaller = self._compressor.compress(data)
            if len(smaller) < len(data):
                codec, stored = ZSTD, smaller
        size = len(data)
        return Row(items, size, codec, _checksum(items, size, codec, meta, stored), meta, stored)

    def unpack(self, row: Row) -> bytes:
        """The data as it was given. Raises Corrupt."""
        items, size, codec, checksum, meta, data = row
        if not _plausible(row):
            raise Corrupt("its columns are not those of a record")
        if _checksum(items, size, codec, meta, data) != checksum:
            raise Corrupt("its checksum does not match")
        if codec == RAW:
            return data
        if codec != ZSTD:
            raise Corrupt(f"it is stored in an unknown form, {codec}")
        try:
            # The size is under the checksum: it may be believed.
            return self._decompressor.decompress(data, max_output_size=size)
        except zstandard.ZstdError as exc:
            raise Corrupt("it cannot be decompressed") from exc


def _plausible(row: Row) -> bool:
    """SQLite keeps any type in any column, and a damaged file may hold any."""
    numbers = (row.items, row.size, row.codec, row.checksum)
    return (
        all(type(number) is int for number in numbers)
        and 0 <= row.codec < 256
        and type(row.meta) is bytes
        and type(row.data) is bytes
    )


def _checksum(items: int, size: int, codec: int, meta: bytes, data: bytes) -> int:
    start = zlib.crc32(_HEADER.pack(items, size, codec) + meta)
    return zlib.crc32(data, start)
