"""Spans, protobuf in both directions. Events and links stay encoded until someone asks."""

from __future__ import annotations

import struct
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from genai_collector.errors import DecodeError
from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.envelope import read_items, write_request
from genai_collector.formats.otlp.messages import (
    SpanMessage,
    parse_event,
    parse_link,
    parse_traces,
)
from genai_collector.formats.otlp.values import AttributesField, read_attributes, recall_pair
from genai_collector.model import Event, Link, Resource, Scope, Span

# --- decode ---------------------------------------------------------------------------------


def decode_spans(data: bytes) -> list[Span]:
    return read_items(parse_traces(data), _read_span)


def _read_span(message: SpanMessage, resource: Resource, scope: Scope) -> Span:
    # Attribute by attribute, because a call with so many keywords costs as much as all the rest.
    span = Span.__new__(Span)
    span.trace_id = message.trace_id
    span.span_id = message.span_id
    span.parent_span_id = message.parent_span_id
    span.trace_state = message.trace_state
    span.flags = message.flags
    span.name = message.name
    span.kind = message.kind
    span.start_ns = message.start_time_unix_nano
    span.end_ns = message.end_time_unix_nano
    span.attributes = read_attributes(message.attributes)
    status = message.status
    span.status_code = status.code
    span.status_message = status.message
    span.dropped_attributes_count = message.dropped_attributes_count
    span.dropped_events_count = message.dropped_events_count
    span.dropped_links_count = message.dropped_links_count
    span.resource = resource
    span.scope = scope
    span.set_encoded(list(message.events), decode_event, list(message.links), decode_link)
    return span


_unpack_fixed64: Final = struct.Struct("<Q").unpack_from
_NAMES: Final[dict[bytes, str]] = {}
"""Event names by their field, tag and length included, of the events that the protobuf runtime
has read."""
_MOST_NAMES: Final = 1024
_LONGEST_NAME: Final = 127


def decode_event(encoded: bytes) -> Event:
    """One event. Raises DecodeError."""
    try:
        return _read_short_event(encoded) or _read_event(encoded)
    except ProtobufError:
        raise DecodeError("a span event is not valid protobuf") from None


def _read_short_event(encoded: bytes) -> Event | None:
    """A time, a known name and at most one attribute, in the order that every encoder keeps.

    None for anything else. Tags: time_unix_nano 0x09, name 0x12, attributes 0x1a."""
    try:
        if encoded[0] != 0x09:
            return None
        at = 11 + encoded[10]
        name = _NAMES.get(encoded[9:at])
        if name is None:
            return None
        time_ns: int = _unpack_fixed64(encoded, 1)[0]
        total = len(encoded)
        if at == total:
            return Event(name, time_ns)
        if encoded[at] != 0x1A:
            return None
        size, at = encoded[at + 1], at + 2
        if size > 127:
            size, at = size - 128 + (encoded[at] << 7), at + 1
            if encoded[at - 1] > 127:
                size, at = size - 0x4000 + (encoded[at] << 14), at + 1
                if encoded[at - 1] > 127:
                    return None
        if at + size != total:
            return None
    except IndexError:
        return None
    key, value = recall_pair(encoded[at:])
    return Event(name, time_ns, {key: value})


def _read_event(encoded: bytes) -> Event:
    message = parse_event(encoded)
    name = message.name
    field = name.encode()
    if 0 < len(field) <= _LONGEST_NAME:
        if len(_NAMES) >= _MOST_NAMES:
            _NAMES.clear()
        _NAMES[bytes((0x12, len(field))) + field] = name
    return Event(
        name,
        message.time_unix_nano,
        read_attributes(message.attributes),
        message.dropped_attributes_count,
    )


def decode_link(encoded: bytes) -> Link:
    try:
        message = parse_link(encoded)
        attributes = read_attributes(message.attributes)
    except ProtobufError:
        raise DecodeError("a span link is not valid protobuf") from None
    return Link(
        message.trace_id,
        message.span_id,
        message.trace_state,
        attributes,
        message.dropped_attributes_count,
        message.flags,
    )


# --- encode ---------------------------------------------------------------------------------

