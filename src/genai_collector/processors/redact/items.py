"""Everything in a batch that somebody could have written a secret into.

Items are changed in place, only where something was found: events and links that are still encoded
stay so when no hint is in their bytes, and resources and scopes, which many items share, are looked
at once and replaced by new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from genai_collector.model import (
    Batch,
    EntityRef,
    Event,
    Exemplar,
    Link,
    LogRecord,
    Metric,
    Point,
    Resource,
    Scope,
    Signal,
    Span,
    SummaryPoint,
)
from genai_collector.processors.redact.values import Values

T = TypeVar("T", Event, Link)
_Shared = TypeVar("_Shared", Resource, Scope)
_Holder: TypeAlias = "Span | LogRecord | Event | Link | Point"

_TEXTS: Final[dict[type, tuple[str, ...]]] = {
    Span: ("name", "status_message"),
    LogRecord: ("event_name", "severity_text"),
    Metric: ("name", "description", "unit"),
    Event: ("name",),
    Link: (),
}
"""The texts that an item has besides its attributes."""


class Items:
    """Changes the items of one batch; `changed` says whether anything was."""

    def __init__(self, values: Values, may_hold: Callable[[bytes], bool] | None) -> None:
        """`may_hold` says whether encoded events may hold a secret; None: always."""
        self.changed = False
        self._values = values
        self._may_hold = may_hold
        self._resources: dict[int, tuple[Resource, Resource]] = {}
        self._scopes: dict[int, tuple[Scope, Scope]] = {}

    def change(self, batch: Batch) -> None:
        """Look at every item. When something was changed, the batch must give up its bytes."""
        if batch.signal is Signal.TRACES:
            for span in batch.view_spans():
                self._span(span)
        elif batch.signal is Signal.LOGS:
            for record in batch.view_logs():
                self._log(record)
        else:
            for metric in batch.view_metrics():
                self._metric(metric)

    def _span(self, span: Span) -> None:
        self._common(span)
        self._attributes(span)
        self._trace_state(span)
        if span.has_events and self._is_worth_decoding(span.encoded_events):
            events = span.read_events()
            new_events = [self._event(event) for event in events]
            if _differ(events, new_events):
                span.events = new_events
        if self._is_worth_decoding(span.encoded_links):
            links = span.read_links()
            new_links = [self._link(link) for link in links]
            if _differ(links, new_links):
                span.links = new_links

    def _event(self, event: Event) -> Event:
        """The event itself, or a changed copy."""
        new = Event(event.name, event.time_ns, event.attributes, event.dropped_attributes_count)
        return new if self._texts(new) | self._attributes(new) else event

    def _link(self, link: Link) -> Link:
        new = Link(link.trace_id, link.span_id, link.trace_state, link.attributes,
                   link.dropped_attributes_count, link.flags)  # fmt: skip
        return new if self._trace_state(new) | self._attributes(new) else link

    def _log(self, record: LogRecord) -> None:
        self._common(record)
        self._attributes(record)
        body = self._values.value(record.body)
        if body is not record.body:
            record.body, self.changed = body, True

    def _metric(self, metric: Metric) -> None:
        self._common(metric)
        metadata = self._values.attributes(metric.metadata)
        if metadata is not metric.metadata:
            metric.metadata, self.changed = metadata, True
        for point in metric.points:
            self._attributes(point)
            if not isinstance(point, SummaryPoint):
                for exemplar in point.exemplars:
                    self._exemplar(exemplar)

    def _exemplar(self, exemplar: Exemplar) -> None:
        attributes = self._values.attributes(exemplar.filtered_attributes)
        if attributes is not exemplar.filtered_attributes:
            exemplar.filtered_attributes, self.changed = attributes, True

    def _common(self, item: Span | LogRecord | Metric) -> None:
        self._texts(item)
        resource = self._once(self._resources, item.resource, self._resource)
        if resource is not item.resource:
            item.resource, self.changed = resource, True
        scope = self._once(self._scopes, item.scope, self._scope)
        if scope is not item.scope:
            item.scope, self.changed = scope, True

    def _once(
        self,
        known: dict[int, tuple[_Shared, _Shared]],
        old: _Shared,
        change: Callable[[_Shared], _Shared],
    ) -> _Shared:
        pair = known.get(id(old))
        if pair is None:
            # The old one is kept, too, so that its id is nobody else's meanwhile.
            pair = known[id(old)] = (old, change(old))
        return pair[1]

    def _resource(self, old: Resource) -> Resource:
        attributes = self._values.attributes(old.attributes)
        url = self._values.text(old.schema_url)
        refs = [self._entity(ref) for ref in old.entity_refs]
        if (
            attributes is old.attributes
            and url is old.schema_url
            and not _differ(old.entity_refs, refs)
        ):
            return old
        return Resource(attributes, old.dropped_attributes_count, refs, url)

    def _entity(self, old: EntityRef) -> EntityRef:
        """It names keys of the resource, which change in the same way."""
        text = self._values.text
        id_keys = [text(key) for key in old.id_keys]
        described = [text(key) for key in old.description_keys]
        new = EntityRef(text(old.type), id_keys, described, text(old.schema_url))
        same = (new.type, new.id_keys, new.description_keys, new.schema_url) == (
            old.type, old.id_keys, old.description_keys, old.schema_url)  # fmt: skip
        return old if same else new

    def _scope(self, old: Scope) -> Scope:
        text = self._values.text
        new = Scope(text(old.name), text(old.version), self._values.attributes(old.attributes),
                    old.dropped_attributes_count, text(old.schema_url))  # fmt: skip
        same = new.attributes is old.attributes and (new.name, new.version, new.schema_url) == (
            old.name, old.version, old.schema_url)  # fmt: skip
        return old if same else new

    def _texts(self, item: Span | LogRecord | Metric | Event) -> bool:
        found = False
        for name in _TEXTS[type(item)]:
            old: str = getattr(item, name)
            new = self._values.text(old)
            if new is not old:
                setattr(item, name, new)
                found = self.changed = True
        return found

    def _attributes(self, holder: _Holder) -> bool:
        new = self._values.attributes(holder.attributes)
        if new is holder.attributes:
            return False
        holder.attributes = new
        self.changed = True
        return True

    def _trace_state(self, holder: Span | Link) -> bool:
        """Its form has no place for a replacement: what has a secret goes whole."""
        if not holder.trace_state or self._values.text(holder.trace_state) is holder.trace_state:
            return False
        holder.trace_state = ""
        self.changed = True
        return True

    def _is_worth_decoding(self, encoded: list[bytes] | None) -> bool:
        if encoded is None or self._may_hold is None:
            return True
        return any(map(self._may_hold, encoded))


def _differ(old: list[T] | list[EntityRef], new: list[T] | list[EntityRef]) -> bool:
    return any(one is not other for one, other in zip(old, new, strict=True))
