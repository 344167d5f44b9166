"""Spans. Ids are bytes (16 and 8, empty = none), times are integer nanoseconds since the epoch."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from genai_collector.model.resource import Resource, Scope
from genai_collector.model.value import Attributes


class SpanKind(IntEnum):
    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class StatusCode(IntEnum):
    UNSET = 0
    OK = 1
    ERROR = 2


class Event:
    """Something that happened during a span."""

    __slots__ = ("attributes", "dropped_attributes_count", "name", "time_ns")

    def __init__(
        self,
        name: str,
        time_ns: int = 0,
        attributes: Attributes | None = None,
        dropped_attributes_count: int = 0,
    ) -> None:
        self.name = name
        self.time_ns = time_ns
        self.attributes: Attributes = {} if attributes is None else attributes
        self.dropped_attributes_count = dropped_attributes_count


class Link:
    """A pointer from a span to another one."""

    __slots__ = (
        "attributes",
        "dropped_attributes_count",
        "flags",
        "span_id",
        "trace_id",
        "trace_state",
    )

    def __init__(
        self,
        trace_id: bytes,
        span_id: bytes,
        trace_state: str = "",
        attributes: Attributes | None = None,
        dropped_attributes_count: int = 0,
        flags: int = 0,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_state = trace_state
        self.attributes: Attributes = {} if attributes is None else attributes
        self.dropped_attributes_count = dropped_attributes_count
        self.flags = flags


class Span:
    """One span. Owned by whoever holds the batch, except for its shared resource and scope.

    Events and links may still be encoded (`encoded_events`, `encoded_links`: one entry per event or
    link, as the wire had them); reading `events` or `links` decodes them. An encoder writes
    whichever form is there, so that untouched events are never decoded.
    `kind` and `status_code` are plain ints: OTLP allows values that our enums do not know yet.
    """

    __slots__ = (
        "_decode_event",
        "_decode_link",
        "_events",
        "_links",
        "attributes",
        "dropped_attributes_count",
        "dropped_events_count",
        "dropped_links_count",
        "encoded_events",
        "encoded_links",
        "end_ns",
        "flags",
        "kind",
        "name",
        "parent_span_id",
        "resource",
        "scope",
        "span_id",
        "start_ns",
        "status_code",
        "status_message",
        "trace_id",
        "trace_state",
    )

    def __init__(
        self,
        *,
        trace_id: bytes = b"",
        span_id: bytes = b"",
        parent_span_id: bytes = b"",
        trace_state: str = "",
        flags: int = 0,
        name: str = "",
        kind: int = 0,
        start_ns: int = 0,
        end_ns: int = 0,
        attributes: Attributes | None = None,
        events: list[Event] | None = None,
        links: list[Link] | None = None,
        status_code: int = 0,
        status_message: str = "",
        dropped_attributes_count: int = 0,
        dropped_events_count: int = 0,
        dropped_links_count: int = 0,
        resource: Resource | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_span_id = parent_span_id
        self.trace_state = trace_state
        self.flags = flags
        self.name = name
        self.kind = kind
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.attributes: Attributes = {} if attributes is None else attributes
        self.status_code = status_code
        self.status_message = status_message
        self.dropped_attributes_count = dropped_attributes_count
        self.dropped_events_count = dropped_events_count
        self.dropped_links_count = dropped_links_count
        self.resource = Resource() if resource is None else resource
        self.scope = Scope() if scope is None else scope
        self._events: list[Event] | None = [] if events is None else events
        self._links: list[Link] | None = [] if links is None else links
        self.encoded_events: list[bytes] | None = None
        self.encoded_links: list[bytes] | None = None
        self._decode_event: Callable[[bytes], Event] | None = None
        self._decode_link: Callable[[bytes], Link] | None = None

    def set_encoded(
        self,
        events: list[bytes],
        decode_event: Callable[[bytes], Event],
        links: list[bytes],
        decode_link: Callable[[bytes], Link],
    ) -> None:
        """Leave events and links encoded until someone asks for them."""
        if events:
            self._events, self.encoded_events, self._decode_event = None, events, decode_event
        else:
            self._events, self.encoded_events, self._decode_event = [], None, None
        if links:
            self._links, self.encoded_links, self._decode_link = None, links, decode_link
        else:
            self._links, self.encoded_links, self._decode_link = [], None, None

    @property
    def has_events(self) -> bool:
        """Whether there are events, without decoding them."""
        return bool(self._events) or bool(self.encoded_events)

    def read_events(self) -> list[Event]:
        """The events, for reading only: encoded ones stay encoded. Safe from any thread."""
        # Taken in this order, because the owner sets `_events` before it clears the encoded form.
        encoded, decode = self.encoded_events, self._decode_event
        events = self._events
        if events is None:
            assert encoded is not None
            assert decode is not None
            events = [decode(raw) for raw in encoded]
        return events

    def read_links(self) -> list[Link]:
        """The links, for reading only: encoded ones stay encoded. Safe from any thread."""
        encoded, decode = self.encoded_links, self._decode_link
        links = self._links
        if links is None:
            assert encoded is not None
            assert decode is not None
            links = [decode(raw) for raw in encoded]
        return links

    @property
    def events(self) -> list[Event]:
        """The events, decoded; from now on these are what is encoded."""
        events = self._events
        if events is None:
            events = self._events = self.read_events()
            self.encoded_events = None
        return events

    @events.setter
    def events(self, events: list[Event]) -> None:
        self._events, self.encoded_events = events, None

    @property
    def links(self) -> list[Link]:
        """The links, decoded; from now on these are what is encoded."""
        links = self._links
        if links is None:
            links = self._links = self.read_links()
            self.encoded_links = None
        return links

    @links.setter
    def links(self, links: list[Link]) -> None:
        self._links, self.encoded_links = links, None
