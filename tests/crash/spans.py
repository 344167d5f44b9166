"""Numbered spans whose every byte follows from the number, and the digest that proves it.

The span id is the number, the trace id the run and the number, so that what arrives can be matched
with what was sent without any list of both. Sizes vary from a note to a book.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

_WORDS: Final = [f"{random.Random(n).getrandbits(20 + n % 20):x}" for n in range(997)]
_SIZES: Final = (40, 40, 400, 400, 400, 4_000, 4_000, 40_000)
_RESOURCE: Final = Resource({"service.name": "numbered", "deployment.environment.name": "test"})
_SCOPE: Final = InstrumentationScope("tests.crash", "1")
_START_NS: Final = 1_750_000_000_000_000_000


class Seen(NamedTuple):
    """One span as it stands on the wire."""

    trace_id: str
    span_id: str
    digest: str

    @property
    def line(self) -> str:
        return f"{self.trace_id} {self.span_id} {self.digest}"


def span(run: int, number: int) -> ReadableSpan:
    """The span of this number (from 1): the same in every process."""
    rng = random.Random(run << 64 | number)
    prompt = f"number {number}: {' '.join(rng.choices(_WORDS, k=rng.choice(_SIZES) // 8))}"
    return ReadableSpan(
        name="chat gpt-4o-mini",
        context=SpanContext(run << 64 | number, number, False, TraceFlags(1)),
        kind=SpanKind.CLIENT,
        resource=_RESOURCE,
        instrumentation_scope=_SCOPE,
        attributes={
            "number": number,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": rng.randrange(10_000),
            "gen_ai.input.messages": prompt,
        },
        start_time=_START_NS + number * 1000,
        end_time=_START_NS + number * 1000 + rng.randrange(10**9),
    )


def sent(spans: list[ReadableSpan]) -> list[Seen]:
    """What a client sends when it exports these."""
    return list(seen(encode_spans(spans)))


def received(body: bytes) -> list[Seen]:
    """What is in a request."""
    return list(seen(ExportTraceServiceRequest.FromString(body)))


def seen(request: ExportTraceServiceRequest) -> Iterator[Seen]:
    """Every span with the digest of itself, its scope and its resource."""
    for of_resource in request.resource_spans:
        resource = of_resource.resource.SerializeToString(deterministic=True)
        for of_scope in of_resource.scope_spans:
            about = resource + of_scope.scope.SerializeToString(deterministic=True)
            for one in of_scope.spans:
                text = about + one.SerializeToString(deterministic=True)
                digest = hashlib.sha256(text).hexdigest()[:24]
                yield Seen(one.trace_id.hex(), one.span_id.hex(), digest)
