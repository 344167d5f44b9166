"""Spans to payloads and payloads to spans, exactly, whichever of the two was first.

Laws: `decode(encode(span))` is the span, and `encode(decode(payload))` is the payload.

A payload of LiteLLM's becomes a span whose attributes hold every member (see `recorded`). A span
that an application sent becomes a payload whose members are derived, with the whole span in the
member `otel`; the way back takes that block and nothing else. Mixed cases keep both laws by
checking:

* A payload with a block whose other members were changed by somebody: the span of the block, with
  the difference in `litellm.residual`.
* A span that was a payload, but changed since (a processor added an attribute): the payload as its
  attributes say it now, with the whole span in a block that names its `source`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.errors import DecodeError
from genai_collector.formats.equal import same_span, span_without
from genai_collector.formats.json_text import MAX_DEPTH, depth, dumps, loads
from genai_collector.formats.litellm.fields import BLOCK, RESIDUAL, SOURCE, Payload
from genai_collector.formats.litellm.observed import ObservedWriter, is_llm_call
from genai_collector.formats.litellm.reader import checked
from genai_collector.formats.litellm.recorded import FROM_PAYLOAD, PayloadReader, recorded
from genai_collector.formats.otel_block import SOURCE as BLOCK_SOURCE
from genai_collector.formats.otel_block import BlockReader
from genai_collector.formats.residual import apply, diff, same
from genai_collector.model import Span, Value

_CHANGED: Final = "changed"
_SPAN: Final = "span"
# An operation nests a value three levels deeper.
_RESIDUAL_DEPTH: Final = MAX_DEPTH + 8


def encode_spans(spans: Sequence[Span], *, include_other_spans: bool = True) -> list[Payload]:
    """One payload per span, in order; never raises for what a span says.

    `include_other_spans=False` leaves out spans that are no call of a model.
    """
    encoder = SpanEncoder(include_other_spans=include_other_spans)
    return [payload for span in spans if (payload := encoder.encode(span)) is not None]


def decode_payloads(payloads: Iterable[Value]) -> list[Span]:
    """One span per payload, in order: of kind CLIENT and with ids derived from the payload, or the
    very span that the payload was made from. Raises DecodeError that names the payload."""
    decoder = PayloadDecoder()
    spans: list[Span] = []
    for at, value in enumerate(payloads):
        try:
            payload = checked(value)
            if depth(payload) > MAX_DEPTH:
                raise DecodeError(f"nested deeper than {MAX_DEPTH} levels")
            spans.append(decoder.decode(payload))
        except DecodeError as exc:
            raise DecodeError(f"record {at}: {exc}") from exc
    return spans


class SpanEncoder:
    """`encode_spans` span by span, for a caller that must know which payload is whose."""

    def __init__(self, *, include_other_spans: bool) -> None:
        self._codec = _Codec()
        self._others = include_other_spans

    def encode(self, span: Span) -> Payload | None:
        """The payload, or None for a span that is no call of a model and not wanted."""
        return self._codec.encode(span, others=self._others)


class PayloadDecoder:
    """`decode_payloads` one by one; what it decodes shares resources and scopes."""

    def __init__(self) -> None:
        self._codec = _Codec()

    def decode(self, payload: Payload) -> Span:
        """The span of a payload that `reader` gave, which bounds its nesting."""
        return self._codec.decode(payload)


class _Codec:
    """Both ways, with what is shared between items remembered."""

    def __init__(self) -> None:
        self._writer = ObservedWriter()
        self._blocks = BlockReader()
        self._payloads = PayloadReader()

    def encode(self, span: Span, *, others: bool) -> Payload | None:
        source = source_of(span)
        if source is None:
            seen = read_observation(span)
            return self._writer.payload(span, seen) if others or is_llm_call(seen) else None
        payload = self._candidate(span, source)
        if payload is not None and same_span(self.decode(payload), span):
            return payload
        for kind in (source, _SPAN):
            payload = self._with_block(span, kind)
            if payload is not None:
                return payload
        raise AssertionError("a span's own payload always takes a block")

    def decode(self, payload: Payload) -> Span:
        block = payload.get(BLOCK)
        span = self._blocks.span(block)
        if span is not None and isinstance(block, dict):
            restored = self._restored(payload, span, block.get(BLOCK_SOURCE))
            if restored is not None:
                return restored
        return self._payloads.span(payload)

    def _restored(self, payload: Payload, span: Span, source: Value) -> Span | None:
        """The span of the block, if it gives this payload again; else None."""
        marked = source_of(span) is not None
        if marked != isinstance(source, str):
            return None
        if marked:
            expected = self.encode(span, others=True)
            return span if expected is not None and same(expected, payload) else None
        difference = diff(self._writer.payload(span), payload)
        if difference:
            if SOURCE in span.attributes or RESIDUAL in span.attributes:
                return None
            span.attributes[SOURCE] = _CHANGED
            span.attributes[RESIDUAL] = dumps(difference).decode("utf-8")
        return span

    def _candidate(self, span: Span, source: str) -> Payload | None:
        """The payload that a marked span was, if its marks still say so."""
        if source == FROM_PAYLOAD:
            base: Value = recorded(span)
        else:
            base = self._writer.payload(span_without(span, (SOURCE, RESIDUAL)))
        residual = span.attributes.get(RESIDUAL)
        if isinstance(residual, str):
            try:
                base = apply(base, loads(residual, max_depth=_RESIDUAL_DEPTH))
            except DecodeError:
                return None
        if not isinstance(base, dict) or depth(base) > MAX_DEPTH:
            return None
        return base if is_payload(base) else None

    def _with_block(self, span: Span, source: str) -> Payload | None:
        """A payload with the whole span in a block, its other members made as `source` says."""
        payload = self._writer.payload(span) if source == _SPAN else self._candidate(span, source)
        if payload is None:
            return None
        block: Payload = {**self._writer.blocks.block(span), BLOCK_SOURCE: source}
        return {**payload, BLOCK: block}


def source_of(span: Span) -> str | None:
    """What a span says it was: a payload, a changed payload with a block, or neither."""
    said = span.attributes.get(SOURCE)
    return said if isinstance(said, str) and said in (FROM_PAYLOAD, _CHANGED) else None


def is_payload(value: Payload) -> bool:
    """Whether a decoder would take it."""
    try:
        checked(value)
    except DecodeError:
        return False
    return True
