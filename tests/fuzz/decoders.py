"""Every decoder that bytes from outside reach, with real payloads to spoil."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.formats.langfuse.ingestion import judge_events, load_json
from genai_collector.model import Signal
from tests.fuzz.mutate import SEEDS
from tests.support.captures import FIXTURES

_MAX_BYTES: Final = 60_000


class Decoder(NamedTuple):
    """What a receiver does with a body, up to the items and on to another format."""

    name: str
    path: str
    """The route that leads to it, POST."""
    media: str
    seeds: list[bytes]
    run: Callable[[bytes], object]


def _files(folder: str, pattern: str = "*.json") -> list[bytes]:
    bodies = [path.read_bytes() for path in sorted((FIXTURES / folder).glob(pattern))]
    return [body for body in bodies if 0 < len(body) <= _MAX_BYTES]


_SCORE: Final = b'{"id":"s","traceId":"t","name":"n","value":0.5,"comment":"c","metadata":{"a":1}}'


def _otlp_protobuf(signal: Signal, body: bytes) -> object:
    batch = otlp.batch_from_protobuf(signal, body)
    return otlp.encode_json(signal, otlp.decode(signal, batch.encoded()))


def _otlp_json(signal: Signal, body: bytes) -> object:
    return otlp.encode(signal, otlp.decode_json(signal, body).items)


def _langfuse(body: bytes) -> object:
    spans = langfuse.decode_batch(langfuse.parse_ingestion(body).events)
    return langfuse.encode_spans(spans)


def _scores(body: bytes) -> object:
    given: Any = load_json(body)
    bodies = given if isinstance(given, list) else [given]
    stamp = "2025-01-01T00:00:00Z"
    events: list[Any] = [
        {"id": "1", "type": "score-create", "timestamp": stamp, "body": b} for b in bodies
    ]
    return langfuse.decode_scores(judge_events(events).events)


def _litellm(body: bytes) -> object:
    parsed = litellm.parse_each(body)
    decoder = litellm.PayloadDecoder()
    spans = [decoder.decode(payload) for _, payload in parsed.payloads]
    return [litellm.dump(payload) for payload in litellm.encode_spans(spans)]


def _noveum(body: bytes) -> object:
    document = noveum.read_document(body)
    return [noveum.dump(record) for record in noveum.encode_spans(document.spans)]


_OTLP_PATHS: Final = {signal: f"/v1/{signal}" for signal in Signal}
_TRACE: Final = (
    b'{"traces":[{"trace_id":"t","name":"n","start_time":"2025-01-01T00:00:00Z","spans":'
    b'[{"span_id":"s","name":"n","attributes":{"a":1},"events":[]}]}]}'
)
_NDJSON: Final = b'{"id":"1","timestamp":"2025-01-01T00:00:00Z"}\n{"id":"2"}\n'

DECODERS: Final = [
    *(
        Decoder(
            f"otlp {signal} {kind}",
            _OTLP_PATHS[signal],
            f"application/{'json' if is_json else 'x-protobuf'}",
            [seed.body for seed in SEEDS if seed.signal is signal and seed.is_json is is_json],
            partial(_otlp_json if is_json else _otlp_protobuf, signal),
        )
        for signal in Signal
        for kind, is_json in (("protobuf", False), ("json", True))
    ),
    Decoder(
        "langfuse ingestion", "/api/public/ingestion", "application/json",
        _files("langfuse"), _langfuse,
    ),
    Decoder(
        "langfuse scores", "/api/public/scores", "application/json",
        [_SCORE, b"[" + _SCORE + b"]"], _scores,
    ),
    Decoder(
        "langfuse otel", "/api/public/otel/v1/traces", "application/json",
        [seed.body for seed in SEEDS if seed.signal is Signal.TRACES and seed.is_json],
        partial(_otlp_json, Signal.TRACES),
    ),
    Decoder(
        "litellm", "/litellm", "application/json",
        [*_files("litellm"), *_files("litellm", "*.ndjson")], _litellm,
    ),
    Decoder(
        "noveum documents", "/ai-gateway-metrics/_doc", "application/json",
        [*_files("noveum"), _NDJSON], _noveum,
    ),
    Decoder("noveum logs", "/v1/logs/noveum", "application/json", _files("noveum"), _noveum),
    Decoder(
        "noveum traces", "/v1/traces", "application/json",
        [_TRACE], _noveum,
    ),
]  # fmt: skip
"""In the order of the receivers."""
