"""Attribute values that Langfuse would print as their OTLP wrapper, as JSON text (section 3.1).

Strings, numbers, booleans and lists of them it reads as they are. Attributes without a value, which
it would show as `{}`, say nothing and are left out.
"""

from __future__ import annotations

import base64
import copy

from genai_collector.conventions.coerce import to_json
from genai_collector.formats.langfuse.values import is_plain
from genai_collector.model import Attributes, Event, Resource, Scope, Span, Value


class Flattener:
    """Flattens spans; resources and scopes that were shared stay shared."""

    def __init__(self) -> None:
        self._resources: dict[int, Resource] = {}
        self._scopes: dict[int, Scope] = {}

    def flatten(self, span: Span) -> Span:
        """The span itself if all of it is plain, else a copy."""
        attributes = flattened(span.attributes)
        events = _events(span) if span.has_events else None
        resource, scope = self._resource(span.resource), self._scope(span.scope)
        if (
            attributes is span.attributes
            and events is None
            and resource is span.resource
            and scope is span.scope
        ):
            return span
        copied = copy.copy(span)
        copied.attributes, copied.resource, copied.scope = attributes, resource, scope
        if events is not None:
            copied.events = events
        return copied

    def _resource(self, resource: Resource) -> Resource:
        found = self._resources.get(id(resource))
        if found is None:
            attributes = flattened(resource.attributes)
            is_plain_one = attributes is resource.attributes
            found = resource if is_plain_one else resource.replace_attributes(attributes)
            self._resources[id(resource)] = found
        return found

    def _scope(self, scope: Scope) -> Scope:
        found = self._scopes.get(id(scope))
        if found is None:
            attributes = flattened(scope.attributes)
            found = scope
            if attributes is not scope.attributes:
                found = copy.copy(scope)
                found.attributes = attributes
            self._scopes[id(scope)] = found
        return found


def flattened(attributes: Attributes) -> Attributes:
    """The attributes themselves if all values are plain, else with JSON text in their place."""
    for value in attributes.values():
        kind = type(value)
        if kind is not str and kind is not float and not is_plain(value):
            break
    else:
        return attributes
    return {key: _flat(value) for key, value in attributes.items() if value is not None}


def _flat(value: Value) -> Value:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) or is_plain(value):
        return value
    text = to_json(value)
    return value if text is None else text  # nested too deep for JSON: as it came


def _events(span: Span) -> list[Event] | None:
    """The events with flat attributes; None if they were."""
    events = span.read_events()
    made = [
        event
        if (attributes := flattened(event.attributes)) is event.attributes
        else Event(event.name, event.time_ns, attributes, event.dropped_attributes_count)
        for event in events
    ]
    return None if all(a is b for a, b in zip(events, made, strict=True)) else made
