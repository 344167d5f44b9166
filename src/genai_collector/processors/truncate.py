"""truncate: texts, values and whole items down to a size, with JSON staying JSON.

    processors:
      truncate/search:
        max_text: 8KiB       # a message's text, a tool's result, an attribute without structure
        max_value: 64KiB     # an attribute or a log body as a whole
        max_item: 512KiB     # a span or log record as a whole

A text is cut inside the JSON that holds it, also inside JSON within JSON, so that messages keep
their number, roles and structure. Over `max_value` and `max_item` the longest texts are cut first,
all to one length, until it fits. What was cut says so: `…[truncated 12345 bytes]`.

Texts of up to 256 bytes are never cut, so that ids, names and numbers stay whole. Metrics,
resources, scopes and links pass untouched. A destination gets limits of its own in a pipeline of
its own (docs/redaction.md shows one). Put it behind `redact`. Deterministic; doing it twice is
doing it once.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Self, cast

from pydantic import Field, model_validator

from genai_collector.component import ByteSize, Config, Context, ProcessorFactory
from genai_collector.model import Attributes, Batch, Event, LogRecord, Signal, Span, Value
from genai_collector.processors._batches import give_up_bytes
from genai_collector.processors._truncate_texts import SHORTEST, Cutter, shrink, size_of

Limit = Annotated[ByteSize, Field(ge=SHORTEST)]


class TruncateConfig(Config):
    """How large things may be, in bytes of UTF-8: at least one limit, each at least 256."""

    max_text: Limit | None = None
    """One text: an attribute that is no JSON, or one string inside JSON."""
    max_value: Limit | None = None
    """One attribute of a span, an event or a log record; a log record's body."""
    max_item: Limit | None = None
    """A span with its events, or a log record: all values together."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.max_text is None and self.max_value is None and self.max_item is None:
            raise ValueError("needs max_text, max_value or max_item")
        return self


class Truncate:
    def __init__(self, config: TruncateConfig, context: Context) -> None:
        self._config = config
        self._id = context.id
        self._telemetry = context.telemetry
        limits = (config.max_text, config.max_value, config.max_item)
        self._smallest = min(limit for limit in limits if limit is not None)

    def process(self, batch: Batch, /) -> Batch:
        """Cuts texts in place. Counted each time a batch comes by."""
        if batch.signal is Signal.METRICS:
            return batch
        if batch.is_encoded and len(batch.encoded()) <= self._smallest:
            return batch  # nothing in it can be larger
        counts: Counter[str] = Counter()
        items = batch.view_spans() if batch.signal is Signal.TRACES else batch.view_logs()
        if sum([self._cut(item, counts) for item in items]):
            give_up_bytes(batch)
        for rule, count in counts.items():
            self._telemetry.truncated(self._id, batch.signal, rule, count)
        return batch

    def _cut(self, item: Span | LogRecord, counts: Counter[str]) -> bool:
        """Cut what is over a limit; whether anything was."""
        if isinstance(item, LogRecord):
            old: list[Value] = [item.body, *item.attributes.values()]
            new = self._all(old, counts)
            if _same(old, new):
                return False
            item.body, item.attributes = new[0], _with_values(item.attributes, new[1:])
            return True
        events = item.read_events()
        inside = [value for event in events for value in event.attributes.values()]
        old = [item.status_message, *item.attributes.values(), *inside]
        new = self._all(old, counts)
        if _same(old, new):
            return False
        last = len(item.attributes) + 1
        item.status_message = cast("str", new[0])
        item.attributes = _with_values(item.attributes, new[1:last])
        if not _same(inside, new[last:]):
            item.events = _events_with(events, new[last:])
        return True

    def _all(self, values: list[Value], counts: Counter[str]) -> list[Value]:
        """All values of an item, each and together within the limits."""
        new = [self._value(value, counts) for value in values]
        limit = self._config.max_item
        if limit is not None and sum(map(size_of, new)) > limit:
            new = _fit(new, limit, "item", counts)
        return new

    def _value(self, value: Value, counts: Counter[str]) -> Value:
        if self._config.max_text is not None:
            cutter = Cutter(self._config.max_text)
            value = cutter.cut(value)
            if cutter.cuts:
                counts["text"] += cutter.cuts
        limit = self._config.max_value
        if limit is not None and size_of(value) > limit:
            [value] = _fit([value], limit, "value", counts)
        return value


def _fit(values: list[Value], limit: int, rule: str, counts: Counter[str]) -> list[Value]:
    new, cuts = shrink(values, limit)
    if cuts:
        counts[rule] += cuts
    if sum(map(size_of, new)) > limit:
        counts[f"{rule}_still_too_large"] += 1
    return new


def _same(old: list[Value], new: list[Value]) -> bool:
    return all(one is other for one, other in zip(old, new, strict=True))


def _with_values(attributes: Attributes, values: list[Value]) -> Attributes:
    return dict(zip(attributes, values, strict=True))


def _events_with(events: list[Event], values: list[Value]) -> list[Event]:
    made: list[Event] = []
    at = 0
    for event in events:
        own = values[at : at + len(event.attributes)]
        at += len(own)
        attributes = _with_values(event.attributes, own)
        made.append(Event(event.name, event.time_ns, attributes, event.dropped_attributes_count))
    return made


FACTORY: Final = ProcessorFactory("truncate", TruncateConfig, Truncate)
