"""Spans to records and records to spans, exactly, whichever of the two was first.

Laws: `decode(encode(span))` is the span, and `encode(decode(record))` is the record.

A record that a gateway wrote becomes a span whose attributes hold every member; what the way back
would not rebuild is in `noveum.residual` (operations, see `residual`). A span that an application
sent becomes a record whose members are derived, with the whole span in `attributes.otel`; the way
back takes that block and nothing else. Mixed cases keep both laws by checking:

* A record with a block whose other members were changed by somebody: the span of the block, with
  the difference in `noveum.residual` and the spelling it was made against beside it.
* A span that was a record, but changed since (a processor added an attribute): the record as its
  attributes say it now, with the whole span in a block that names its `source`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.errors import DecodeError
from genai_collector.formats.equal import same_span, span_without
from genai_collector.formats.json_text import MAX_DEPTH, depth, dumps, loads
from genai_collector.formats.noveum import fields
from genai_collector.formats.noveum.fields import Record, Spelling, spelling_of
from genai_collector.formats.noveum.observed import ObservedWriter, is_llm_call
from genai_collector.formats.noveum.recorded import RecordReader, recorded
from genai_collector.formats.otel_block import SOURCE, BlockReader
from genai_collector.formats.residual import apply, diff, same
from genai_collector.model import Span, Value

_RECORD: Final = "record"
_CHANGED: Final = "changed"
_SPAN: Final = "span"
# An operation nests a value three levels deeper.
_RESIDUAL_DEPTH: Final = MAX_DEPTH + 8


def encode_spans(
    spans: Sequence[Span], *, include_other_spans: bool = True, spelling: Spelling = "gateway"
) -> list[Record]:
    """One record per span, in order; never raises for what a span says.

    `include_other_spans=False` leaves out spans that are no call of a model. `spelling` is for
    spans that were no records before; those that were come back in their own.
    """
    codec = _Codec()
    return [
        record
        for span in spans
        if (record := codec.encode(span, spelling, others=include_other_spans)) is not None
    ]


def decode_records(records: Iterable[Value]) -> list[Span]:
    """One span per record, in order, of kind CLIENT and with ids derived from the record, or the
    very span that the record was made from. Raises DecodeError that names the record."""
    decoder = RecordDecoder()
    spans: list[Span] = []
    for at, record in enumerate(records):
        try:
            spans.append(decoder.decode(record))
        except DecodeError as exc:
            raise DecodeError(f"record {at}: {exc}") from exc
    return spans


class RecordDecoder:
    """`decode_records` one by one; what it decodes shares resources and scopes."""

    def __init__(self) -> None:
        self._codec = _Codec()

    def decode(self, record: Value) -> Span:
        """The span of a record. Raises DecodeError that does not name the record."""
        if not isinstance(record, dict):
            raise DecodeError("not an object")
        if depth(record) > MAX_DEPTH:
            raise DecodeError(f"nested deeper than {MAX_DEPTH} levels")
        return self._codec.decode(record)


class SpanEncoder:
    """`encode_spans` span by span, for a caller that must know which record is whose."""

    def __init__(self, spelling: Spelling, *, include_other_spans: bool) -> None:
        self._codec = _Codec()
        self._spelling: Spelling = spelling
        self._others = include_other_spans

    def encode(self, span: Span) -> Record | None:
        """The record, or None for a span that is no call of a model and not wanted."""
        return self._codec.encode(span, self._spelling, others=self._others)


class _Codec:
    """Both ways, with what is shared between items remembered."""

    def __init__(self) -> None:
        self._writers: dict[Spelling, ObservedWriter] = {}
        self._blocks = BlockReader()
        self._records = RecordReader()

    def _writer(self, spelling: Spelling) -> ObservedWriter:
        writer = self._writers.get(spelling)
        if writer is None:
            writer = self._writers[spelling] = ObservedWriter(spelling)
        return writer

    def encode(self, span: Span, spelling: Spelling, *, others: bool) -> Record | None:
        source = source_of(span)
        if source is None:
            seen = read_observation(span)
            if not (others or is_llm_call(seen)):
                return None
            return self._writer(spelling).record(span, seen)
        record = self._candidate(span, source)
        if record is not None and same_span(self.decode(record), span):
            return record
        for kind in (source, _SPAN):
            record = self._with_block(span, kind, spelling)
            if record is not None:
                return record
        raise AssertionError("a span's own record always takes a block")

    def decode(self, record: Record) -> Span:
        spelling = spelling_of(record)
        block = fields.get_path(record, ("attributes", "otel"))
        span = None if isinstance(block, fields._Absent) else self._blocks.span(block)
        if span is not None and isinstance(block, dict):
            restored = self._restored(record, span, block.get(SOURCE), spelling)
            if restored is not None:
                return restored
        span = self._records.span(record, spelling)
        _note_residual(span, diff(recorded(span, spelling, record), record))
        return span

    def _restored(
        self, record: Record, span: Span, source: Value, spelling: Spelling
    ) -> Span | None:
        """The span of the block, if it gives this record again; else None."""
        marked = source_of(span) is not None
        if marked != isinstance(source, str):
            return None
        if marked:
            expected = self.encode(span, spelling, others=True)
            return span if expected is not None and same(expected, record) else None
        difference = diff(self._writer(spelling).record(span), record)
        if difference:
            if fields.RESIDUAL in span.attributes:
                return None
            _note_residual(span, difference)
            span.attributes[fields.RESIDUAL_SPELLING] = spelling
        return span

    def _candidate(self, span: Span, source: str) -> Record | None:
        """The record that a marked span was, if its marks still say so."""
        said = span.attributes
        spelling = _spelling(said.get(_MARKS.get(source, "")))
        if spelling is None:
            return None
        if source == _RECORD:
            base: Value = recorded(span, spelling)
        else:
            base = self._writer(spelling).record(span_without(span, _RESIDUALS))
        residual = said.get(fields.RESIDUAL)
        if isinstance(residual, str):
            try:
                base = apply(base, loads(residual, max_depth=_RESIDUAL_DEPTH))
            except DecodeError:
                return None
        return base if isinstance(base, dict) and depth(base) <= MAX_DEPTH else None

    def _with_block(self, span: Span, source: str, spelling: Spelling) -> Record | None:
        """A record with the whole span in a block, its other members made as `source` says."""
        writer = self._writer(spelling)
        record = writer.record(span) if source == _SPAN else self._candidate(span, source)
        attributes = None if record is None else record.get("attributes")
        if record is None or not isinstance(attributes, dict):
            return None
        block: Record = {**writer.blocks.block(span), SOURCE: source}
        return {**record, "attributes": {**attributes, "otel": block}}


_RESIDUALS: Final = (fields.RESIDUAL, fields.RESIDUAL_SPELLING)
_MARKS: Final = {_RECORD: fields.SPELLING, _CHANGED: fields.RESIDUAL_SPELLING}


def source_of(span: Span) -> str | None:
    """What a span says it was: a record, a changed record with a block, or neither."""
    if fields.RESIDUAL_SPELLING in span.attributes:
        return _CHANGED
    return _RECORD if fields.SPELLING in span.attributes else None


def _spelling(value: Value) -> Spelling | None:
    if value == "gateway":
        return "gateway"
    return "seed" if value == "seed" else None


def _note_residual(span: Span, difference: list[Value]) -> None:
    if difference:
        span.attributes[fields.RESIDUAL] = dumps(difference).decode("utf-8")
