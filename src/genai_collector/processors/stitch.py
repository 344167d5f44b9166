"""stitch: user, session, tags and name of a trace on every one of its spans.

    processors:
      stitch:

Backends that look at spans one by one (Langfuse 4, most search indexes) find a trace by what each
span says, but apps say it once, often on the root span. What any span of a batch says is written to
all spans of its trace in this batch, and remembered for those that come later. A span that arrives
before is not changed: it has been passed on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from genai_collector.component import TRACES, Config, Context, Duration, ProcessorFactory
from genai_collector.conventions import Observation, read_observation
from genai_collector.conventions.coerce import text, texts
from genai_collector.model import Attributes, Batch, Signal, Span, Value

USER: Final = "user.id"
SESSION: Final = "session.id"
TRACE_NAME: Final = "langfuse.trace.name"
TRACE_TAGS: Final = "langfuse.trace.tags"
USER_KEYS: Final = ("langfuse.user.id", USER)
SESSION_KEYS: Final = ("langfuse.session.id", SESSION)
TAG_KEYS: Final = (TRACE_TAGS, "langfuse.tags")
_LONGEST: Final = 1024
_MOST_TAGS: Final = 64


class StitchConfig(Config):
    """What to write on every span of a trace, and how much to remember."""

    user: bool = True
    """Write `user.id`."""
    session: bool = True
    """Write `session.id`."""
    tags: bool = True
    """Write `langfuse.trace.tags`, all tags of the trace that are known by then."""
    trace_name: bool = True
    """Write `langfuse.trace.name`."""
    max_traces: int = Field(default=10_000, ge=1)
    """Traces that are remembered; the one that was not heard of for longest makes room."""
    ttl: Duration = Field(default=600.0, gt=0)
    """How long a trace is remembered after it was last heard of."""


@dataclass(slots=True)
class Facts:
    """What a span says of its trace, or what is known of a trace. Facts are only added."""

    user: str | None = None
    session: str | None = None
    conversation: str | None = None
    """The session, if nobody names one."""
    name: str | None = None
    tags: dict[str, None] = field(default_factory=dict)
    """In order of appearance."""

    def __bool__(self) -> bool:
        return bool(self.user or self.session or self.conversation or self.name or self.tags)

    def learn(self, said: Facts) -> None:
        """The first to say something is believed; tags come together."""
        self.user = self.user or said.user
        self.session = self.session or said.session
        self.conversation = self.conversation or said.conversation
        self.name = self.name or said.name
        for tag in said.tags:
            if len(self.tags) < _MOST_TAGS:
                self.tags.setdefault(tag)


class _Memory:
    """Facts by trace id: the newest `max_traces`, none older than `ttl`."""

    def __init__(self, max_traces: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._max_traces = max_traces
        self._ttl_s = ttl_s
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Facts, float]] = OrderedDict()

    def forget(self) -> None:
        """Those whose time is over."""
        oldest = self._clock() - self._ttl_s
        while self._known:
            trace_id, (_, heard_s) = next(iter(self._known.items()))
            if heard_s >= oldest:
                return
            del self._known[trace_id]

    def find(self, trace_id: bytes) -> Facts | None:
        known = self._known.get(trace_id)
        return None if known is None else known[0]

    def keep(self, trace_id: bytes, facts: Facts) -> None:
        self._known[trace_id] = (facts, self._clock())
        self._known.move_to_end(trace_id)
        if len(self._known) > self._max_traces:
            self._known.popitem(last=False)


class Stitch:
    def __init__(self, config: StitchConfig, context: Context) -> None:
        self._config = config
        self._memory = _Memory(config.max_traces, config.ttl, context.clock)

    def process(self, batch: Batch, /) -> Batch:
        """Changes spans in place, only adding. A batch that is refused and comes again finds what
        it said itself the first time."""
        if batch.signal is not Signal.TRACES:
            return batch
        self._memory.forget()
        spans = batch.view_spans()
        said = [read_facts(span) for span in spans]
        known = self._known_now(spans, said)
        changes = [
            (at, missing)
            for at, (span, facts) in enumerate(zip(spans, said, strict=True))
            if (missing := self._missing(known[span.trace_id], facts, span.attributes))
        ]
        if changes:
            # Only now is the encoded form given up.
            owned = batch.spans
            for at, missing in changes:
                owned[at].attributes.update(missing)
        return batch

    def _known_now(self, spans: list[Span], said: list[Facts]) -> dict[bytes, Facts | None]:
        """By trace id, this batch included; also of more traces than are remembered after it."""
        known = {span.trace_id: self._memory.find(span.trace_id) for span in spans}
        for span, facts in zip(spans, said, strict=True):
            if facts and span.trace_id:
                trace = known[span.trace_id] or Facts()
                trace.learn(facts)
                known[span.trace_id] = trace
        for trace_id, facts_now in known.items():
            if facts_now is not None:
                self._memory.keep(trace_id, facts_now)
        return known

    def _missing(self, known: Facts | None, said: Facts, attributes: Attributes) -> Attributes:
        """What is known of the trace and the span does not say in any words, readable or not."""
        missing: Attributes = {}
        if known is None:
            return missing
        config = self._config
        # A conversation is the session of the span that says it, and of those that say nothing.
        session = None if said.session or said.conversation else known.session or known.conversation
        if config.user and known.user and not said.user and _free(attributes, USER_KEYS):
            missing[USER] = known.user
        if config.session and session and _free(attributes, SESSION_KEYS):
            missing[SESSION] = session
        if config.trace_name and known.name and _free(attributes, (TRACE_NAME,)):
            missing[TRACE_NAME] = known.name
        if config.tags and known.tags and not said.tags and _free(attributes, TAG_KEYS):
            missing[TRACE_TAGS] = list(known.tags)
        return missing


def read_facts(span: Span) -> Facts:
    """What a span says of its trace, in any vocabulary. A `user.id` or `session.id` counts on every
    span, also on one that is no GenAI call."""
    observation = read_observation(span)
    attributes = span.attributes
    return Facts(
        _first(attributes, USER_KEYS) or _short(observation.user_id),
        _first(attributes, SESSION_KEYS),
        _short(observation.conversation_id),
        _first(attributes, (TRACE_NAME,)),
        _tags(attributes, observation),
    )


def _first(attributes: Attributes, keys: tuple[str, ...]) -> str | None:
    return next((said for key in keys if (said := _short(attributes.get(key)))), None)


def _free(attributes: Attributes, keys: tuple[str, ...]) -> bool:
    return all(attributes.get(key) in (None, "", []) for key in keys)


def _short(value: Value) -> str | None:
    """Text that may be remembered for every trace; a prompt in the wrong place may not."""
    said = text(value)
    return said if said is None or len(said) <= _LONGEST else None


def _tags(attributes: Attributes, observation: Observation) -> dict[str, None]:
    found: dict[str, None] = {}
    said: list[Value] = [*(observation.tags or ())]
    for key in TAG_KEYS:
        said += texts(attributes.get(key)) or ()
    for tag in said:
        short = _short(tag)
        if short is not None and len(found) < _MOST_TAGS:
            found[short] = None
    return found


FACTORY: Final = ProcessorFactory("stitch", StitchConfig, Stitch, signals=TRACES)
