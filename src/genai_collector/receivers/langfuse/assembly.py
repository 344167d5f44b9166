"""Events of one observation, in any order and over many requests, to ONE span.

Events are held by trace and by observation. An observation is complete when it has an end (or is
an event) and its trace has been introduced; `settle_time` later it becomes a span, merged by
Langfuse's rules, with what is known of its trace by then. What never completes leaves when its
trace has been silent for `max_wait`, or when memory runs short (oldest trace first).

A span is emitted once. What comes for an observation after that, and what is said of a trace after
its last span, is a late update: a log record with the event in it, so that nothing is lost and
nothing is counted twice. Only time and memory decide here; who calls, and when, is `outlet`'s.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from genai_collector.formats.langfuse.decode import (
    Decoder,
    Source,
    has_content,
    is_complete,
    last_end,
    parent_of,
    root_id,
)
from genai_collector.formats.langfuse.merge import (
    SCORE,
    TRACE,
    Object,
    Record,
    body_of,
    entity_of,
    fold_one,
    observation_type,
)
from genai_collector.formats.langfuse.score_logs import decode_scores
from genai_collector.model import LogRecord, Span
from genai_collector.receivers.langfuse.config import AssemblyConfig
from genai_collector.receivers.langfuse.late import late_update
from genai_collector.receivers.langfuse.memory import Recent

_CLOSED_TRACES: Final = 10_000
_CONTENT: Final = frozenset({"input", "output"})

Key: TypeAlias = tuple[str, str]
"""Project and id: projects do not know of each other's ids."""


class Weighed(NamedTuple):
    """A valid event and its share of the request, in bytes."""

    event: Object
    weight: int
    entries: tuple[int, ...] = ()
    """Under which a journal has it; they come back with the emission that settles it."""
    carried: bool = False
    """Said of a trace, and spans of an earlier life have told it."""


class Left(NamedTuple):
    """An observation that became a span."""

    project: str
    observation: str
    trace: str
    is_root: bool
    """Whether its trace needs no other root."""


@dataclass(slots=True)
class Emission:
    """What is ready for the pipelines."""

    spans: list[Span] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    weight: int = 0
    late: int = 0
    """How many of the log records are late updates."""
    early: int = 0
    """How many traces left early because memory ran short."""
    entries: list[int] = field(default_factory=list)
    """Of the events that need not be kept any longer when this has been sent."""
    left: list[Left] = field(default_factory=list)
    """The observations that are among the spans."""
    carried: list[int] = field(default_factory=list)
    """The entries of what these spans tell of their traces."""

    def __bool__(self) -> bool:
        return bool(self.spans or self.logs or self.entries)


@dataclass(slots=True)
class _Observation:
    events: list[Object] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    weight: int = 0
    completed_at: float | None = None

    def is_root(self) -> bool:
        """Whether no event so far names a parent."""
        return not any(body_of(event).get("parentObservationId") for event in self.events)


@dataclass(slots=True)
class _Trace:
    key: Key
    decoder: Decoder
    last_activity: float
    planned: float | None = None
    """When it is looked at next."""
    events: list[Object] = field(default_factory=list)
    """All that was said of the trace itself."""
    entries: list[int] = field(default_factory=list)
    carried: int = 0
    """How many of them a span has carried on."""
    known_at: float | None = None
    pending: dict[str, _Observation] = field(default_factory=dict)
    weight: int = 0
    spans: int = 0
    end_ns: int = 0
    has_root: bool = False
    """Whether a span without parent was emitted, or one that stands for the trace."""
    is_parent: bool = False
    """Whether a span stands for the trace, or will: the parent of those that have none."""

    def due(self, config: AssemblyConfig) -> float:
        """When something is to be done about it, if nothing more comes."""
        times = [self.last_activity + config.max_wait]
        if self.known_at is not None:
            times += [
                max(one.completed_at, self.known_at) + config.settle_time
                for one in self.pending.values()
                if one.completed_at is not None
            ]
        return min(times)

    def ready(self, now: float, config: AssemblyConfig) -> list[str]:
        """The observations whose time has come."""
        if now >= self.last_activity + config.max_wait:
            return list(self.pending)
        known_at = self.known_at
        if known_at is None:
            return []
        return [
            key
            for key, one in self.pending.items()
            if one.completed_at is not None
            and now >= max(one.completed_at, known_at) + config.settle_time
        ]


