"""From the bytes of one request to a batch in the pipelines, whatever it came over.

Bytes are checked at the door and then kept; JSON is decoded here, because nothing behind the door
speaks it. An empty request is a success that nobody behind the door hears of. Work that takes long
is handed to a thread, so that one huge request does not hold up the others.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from genai_collector.component import ACCEPTED, Acceptance, Consumer, Context
from genai_collector.errors import PipelineError
from genai_collector.formats.otlp import batch_from_protobuf, batch_of, check_density, decode_json
from genai_collector.model import Batch, Compressed, Signal
from genai_collector.receivers._http import check_json_density, work
from genai_collector.transport.compression import decompress
from genai_collector.transport.http_body import hold

_MAX_ERRORS_TOLD: Final = 5
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZLIB_HEADERS: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def guess_encoding(message: bytes) -> str:
    """How a gRPC message is compressed, judged by its first bytes, which no OTLP request has."""
    if message[:2] == _GZIP_MAGIC:
        return "gzip"
    return "deflate" if message[:2] in _ZLIB_HEADERS else ""


class Ingest:
    """The way in for one signal over one transport (`http` or `grpc`)."""

    def __init__(
        self,
        signal: Signal,
        consumer: Consumer,
        context: Context,
        transport: str,
        limit: int,
        max_values: int,
    ) -> None:
        self.signal = signal
        self.limit = limit
        self._max_values = max_values
        self._consumer = consumer
        self._context = context
        self._transport = transport

    def admit(self, size_bytes: int) -> AbstractContextManager[None]:
        """Room for a request of this size, to be held until it is answered."""
        return self._consumer.admit(size_bytes)

    def refused_request(self, endpoint: str, reason: str) -> None:
        """Count a request that brought nothing."""
        self._context.telemetry.refused_request(endpoint, self._transport, reason)

    async def take_protobuf(self, body: bytes, encoding: str) -> Acceptance:
        """Take a request in protobuf. Raises PipelineError; then nothing was taken."""
        if not encoding:
            await work(len(body), check_density, self.signal, body, self._max_values)
            return await self._consume(batch_from_protobuf(self.signal, body))
        data = await self.decompressed(body, encoding)
        await work(len(data), check_density, self.signal, data, self._max_values)
        compressed = Compressed(encoding, body)
        return await self._consume(batch_from_protobuf(self.signal, data, compressed))

    async def decompressed(self, body: bytes, encoding: str) -> bytes:
        """A body as it was before its content coding. Raises TooLarge, DecodeError or Overloaded
        (all bodies together are too much)."""
        data = await work(len(body), decompress, encoding, body, self.limit)
        if data is not body:
            hold(len(data))
        return data

    async def json(self, body: bytes, encoding: str) -> bytes:
        """`decompressed`, where that is JSON; TooLarge also if it has too many values in it."""
        data = await self.decompressed(body, encoding)
        check_json_density(data, self._max_values)
        return data

    async def take_json(self, data: bytes) -> Acceptance:
        """Take a request in JSON. Raises PipelineError; then nothing was taken."""
        if not data:
            return ACCEPTED
        batch, unread = await work(len(data), self._decode_json, data)
        if unread.rejected:
            self._refused(unread.rejected)
        acceptance = await self._consume(batch)
        if not unread.message:
            return acceptance
        messages = [text for text in (unread.message, acceptance.message) if text]
        return Acceptance(unread.rejected + acceptance.rejected, "; ".join(messages))

    def _decode_json(self, data: bytes) -> tuple[Batch, Acceptance]:
        decoded = decode_json(self.signal, data)
        told = "; ".join(decoded.errors[:_MAX_ERRORS_TOLD])
        return batch_of(self.signal, decoded.items), Acceptance(decoded.rejected, told)

    async def _consume(self, batch: Batch) -> Acceptance:
        count = batch.count  # the pipelines own the batch afterwards
        if not count:
            return ACCEPTED
        try:
            acceptance = await self._consumer.consume(batch)
        except PipelineError:
            self._refused(count)
            raise
        self._context.telemetry.received(
            self._context.id, self._transport, self.signal, count - acceptance.rejected
        )
        if acceptance.rejected:
            self._refused(acceptance.rejected)
        return acceptance

    def _refused(self, items: int) -> None:
        self._context.telemetry.refused(self._context.id, self._transport, self.signal, items)
