"""The way back for spans that were a Langfuse batch once: what the mapping changes is put right.

`encode_spans` and `scores_from_logs` here are those of `events` and `scores`, and then, for items
that `decode` made: ids that are no OTLP ids are the producer's own again, content and metadata
that travelled as JSON text are values, a root that was made for a trace is that trace alone, and
a trace gets nothing that only its spans had. All other items pass untouched.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, cast

from genai_collector.formats.langfuse import events as plain_events
from genai_collector.formats.langfuse import scores as plain_scores
from genai_collector.formats.langfuse import span_attributes as words
from genai_collector.formats.langfuse import unmapped as plain_loss
from genai_collector.formats.langfuse import unread
from genai_collector.formats.langfuse.events import EncodedEvent
from genai_collector.formats.langfuse.instants import iso_exact
from genai_collector.formats.langfuse.keys import TRACE_METADATA_KEY
from genai_collector.formats.langfuse.merge import Object, body_of
from genai_collector.formats.langfuse.metadata import user_metadata
from genai_collector.formats.langfuse.reading import read_attributes
from genai_collector.formats.langfuse.score_logs import score_event
from genai_collector.formats.langfuse.values import JSON, parse_json
from genai_collector.formats.loss import Loss
from genai_collector.model import Items, LogRecord, Scope, Span, Value

_TRACE_CREATE: Final = "trace-create"
_RESTORED: Final = frozenset({"kind", "nanoseconds"})
_OURS: Final = ("resourceAttributes", "scope", "otel")
"""Metadata that the mapping adds and the producer did not send."""


def encode_spans(
    spans: Sequence[Span],
    *,
    seen_traces: Container[str] = (),
    now_ns: int = 0,
    keep_unmapped: bool = False,
) -> list[EncodedEvent]:
    """The events of these spans, in order.

    A trace that no span here describes gets a bare `trace-create`, unless its id (hex) is among
    `seen_traces`. `now_ns` stands in for spans without any time. With `keep_unmapped`, what
    Langfuse's mapping drops is kept in `metadata.otel`. Spans without ids give no event.
    """
    encoded = plain_events.encode_spans(
        spans, seen_traces=seen_traces, now_ns=now_ns, keep_unmapped=keep_unmapped
    )
    batches = {id(span.scope): _is_from_batch(span) for span in spans}
    if not any(batches.values()):
        return encoded
    restored: list[EncodedEvent] = []
    for one in encoded:
        span = spans[cast("int", one.span_index)]
        if not batches[id(span.scope)]:
            restored.append(one)
        elif one.event["type"] == _TRACE_CREATE:
            _restore_trace(one.event, span)
            restored.append(one)
        elif not span.attributes.get(words.SYNTHETIC):
            _restore_observation(body_of(one.event), span)
            restored.append(one)
    return restored


def scores_from_logs(logs: Sequence[LogRecord]) -> list[EncodedEvent]:
    """One score per evaluation result; see `scores`."""
    made = {one.span_index: one for one in plain_scores.scores_from_logs(logs)}
    for index, record in enumerate(logs):
        event = score_event(record)
        if event is not None:
            made[index] = EncodedEvent(event, index)
    return [made[index] for index in sorted(cast("dict[int, EncodedEvent]", made))]


def sdk_of(items: Items) -> dict[str, JSON]:
    """The SDK of the batch that these items come from, in the words of a batch's metadata; empty
    if they come from none, or from several."""
    scopes = list({id(one.scope): one.scope for one in items if hasattr(one, "scope")}.values())
    said = [_sdk(scope) for scope in scopes]
    return said[0] if said and all(one == said[0] for one in said) else {}


def _sdk(scope: Scope) -> dict[str, JSON]:
    if scope.attributes.get(words.API_ATTRIBUTE) != words.BATCH_API:
        return {}
    said: dict[str, Value] = {
        "sdk_name": scope.attributes.get(words.SDK_NAME),
        "sdk_version": scope.version,
        "sdk_integration": scope.attributes.get(words.SDK_INTEGRATION),
    }
    return {key: value for key, value in said.items() if isinstance(value, str) and value}


def loss(spans: Sequence[Span]) -> list[Loss]:
    """Every field of these spans that the events do not carry; what `decode` derived or
    `encode_spans` restores is none."""
    bodies: dict[int | None, list[JSON]] = {}
    for one in encode_spans(spans):
        bodies.setdefault(one.span_index, []).append(one.event["body"])
    lost: list[Loss] = []
    for index, span in enumerate(spans):
        found = plain_loss.loss([span])
        if _is_from_batch(span):
            found = [one for one in found if one.field not in _RESTORED]
        elif index in bodies:
            found += unread.loss(span, bodies[index])
        lost += found
    return lost


def _is_from_batch(span: Span) -> bool:
    return span.scope.attributes.get(words.API_ATTRIBUTE) == words.BATCH_API


def _restore_trace(event: Object, span: Span) -> None:
    body, attributes = body_of(event), span.attributes
    reading = read_attributes(attributes)
    own = user_metadata(reading, TRACE_METADATA_KEY)
    body["id"] = own.pop(words.ORIGINAL_TRACE_ID, body["id"])
    body["metadata"] = {**_values(own), **_added(body)}
    for field, key in (
        ("timestamp", words.TRACE_TIMESTAMP),
        ("externalId", words.TRACE_EXTERNAL_ID),
    ):
        if isinstance(attributes.get(key), str):
            body[field] = cast("JSON", attributes[key])
    for field, key in (
        ("name", "langfuse.trace.name"),
        ("version", words.TRACE_VERSION),
        ("input", words.TRACE_INPUT),
        ("output", words.TRACE_OUTPUT),
    ):
        if key in attributes:
            body[field] = cast("JSON", attributes[key])
        else:
            body.pop(field, None)
    _parse_content(body)


def _restore_observation(body: Object, span: Span) -> None:
    metadata = body.get("metadata")
    own = dict(metadata) if isinstance(metadata, dict) else {}
    trace_id = span.attributes.get(f"{TRACE_METADATA_KEY}.{words.ORIGINAL_TRACE_ID}")
    if isinstance(trace_id, str):
        body["traceId"] = trace_id
    body["id"] = own.pop(words.ORIGINAL_ID, body["id"])
    parent = own.pop(words.ORIGINAL_PARENT_ID, None)
    if parent is not None:
        body["parentObservationId"] = parent
    elif span.attributes.get(words.PARENTLESS):
        body.pop("parentObservationId", None)
    added = _added(body)
    body["metadata"] = {**_values({k: v for k, v in own.items() if k not in added}), **added}
    _parse_content(body)
    attributes = span.attributes
    parameters = attributes.get(words.MODEL_PARAMETERS)
    if parameters is not None:
        body["modelParameters"] = _parsed(cast("JSON", parameters))
    if attributes.get(words.INHERITED_VERSION):
        body.pop("version", None)
    body["startTime"] = iso_exact(span.start_ns)
    if attributes.get(words.OPEN):
        body.pop("endTime", None)
    elif "endTime" in body:
        body["endTime"] = iso_exact(span.end_ns)


def _added(body: Object) -> Object:
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        return {}
    return {key: metadata[key] for key in _OURS if key in metadata}


def _values(metadata: Object) -> Object:
    return {key: _parsed(value) for key, value in metadata.items()}


def _parse_content(body: Object) -> None:
    for side in ("input", "output"):
        if side in body:
            body[side] = _parsed(body[side])


def _parsed(value: JSON) -> JSON:
    """Objects and lists that travelled as text; Langfuse stores the same text for both."""
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return parse_json(value)
    except ValueError:
        return value
