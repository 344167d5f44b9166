"""Spans that wait for their events, and events that wait for their span. No clock of its own, no
tasks: whoever has it asks `due`.

A call is known by its trace and span id; an event without these (OpenLIT's streams) by the id of
the response and the scope. Which events a span gets is decided when it leaves, so that neither
order nor batching of what came until then matters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from genai_collector.connectors._event_content import EVENTS, join
from genai_collector.conventions import Observation, read_observation
from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import text
from genai_collector.conventions.content import event_name
from genai_collector.model import LogRecord, Signal, Span, Value

Key: TypeAlias = "bytes | tuple[str, str]"
"""Trace and span id; or scope and id of the response."""

CALLS: Final = frozenset(("generation", "embedding", "agent"))
"""Kinds of span that have events with content."""
_REMEMBERED: Final = 50_000
"""Spans of which it is known that they have gone on."""
_MESSAGES: Final = (s.GEN_AI_INPUT_MESSAGES, s.GEN_AI_OUTPUT_MESSAGES)
_EMPTY: Final[tuple[Value, ...]] = (None, "", "[]", [])


@dataclass(slots=True, eq=False)
class Arrival:
    """What came in together, until the last of it has gone on."""

    weight: int
    items: int
    """How many are still here."""
    signal: Signal
    record: int = 0
    """Under which a storage has it; 0 = under none."""
    each: int = 0
    """Bytes that one item counts while it waits."""

    def __post_init__(self) -> None:
        self.each = self.weight // max(1, self.items)


class Sight(NamedTuple):
    """What is to be known of a span or a log record before it is kept."""

    keys: tuple[Key, ...]
    waits: bool


def see_span(span: Span, *, all_calls: bool) -> Sight:
    """Which calls' events are this span's, and whether it waits for them. Reads only."""
    observation = read_observation(span)
    keys: tuple[Key, ...] = ()
    if span.trace_id and span.span_id:
        keys += (span.trace_id + span.span_id,)
    if observation.response_id:
        keys += ((span.scope.name, observation.response_id),)
    waits = bool(keys) and observation.kind in CALLS
    return Sight(keys, waits and (all_calls or _lacks_content(span, observation)))


def _lacks_content(span: Span, observation: Observation) -> bool:
    if all(span.attributes.get(key) not in _EMPTY for key in _MESSAGES):
        return False
    content = observation.read_content()
    if not content.input_messages and content.input in _EMPTY:
        return True
    has_output = content.output_messages or content.output not in _EMPTY
    return not has_output and observation.kind != "embedding"


def see_record(record: LogRecord) -> Sight:
    """Which call this log record belongs to, if it is an event with content. Reads only."""
    if event_name(record) not in EVENTS:
        return Sight((), waits=False)
    if record.trace_id and record.span_id:
        return Sight((record.trace_id + record.span_id,), waits=True)
    answer = text(record.attributes.get(s.GEN_AI_RESPONSE_ID))
    keys: tuple[Key, ...] = ((record.scope.name, answer),) if answer else ()
    return Sight(keys, bool(keys))


@dataclass(slots=True)
class Emission:
    """What goes on. The arrivals are one per item that is settled with the list beside them."""

    spans: list[Span] = field(default_factory=list)
    spans_of: list[Arrival] = field(default_factory=list)
    """Those of the events that were joined too."""
    records: list[LogRecord] = field(default_factory=list)
    records_of: list[Arrival] = field(default_factory=list)
    joined: int = 0
    """Events whose all is on a span now."""
    late: int = 0
    """Events that came after their span had waited in vain."""
    early: int = 0
    """Spans and events that left before their time, because memory ran short."""
    faults: list[Exception] = field(default_factory=list)

    def add_record(self, record: LogRecord, arrival: Arrival) -> None:
        self.records.append(record)
        self.records_of.append(arrival)

    def add(self, other: Emission) -> None:
        """What was given back when something was added."""
        self.records += other.records
        self.records_of += other.records_of
        self.late += other.late


class _Held(NamedTuple):
    span: Span
    arrival: Arrival


class _Event(NamedTuple):
    record: LogRecord
    arrival: Arrival


@dataclass(slots=True)
class _Call:
    """A span, or several if it was sent again."""

    since: float
    keys: tuple[Key, ...]
    spans: list[_Held] = field(default_factory=list)


@dataclass(slots=True)
class _Events:
    """The events of one call, since the last of them came."""

    since: float
    events: list[_Event] = field(default_factory=list)


class Waiting:
    """All that waits; bounded by `most_bytes`, beyond which the oldest leave early."""

    def __init__(self, wait_s: float, max_wait_s: float, most_bytes: int) -> None:
        self._wait_s = wait_s
        self._max_wait_s = max_wait_s
        self._most_bytes = most_bytes
        self._calls: OrderedDict[Key, _Call] = OrderedDict()
        self._events: OrderedDict[Key, _Events] = OrderedDict()
        self._gone: OrderedDict[Key, bool] = OrderedDict()
        """Spans that have gone on, and whether they had waited."""
        self.held_bytes = 0

    def __len__(self) -> int:
        """How many items wait."""
        calls = sum(len(call.spans) for call in self._calls.values())
        return calls + sum(len(group.events) for group in self._events.values())

    # ---- taking ------------------------------------------------------------------------------

    def add_span(self, span: Span, keys: tuple[Key, ...], arrival: Arrival, now: float) -> None:
        """Keep a span until its events are there."""
        call = self._calls.setdefault(keys[0], _Call(now, keys))
        call.spans.append(_Held(span, arrival))
        self.held_bytes += arrival.each

    def pass_by(self, sights: Iterable[Sight]) -> Emission:
        """These spans have gone on without waiting: their events need not wait either."""
        emission = Emission()
        for sight in sights:
            for key in sight.keys:
                for event in self._take_events(key):
                    emission.add_record(*event)
                self._remember(key, waited=False)
        return emission

    def add_record(
        self, record: LogRecord, keys: tuple[Key, ...], arrival: Arrival, now: float
    ) -> Emission:
        """Keep an event until its span is there; gives it back if that has gone on already."""
        emission, key = Emission(), keys[0]
        waited = self._gone.get(key)
        if waited is not None and key not in self._calls:
            emission.add_record(record, arrival)
            emission.late += waited
            return emission
        group = self._events.setdefault(key, _Events(now))
        group.since = now
        self._events.move_to_end(key)
        group.events.append(_Event(record, arrival))
        self.held_bytes += arrival.each
        return emission

    # ---- leaving -----------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """The time at which `due` is worth asking; None while nothing waits."""
        times = []
        if self._calls:
            times.append(next(iter(self._calls.values())).since + self._wait_s)
        if self._events:
            times.append(next(iter(self._events.values())).since + self._max_wait_s)
        return min(times, default=None)

    def due(self, now: float) -> Emission:
        """Those that have waited long enough, and the oldest if too much waits."""
        emission = Emission()
        while self._calls and self._first_call().since + self._wait_s <= now:
            self._leave(emission)
        while self._events and self._first_events().since + self._max_wait_s <= now:
            self._give_up(emission)
        before = len(self) if self.held_bytes > self._most_bytes else 0
        while self.held_bytes > self._most_bytes:
            self._leave_oldest(emission)
        emission.early += before - len(self) if before else 0
        return emission

    def flush(self) -> Emission:
        """Everything, as it is."""
        emission = Emission()
        while self._calls:
            self._leave(emission)
        while self._events:
            self._give_up(emission)
        return emission

    def _first_call(self) -> _Call:
        return next(iter(self._calls.values()))

    def _first_events(self) -> _Events:
        return next(iter(self._events.values()))

    def _leave_oldest(self, emission: Emission) -> None:
        if self._calls and (
            not self._events or self._first_call().since <= self._first_events().since
        ):
            self._leave(emission)
        else:
            self._give_up(emission)

    def _leave(self, emission: Emission) -> None:
        """The oldest call, with its events."""
        _, call = self._calls.popitem(last=False)
        keys = call.keys
        events = [event for key in keys for event in self._take_events(key)]
        for key in keys:
            self._remember(key, waited=True)
        left: set[int] = set()
        for span, arrival in call.spans:
            self.held_bytes -= arrival.each
            emission.spans.append(span)
            emission.spans_of.append(arrival)
            left = self._join(span, events, emission)
        for record, arrival in events:
            if id(record) in left:
                emission.add_record(record, arrival)
            else:
                emission.spans_of.append(arrival)
                emission.joined += 1

    def _join(self, span: Span, events: Sequence[_Event], emission: Emission) -> set[int]:
        """The ids of the records that say more than the span now does."""
        records = [event.record for event in events]
        try:
            return {id(record) for record in join(span, records)} if records else set()
        except Exception as exc:  # who sent it was told that it is safe: it goes on as it came
            emission.faults.append(exc)
            return {id(record) for record in records}

    def _give_up(self, emission: Emission) -> None:
        """The oldest events, whose span did not come."""
        key = next(iter(self._events))
        for event in self._take_events(key):
            emission.add_record(*event)

    def _take_events(self, key: Key) -> list[_Event]:
        group = self._events.pop(key, None)
        if group is None:
            return []
        self.held_bytes -= sum(event.arrival.each for event in group.events)
        return group.events

    def _remember(self, key: Key, *, waited: bool) -> None:
        self._gone[key] = waited
        self._gone.move_to_end(key)
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
