"""Which trace goes to Noveum under which id.

Noveum takes each trace id once: what is posted under it later is ignored in silence. So the spans
that a batch has of a trace go together, and spans of it that come in a later batch (or do not fit
into one request) go as a part: a trace of its own, with an id made from its spans, that links to
the first (`noveum.continues_trace_id`). Nothing is held back here: what is not posted yet waits in
the queue, where it is counted and bounded.

A part that has no span without a parent never takes the trace's own id, so that the root's part
can have it whichever comes first, also in another process. Parts are remembered by a digest of
their spans, so that a retry goes under the same id; bounded, the oldest are forgotten.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from genai_collector.exporters._records import Piece
from genai_collector.formats import noveum
from genai_collector.model import Batch, Span

REMEMBERED: Final = 50_000
"""Traces whose id is known to be taken; about 10 MB."""


class TraceParts:
    """Makes the traces of batches."""

    def __init__(
        self, encoder: noveum.TraceEncoder, max_bytes: int, remembered: int = REMEMBERED
    ) -> None:
        self._encoder = encoder
        self._max_bytes = max_bytes
        self._remembered = remembered
        self._taken: OrderedDict[bytes, bytes] = OrderedDict()
        """Trace id -> digest of the part that has it."""

    def pieces(self, batch: Batch) -> list[Piece]:
        """One piece per trace of the batch, or several where one would be too large."""
        groups = noveum.group_traces(batch.view_spans())
        return [piece for spans in groups for piece in self._fitting(spans)]

    def refused(self, pieces: Sequence[Piece]) -> None:
        """These were not taken, so their ids are free again."""
        for piece in pieces:
            if not isinstance(piece.item, Span):
                continue
            spans = [piece.item, *piece.others]
            if self._taken.get(piece.item.trace_id) == _digest(spans):
                del self._taken[piece.item.trace_id]

    def _fitting(self, spans: list[Span]) -> list[Piece]:
        body = noveum.dump(self._encoder.encode(spans, self._part_id(spans)))
        if len(body) <= self._max_bytes or len(spans) == 1:
            return [Piece(spans[0], None, len(spans), body, spans[1:])]
        self.refused([Piece(spans[0], None, 0, b"", spans[1:])])
        middle = len(spans) // 2
        return [*self._fitting(spans[:middle]), *self._fitting(spans[middle:])]

    def _part_id(self, spans: Sequence[Span]) -> bytes:
        """The id under which these spans go; empty for the trace's own."""
        trace_id, digest = spans[0].trace_id, _digest(spans)
        has_root = trace_id and any(not span.parent_span_id for span in spans)
        if not has_root or self._taken.setdefault(trace_id, digest) != digest:
            return digest
        self._taken.move_to_end(trace_id)
        if len(self._taken) > self._remembered:
            self._taken.popitem(last=False)
        return b""


def _digest(spans: Sequence[Span]) -> bytes:
    ids = sorted(span.span_id for span in spans)
    return hashlib.sha256(b"part\0" + spans[0].trace_id + b"".join(ids)).digest()[:16]