class Assembly:
    """Takes events, gives spans. All calls are synchronous and bounded."""

    def __init__(self, config: AssemblyConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._traces: dict[Key, _Trace] = {}
        self._home: dict[Key, Key] = {}
        """Pending observation -> the trace that holds it."""
        self._seen_events: Recent[None] = Recent(config.remembered_ids)
        self._emitted: Recent[None] = Recent(config.remembered_ids)
        self._closed: Recent[_Trace] = Recent(min(config.remembered_ids, _CLOSED_TRACES))
        self._schedule: list[tuple[float, int, Key]] = []
        self._order = count()
        self.pending_bytes = 0
        """JSON bytes of the events that wait."""

    def take(self, source: Source, events: Iterable[Weighed]) -> Emission:
        """Take valid events; what comes back is to be emitted at once (scores, late updates, and
        the oldest traces if there is too much to hold)."""
        emission = Emission()
        touched: dict[Key, _Trace] = {}
        now = self._clock()
        for weighed in events:
            trace = self._take_one(source, weighed, now, emission)
            if trace is not None:
                touched[trace.key] = trace
            else:
                emission.entries += weighed.entries
        for trace in touched.values():
            self._plan(trace)
        while self.pending_bytes > self._config.max_pending_bytes and self._traces:
            self._close(next(iter(self._traces.values())), emission)
            emission.early += 1
        return emission

    def due(self) -> Emission:
        """What has become ready by now."""
        emission = Emission()
        now = self._clock()
        while self._schedule and self._schedule[0][0] <= now:
            planned, _, key = heapq.heappop(self._schedule)
            trace = self._traces.get(key)
            if trace is None or trace.planned != planned:
                continue  # emitted meanwhile, or planned for an earlier time
            trace.planned = None
            if now >= trace.last_activity + self._config.max_wait:
                self._close(trace, emission)
            else:
                self._emit(trace, trace.ready(now, self._config), emission)
                self._plan(trace)
        return emission

    def next_due(self) -> float | None:
        """The clock's time at which `due` is worth asking; None while nothing waits."""
        return self._schedule[0][0] if self._schedule else None

    def remember_left(self, one: Left) -> None:
        """In an earlier life this became a span: what comes for it is late."""
        self._emitted.add((one.project, one.observation), None)
        home = (one.project, one.trace)
        trace = self._closed.take(home) or _Trace(home, Decoder(Source(one.project)), self._clock())
        trace.spans += 1
        trace.has_root |= one.is_root
        self._closed.add(home, trace)

    def flush(self) -> Emission:
        """Everything that waits, as it is."""
        emission = Emission()
        for trace in list(self._traces.values()):
            self._close(trace, emission)
        self._schedule.clear()
        return emission

    # ---- taking ------------------------------------------------------------------------------

    def _take_one(
        self, source: Source, weighed: Weighed, now: float, emission: Emission
    ) -> _Trace | None:
        """The trace that the event changed, if any."""
        event, weight, entries, carried = weighed
        about = entity_of(event)
        if event["type"] == "score-create":
            identity = (source.project, SCORE, str(event["id"]))
            if self._is_new(identity):
                emission.logs += decode_scores([event], source)
                emission.weight += weight
            return None
        if about is None:
            return None
        entity, key = about
        if not self._is_new((source.project, entity, key, str(event["id"]))):
            return None
        if entity == TRACE:
            trace = self._trace((source.project, key), source, now)
            trace.events.append(event)
            trace.entries += entries
            trace.carried += carried
            trace.known_at = now if trace.known_at is None else trace.known_at
        elif (source.project, key) in self._emitted:
            self._add_late(emission, Decoder(source), event, weight)
            return None
        else:
            trace = self._take_observation(source, key, weighed, now)
        trace.weight += weight
        trace.last_activity = now
        self.pending_bytes += weight
        return trace

    def _is_new(self, identity: tuple[str, ...]) -> bool:
        if identity in self._seen_events:
            return False
        self._seen_events.add(identity, None)
        return True

    def _take_observation(self, source: Source, key: str, weighed: Weighed, now: float) -> _Trace:
        event, weight, entries, _ = weighed
        body = body_of(event)
        named = body.get("traceId")
        mine = (source.project, key)
        home = self._home.get(mine)
        wanted = (source.project, named) if isinstance(named, str) else home or mine
        if home is None:
            home = wanted
        elif home == mine and home != wanted:  # only now do we hear which trace it belongs to
            self._move(key, home, self._trace(wanted, source, now))
            home = wanted
        self._home[mine] = home
        trace = self._trace(home, source, now)
        observation = trace.pending.setdefault(key, _Observation())
        observation.events.append(event)
        observation.entries += entries
        observation.weight += weight
        if observation.completed_at is None and is_complete(observation_type(event), body):
            observation.completed_at = now
        return trace

    def _move(self, key: str, home: Key, trace: _Trace) -> None:
        left = self._traces[home]
        observation = trace.pending[key] = left.pending.pop(key)
        left.weight -= observation.weight
        trace.weight += observation.weight
        if not left.pending and not left.events:
            del self._traces[home]

    def _trace(self, key: Key, source: Source, now: float) -> _Trace:
        trace = self._traces.get(key)
        if trace is None:
            trace = self._closed.take(key) or _Trace(key, Decoder(source), now)
            self._traces[key] = trace
        return trace

    def _plan(self, trace: _Trace) -> None:
        """Have it looked at when it is due. What is planned too early is planned again then."""
        due = trace.due(self._config)
        if trace.key in self._traces and (trace.planned is None or due < trace.planned):
            trace.planned = due
            heapq.heappush(self._schedule, (due, next(self._order), trace.key))

    # ---- emitting ----------------------------------------------------------------------------

    def _emit(self, trace: _Trace, keys: Iterable[str], emission: Emission) -> None:
        """The spans of these observations, and the trace's own if it needs one and none wait."""
        about = fold_one(trace.events)
        if about is not None and has_content(about) and not trace.has_root:
            roots = sum(one.is_root() for one in trace.pending.values())
            trace.is_parent |= roots > 1
        spans: list[Span] = []
        for key in keys:
            record = fold_one(trace.pending[key].events)
            assert record is not None
            spans.append(self._span(trace, about, record))
            self._leave(trace, key, emission)
        if spans:
            trace.spans += len(spans)
            trace.end_ns = max(trace.end_ns, last_end(spans))
            trace.carried = len(trace.events)
            emission.carried += trace.entries
            emission.spans += spans
            if not trace.pending:
                self._emit_root(trace, about, emission)

    def _span(self, trace: _Trace, about: Record | None, record: Record) -> Span:
        if parent_of(record):
            return trace.decoder.span(record, about)
        if trace.is_parent:
            return trace.decoder.span(record, about, parent=root_id(trace.key[1]))
        trace.has_root = True
        return trace.decoder.span(record, about, with_content=True)

    def _emit_root(self, trace: _Trace, about: Record | None, emission: Emission) -> None:
        if about is None or trace.has_root:
            return
        if trace.spans and not has_content(about):
            return
        trace.has_root = trace.is_parent = True
        trace.carried = len(trace.events)
        emission.spans.append(trace.decoder.root(about, trace.end_ns))

    def _leave(self, trace: _Trace, key: str, emission: Emission) -> None:
        observation = trace.pending.pop(key)
        self._home.pop((trace.key[0], key), None)
        self._emitted.add((trace.key[0], key), None)
        trace.weight -= observation.weight
        self.pending_bytes -= observation.weight
        emission.weight += observation.weight
        emission.entries += observation.entries
        emission.left.append(Left(trace.key[0], key, trace.key[1], trace.has_root))

    def _close(self, trace: _Trace, emission: Emission) -> None:
        """Emit all that waits of a trace and forget it."""
        self._emit(trace, list(trace.pending), emission)
        self._emit_root(trace, fold_one(trace.events), emission)
        for event in trace.events[trace.carried :]:
            self._add_late(emission, trace.decoder, event, 0)
        emission.weight += trace.weight
        emission.entries += trace.entries
        trace.entries = []
        self.pending_bytes -= trace.weight
        del self._traces[trace.key]
        self._remember(trace)

    def _remember(self, trace: _Trace) -> None:
        """Without content: for spans that come after a long silence."""
        about = fold_one(trace.events)
        trace.events = []
        if about is not None:
            body = {key: value for key, value in about.body.items() if key not in _CONTENT}
            timestamp = body["timestamp"]
            known: Object = {"id": "", "type": "trace-create", "timestamp": timestamp, "body": body}
            trace.events = [known]
        trace.carried = len(trace.events)
        trace.weight = 0
        trace.planned = None
        self._closed.add(trace.key, trace)

    def _add_late(self, emission: Emission, decoder: Decoder, event: Object, weight: int) -> None:
        emission.logs.append(late_update(decoder, event))
        emission.weight += weight
        emission.late += 1
