"""Spans keep their events and links encoded until someone asks for them."""

from __future__ import annotations

from genai_collector.formats import otlp
from genai_collector.model import Event, Link, Resource, Signal, Span
from tests.support.builders import SPAN_ID, TRACE_ID
from tests.support.plain import plain


def _lazy(span: Span) -> Span:
    """The span as it comes from the wire."""
    (decoded,) = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, [span]))
    assert isinstance(decoded, Span)
    return decoded


def test_reading_leaves_and_owning_takes() -> None:
    """read_events() keeps the encoded form, `events` gives it up and then always is one list."""
    span = _lazy(Span(events=[Event("a", 1, {"k": "v"})], links=[Link(TRACE_ID, SPAN_ID)]))
    assert span.has_events
    assert [event.name for event in span.read_events()] == ["a"]
    assert [link.span_id for link in span.read_links()] == [SPAN_ID]
    assert (len(span.encoded_events or ()), len(span.encoded_links or ())) == (1, 1)
    span.events.append(Event("b"))
    span.links.clear()
    assert (span.encoded_events, span.encoded_links) == (None, None)
    assert plain(_lazy(span).events) == plain([Event("a", 1, {"k": "v"}), Event("b")])
    assert _lazy(span).links == []


def test_setting_replaces_what_was_encoded() -> None:
    """Assigning events or links discards the encoded ones."""
    span = _lazy(Span(events=[Event("a")], links=[Link(TRACE_ID, SPAN_ID)]))
    span.events = [Event("c")]
    span.links = []
    assert [event.name for event in _lazy(span).events] == ["c"]
    assert not _lazy(span).links
    span.events = []
    assert not span.has_events


def test_no_events_cost_nothing() -> None:
    """A span without events or links has empty lists from the start."""
    span = _lazy(Span())
    assert not span.has_events
    assert (span.encoded_events, span.events, span.links) == (None, [], [])


def test_resource_with_other_attributes() -> None:
    """A resource is frozen: a changed one is another object that keeps the rest."""
    old = Resource({"a": 1}, 2, [], "urn:r")
    new = old.replace_attributes({"b": 1})
    assert (old.attributes, new.attributes) == ({"a": 1}, {"b": 1})
    assert (new.dropped_attributes_count, new.schema_url) == (2, "urn:r")
