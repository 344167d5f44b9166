"""LiteLLM's StandardLoggingPayload: one JSON object per call of a model, success or failure.

    parse(data) -> payloads             dump(payload) -> bytes
    parse_each(data) -> the same, with what is no payload beside it instead of raised
    encode_spans(spans) -> payloads     decode_payloads(payloads) -> spans
    loss(spans) -> what of a span has no member in a payload

Every translation is exact both ways (see `codec`); docs/litellm.md has the mapping.
"""

from __future__ import annotations

from genai_collector.formats.litellm.codec import (
    PayloadDecoder,
    SpanEncoder,
    decode_payloads,
    encode_spans,
)
from genai_collector.formats.litellm.fields import Payload
from genai_collector.formats.litellm.losses import loss
from genai_collector.formats.litellm.reader import Parsed, Refused, dump, parse, parse_each
from genai_collector.formats.loss import Loss

__all__ = [
    "Loss",
    "Parsed",
    "Payload",
    "PayloadDecoder",
    "Refused",
    "SpanEncoder",
    "decode_payloads",
    "dump",
    "encode_spans",
    "loss",
    "parse",
    "parse_each",
]
