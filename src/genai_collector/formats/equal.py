"""Whether two spans are the same in every field, types of values included."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from genai_collector.formats.residual import same
from genai_collector.model import Event, Link, Resource, Scope, Span

_SCALARS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "name",
    "kind",
    "start_ns",
    "end_ns",
    "status_code",
    "status_message",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
)


def same_span(a: Span, b: Span) -> bool:
    """Strictly the same; the order of attributes does not matter."""
    return (
        all(getattr(a, name) == getattr(b, name) for name in _SCALARS)
        and same(a.attributes, b.attributes)
        and same_resource(a.resource, b.resource)
        and same_scope(a.scope, b.scope)
        and len(a.events) == len(b.events)
        and all(map(_same_event, a.events, b.events))
        and len(a.links) == len(b.links)
        and all(map(_same_link, a.links, b.links))
    )


def same_resource(a: Resource, b: Resource) -> bool:
    """Strictly the same resource."""
    return a is b or (
        same(a.attributes, b.attributes)
        and a.dropped_attributes_count == b.dropped_attributes_count
        and a.schema_url == b.schema_url
        and [_entity(ref) for ref in a.entity_refs] == [_entity(ref) for ref in b.entity_refs]
    )


def _entity(ref: object) -> tuple[object, ...]:
    return tuple(
        getattr(ref, name) for name in ("type", "id_keys", "description_keys", "schema_url")
    )


def same_scope(a: Scope, b: Scope) -> bool:
    """Strictly the same scope."""
    return a is b or (
        (a.name, a.version, a.dropped_attributes_count, a.schema_url)
        == (b.name, b.version, b.dropped_attributes_count, b.schema_url)
        and same(a.attributes, b.attributes)
    )


def _same_event(a: Event, b: Event) -> bool:
    return (
        a.name == b.name
        and a.time_ns == b.time_ns
        and a.dropped_attributes_count == b.dropped_attributes_count
        and same(a.attributes, b.attributes)
    )


def _same_link(a: Link, b: Link) -> bool:
    return (
        (a.trace_id, a.span_id, a.trace_state, a.flags, a.dropped_attributes_count)
        == (b.trace_id, b.span_id, b.trace_state, b.flags, b.dropped_attributes_count)
    ) and same(a.attributes, b.attributes)


def span_without(span: Span, keys: Collection[str]) -> Span:
    """The span without these attributes; everything else is shared with it."""
    return Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        trace_state=span.trace_state,
        flags=span.flags,
        name=span.name,
        kind=span.kind,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        attributes={key: v for key, v in span.attributes.items() if key not in keys},
        events=span.events,
        links=span.links,
        status_code=span.status_code,
        status_message=span.status_message,
        dropped_attributes_count=span.dropped_attributes_count,
        dropped_events_count=span.dropped_events_count,
        dropped_links_count=span.dropped_links_count,
        resource=span.resource,
        scope=span.scope,
    )