_TRACE_ID: Final = wire.BytesField("span.trace_id", 1)
_SPAN_ID: Final = wire.BytesField("span.span_id", 2)
_TRACE_STATE: Final = wire.StringField("span.trace_state", 3)
_PARENT_SPAN_ID: Final = wire.BytesField("span.parent_span_id", 4)
_NAME: Final = wire.StringField("span.name", 5)
_KIND: Final = wire.enum_field("span.kind", 6)
_START: Final = wire.Fixed64Field("span.start_ns", 7)
_END: Final = wire.Fixed64Field("span.end_ns", 8)
_ATTRIBUTES: Final = AttributesField(9, levels=95)
_DROPPED_ATTRIBUTES: Final = wire.uint32_field("span.dropped_attributes_count", 10)
_EVENTS: Final = wire.BytesField("span.events", 11)
_DROPPED_EVENTS: Final = wire.uint32_field("span.dropped_events_count", 12)
_LINKS: Final = wire.BytesField("span.links", 13)
_DROPPED_LINKS: Final = wire.uint32_field("span.dropped_links_count", 14)
_STATUS: Final = wire.BytesField("span.status", 15)
_FLAGS: Final = wire.Fixed32Field("span.flags", 16)

_STATUS_MESSAGE: Final = wire.StringField("status.message", 2)
_STATUS_CODE: Final = wire.enum_field("status.code", 3)

_EVENT_TIME: Final = wire.Fixed64Field("event.time_ns", 1)
_EVENT_NAME: Final = wire.StringField("event.name", 2)
_EVENT_ATTRIBUTES: Final = AttributesField(3, levels=94)
_EVENT_DROPPED: Final = wire.uint32_field("event.dropped_attributes_count", 4)

_LINK_TRACE_ID: Final = wire.BytesField("link.trace_id", 1)
_LINK_SPAN_ID: Final = wire.BytesField("link.span_id", 2)
_LINK_TRACE_STATE: Final = wire.StringField("link.trace_state", 3)
_LINK_ATTRIBUTES: Final = AttributesField(4, levels=94)
_LINK_DROPPED: Final = wire.uint32_field("link.dropped_attributes_count", 5)
_LINK_FLAGS: Final = wire.Fixed32Field("link.flags", 6)


def encode_spans(spans: list[Span]) -> bytes:
    return write_request(spans, _write_span)


def _write_span(span: Span) -> bytes:
    events, links = span.encoded_events, span.encoded_links
    if events is None:
        events = [_write_event(event) for event in span.read_events()]
    if links is None:
        links = [_write_link(link) for link in span.read_links()]
    status = _STATUS_MESSAGE.write(span.status_message) + _STATUS_CODE.write(span.status_code)
    return b"".join(
        [
            _TRACE_ID.write(span.trace_id),
            _SPAN_ID.write(span.span_id),
            _TRACE_STATE.write(span.trace_state),
            _PARENT_SPAN_ID.write(span.parent_span_id),
            _NAME.write(span.name),
            _KIND.write(span.kind),
            _START.write(span.start_ns),
            _END.write(span.end_ns),
            _ATTRIBUTES.write(span.attributes),
            _DROPPED_ATTRIBUTES.write(span.dropped_attributes_count),
            *[_EVENTS.write_present(event) for event in events],
            _DROPPED_EVENTS.write(span.dropped_events_count),
            *[_LINKS.write_present(link) for link in links],
            _DROPPED_LINKS.write(span.dropped_links_count),
            _STATUS.write(status),
            _FLAGS.write(span.flags),
        ]
    )


def _write_event(event: Event) -> bytes:
    return b"".join(
        [
            _EVENT_TIME.write(event.time_ns),
            _EVENT_NAME.write(event.name),
            _EVENT_ATTRIBUTES.write(event.attributes),
            _EVENT_DROPPED.write(event.dropped_attributes_count),
        ]
    )


def _write_link(link: Link) -> bytes:
    return b"".join(
        [
            _LINK_TRACE_ID.write(link.trace_id),
            _LINK_SPAN_ID.write(link.span_id),
            _LINK_TRACE_STATE.write(link.trace_state),
            _LINK_ATTRIBUTES.write(link.attributes),
            _LINK_DROPPED.write(link.dropped_attributes_count),
            _LINK_FLAGS.write(link.flags),
        ]
    )
