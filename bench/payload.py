"""Realistic load: requests of OpenLIT chat spans, about 3.6 kB each, every prompt unique.

The shape follows a recorded OpenLIT span: 30 attributes, of which most repeat from span to span
(provider, model, service), some are small and unique (ids, counts) and two are long and unique
(the messages), and two span events with the same content, as OpenLIT's older releases send.
"""

from __future__ import annotations

import json
import random
import string

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SPANS_PER_REQUEST = 512
_WORDS = [
    "".join(random.Random(n).choices(string.ascii_lowercase, k=3 + n % 7)) for n in range(9973)
]


def text(rng: random.Random, size: int) -> str:
    words: list[str] = []
    length = 0
    while length < size:
        word = rng.choice(_WORDS)
        words.append(word)
        length += len(word) + 1
    return " ".join(words)


def _attribute(key: str, value: str | int | float | bool | list[str]) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    keyvalue = KeyValue(key=key)
    for item in value:
        keyvalue.value.array_value.values.add(string_value=item)
    return keyvalue


def _attributes(rng: random.Random, prompt: str, answer: str) -> list[KeyValue]:
    tokens_in, tokens_out = rng.randrange(100, 900), rng.randrange(50, 700)
    message = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    reply = [{"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": "stop"}]  # fmt: skip  # noqa: E501
    values: dict[str, str | int | float | bool | list[str]] = {
        "telemetry.sdk.name": "openlit",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "deployment.environment": "production",
        "service.name": "checkout-bot",
        "gen_ai.request.stream": False,
        "gen_ai.server.time_per_output_token": 0,
        "gen_ai.server.time_to_first_token": rng.random(),
        "gen_ai.sdk.version": "2.54.0",
        "openai.api.type": "chat_completions",
        "gen_ai.request.seed": 0,
        "gen_ai.request.frequency_penalty": 0.0,
        "gen_ai.request.presence_penalty": 0.0,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.user": "",
        "gen_ai.response.id": f"chatcmpl-{rng.getrandbits(96):024x}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.output.type": "text",
        "openai.response.system_fingerprint": "fp_07871e2ad8",
        "gen_ai.usage.input_tokens": tokens_in,
        "gen_ai.usage.output_tokens": tokens_out,
        "gen_ai.client.token.usage": tokens_in + tokens_out,
        "gen_ai.usage.cost": tokens_in * 1.5e-07 + tokens_out * 6e-07,
        "gen_ai.input.messages": json.dumps(message),
        "gen_ai.output.messages": json.dumps(reply),
    }
    return [_attribute(key, value) for key, value in values.items()]


def request(seed: int, spans: int = SPANS_PER_REQUEST) -> bytes:
    """One encoded trace request with unique prompts; the same seed gives the same bytes."""
    rng = random.Random(seed)
    export = ExportTraceServiceRequest()
    resource_spans = export.resource_spans.add()
    for key, value in {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "openlit",
        "service.name": "checkout-bot",
        "deployment.environment": "production",
    }.items():
        resource_spans.resource.attributes.append(_attribute(key, value))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "openlit.instrumentation.openai"
    for number in range(spans):
        start = 1_750_000_000_000_000_000 + seed * 10**12 + number * 10**7
        prompt, answer = text(rng, 520), text(rng, 520)
        span = scope_spans.spans.add(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name="chat gpt-4o-mini",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=start,
            end_time_unix_nano=start + rng.randrange(10**8, 10**10),
            flags=256,
        )
        span.status.code = Status.STATUS_CODE_OK
        span.attributes.extend(_attributes(rng, prompt, answer))
        for name, key, value in (
            ("gen_ai.content.prompt", "gen_ai.prompt", f"user: {prompt}"),
            ("gen_ai.content.completion", "gen_ai.completion", answer),
        ):
            event = span.events.add(name=name, time_unix_nano=start)
            event.attributes.append(_attribute(key, value))
    return export.SerializeToString()


def requests(count: int, spans: int = SPANS_PER_REQUEST) -> list[bytes]:
    """`count` different requests."""
    return [request(seed, spans) for seed in range(count)]
