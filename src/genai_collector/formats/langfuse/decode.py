"""Merged traces and observations to spans (section 5).

One observation is one span. What is said of the trace goes onto every span of it, because today's
Langfuse has no traces beside its spans; the trace's own input and output go onto its one root. A
trace that has none, or several, and content of its own gets a root made for it, `t-<trace id>`, as
Langfuse itself does; parentless observations become its children. Observations that were OTLP spans
once are those spans again (see `mapped`), and roots among them have said their trace's content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from genai_collector.formats import ids
from genai_collector.formats.langfuse import span_attributes as words
from genai_collector.formats.langfuse.instants import time_ns
from genai_collector.formats.langfuse.keys import OBSERVATION_METADATA, TRACE_METADATA_KEY
from genai_collector.formats.langfuse.mapped import Finder, Mapped, is_of_sdk, missing_words
from genai_collector.formats.langfuse.merge import EVENT, Folded, Object, Record, fold
from genai_collector.formats.langfuse.types import SPAN
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Attributes, Resource, Scope, Span, SpanKind, StatusCode

_CLIENTS: Final = frozenset({"generation", "embedding"})


class Source(NamedTuple):
    """Who sent a batch."""

    project: str = ""
    """The Langfuse project that the key pair stands for."""
    sdk_name: str = ""
    sdk_version: str = ""
    sdk_integration: str = ""


def source_of(metadata: Object, project: str = "") -> Source:
    """The sender, by what its SDK says in the batch's metadata."""

    def said(key: str) -> str:
        value = metadata.get(key)
        return value if isinstance(value, str) else ""

    return Source(project, said("sdk_name"), said("sdk_version"), said("sdk_integration"))


class Decoder:
    """Makes the spans of one sender; they share its resource and scope."""

    def __init__(self, source: Source) -> None:
        self.resource = Resource({words.PROJECT: source.project} if source.project else {})
        attributes: Attributes = {words.API_ATTRIBUTE: words.BATCH_API}
        if source.sdk_name:
            attributes[words.SDK_NAME] = source.sdk_name
        if source.sdk_integration:
            attributes[words.SDK_INTEGRATION] = source.sdk_integration
        self.scope = Scope(words.SDK_SCOPE, source.sdk_version, attributes)
        # What an SDK sends was no span before, whatever its metadata looks like.
        self._finder = None if source.sdk_name else Finder(self.resource.attributes)

    def span(
        self,
        observation: Record,
        trace: Record | None,
        *,
        parent: str = "",
        with_content: bool = False,
    ) -> Span:
        """The span of an observation. `parent` is the id of the parent of one that has none;
        `with_content` puts the trace's input and output onto it. An observation that was a span
        once is that span again; of its trace it says what no span of it says."""
        mapped = self.mapped(observation) if parent_of(observation) or not parent else None
        if mapped is not None:
            return _with_trace(mapped, trace)
        return self._made(observation, trace, parent, with_content=with_content)

    def _made(
        self, observation: Record, trace: Record | None, parent: str, *, with_content: bool
    ) -> Span:
        kind, body = observation
        trace_key, key = trace_id_of(observation), str(body["id"])
        start_ns = time_ns(str(body["startTime"]))
        end = body.get("endTime")
        attributes = words.observation_attributes(observation)
        if trace is not None:
            attributes |= words.trace_attributes(trace)
            if "version" in trace.body and "langfuse.version" not in attributes:
                attributes["langfuse.version"] = _text(trace.body["version"])
                attributes[words.INHERITED_VERSION] = True
            if with_content:
                attributes |= words.trace_content(trace)
        span = Span(
            trace_id=ids.trace_id(trace_key),
            span_id=ids.span_id(key),
            name=_text(body.get("name")),
            kind=SpanKind.CLIENT if kind in _CLIENTS else SpanKind.INTERNAL,
            start_ns=start_ns,
            end_ns=time_ns(end) if isinstance(end, str) else start_ns,
            attributes=attributes,
            resource=self.resource,
            scope=self.scope,
        )
        if not is_complete(kind, body):
            attributes[words.OPEN] = True
        if body["level"] == "ERROR":
            span.status_code = StatusCode.ERROR
            span.status_message = _text(body.get("statusMessage"))
        self._set_ids(span, trace_key, key, parent_of(observation), parent)
        return span

    def mapped(self, observation: Record) -> Mapped | None:
        """The span that the observation was once, if it was."""
        return None if self._finder is None else self._finder.find(observation)

    def root(self, trace: Record, end_ns: int = 0) -> Span:
        """A span for the trace itself, until `end_ns` at least."""
        body = trace.body
        observation: Object = {
            "id": root_id(str(body["id"])),
            "traceId": body["id"],
            "startTime": body["timestamp"],
            "level": "DEFAULT",
        }
        for field in ("name", "environment", "version", "input", "output"):
            if field in body:
                observation[field] = body[field]
        span = self.span(Record(SPAN, observation), trace, with_content=True)
        span.attributes[words.SYNTHETIC] = True
        del span.attributes[words.OPEN]
        span.end_ns = max(span.start_ns, end_ns)
        return span

    def _set_ids(self, span: Span, trace_key: str, key: str, own: str, given: str) -> None:
        if own or given:
            span.parent_span_id = ids.span_id(own or given)
        if given and not own:
            span.attributes[words.PARENTLESS] = True
        for prefix, name, text, made in (
            (TRACE_METADATA_KEY, words.ORIGINAL_TRACE_ID, trace_key, span.trace_id),
            (OBSERVATION_METADATA, words.ORIGINAL_ID, key, span.span_id),
            (OBSERVATION_METADATA, words.ORIGINAL_PARENT_ID, own, span.parent_span_id),
        ):
            if text and not ids.is_exact(text, made):
                span.attributes.setdefault(f"{prefix}.{name}", text)


def _with_trace(mapped: Mapped, trace: Record | None) -> Span:
    """The root says what no span says; what other spans say is said by them again."""
    span = mapped.span
    if trace is not None and not span.parent_span_id:
        span.attributes |= missing_words(trace, mapped.trace)
    elif trace is not None and is_of_sdk(span.scope.name):
        span.attributes |= words.trace_attributes(trace)
    return span


def decode_batch(
    events: Sequence[Object], metadata: Object | None = None, project: str = ""
) -> list[Span]:
    """The spans of one batch of valid events that is complete in itself; scores and SDK logs are
    no spans. `metadata` is the batch's own."""
    return decode_folded(fold(events), source_of(metadata or {}, project))


def decode_folded(folded: Folded, source: Source) -> list[Span]:
    """The spans of whole traces, root first where one is made, then in the records' order."""
    decoder = Decoder(source)
    traces = {str(trace.body["id"]): trace for trace in folded.traces}
    members: dict[str, list[Record]] = {key: [] for key in traces}
    for observation in folded.observations:
        members.setdefault(trace_id_of(observation), []).append(observation)
    spans: list[Span] = []
    for key, observations in members.items():
        spans += decode_trace(decoder, traces.get(key), observations)
    return spans


def decode_trace(
    decoder: Decoder, trace: Record | None, observations: Sequence[Record]
) -> list[Span]:
    """The spans of one trace, all of whose observations are known."""
    roots = [observation for observation in observations if not parent_of(observation)]
    if (
        trace is None
        or not needs_root(trace, len(observations), len(roots))
        or (roots and all(map(decoder.mapped, roots)))
    ):
        return [
            decoder.span(observation, trace, with_content=not parent_of(observation))
            for observation in observations
        ]
    parent = root_id(str(trace.body["id"]))
    below = [decoder.span(observation, trace, parent=parent) for observation in observations]
    return [decoder.root(trace, last_end(below)), *below]


def needs_root(trace: Record, observations: int, roots: int) -> bool:
    """Whether a span must be made that stands for the trace."""
    return not observations or (roots != 1 and has_content(trace))


def has_content(trace: Record) -> bool:
    return "input" in trace.body or "output" in trace.body


def last_end(spans: Iterable[Span]) -> int:
    """When the last of them ended; 0 if there are none."""
    return max((span.end_ns for span in spans), default=0)


def root_id(trace_key: str) -> str:
    """The id of the span that stands for a trace."""
    return f"t-{trace_key}"


def trace_id_of(observation: Record) -> str:
    """The trace of an observation; one that names none is a trace of its own."""
    return str(observation.body.get("traceId") or observation.body["id"])


def parent_of(observation: Record) -> str:
    """The parent's id, empty if there is none."""
    return _text(observation.body.get("parentObservationId"))


def is_complete(kind: str, body: Object) -> bool:
    """Whether an observation so far has all that one needs: events are over at once."""
    return kind == EVENT or body.get("endTime") is not None


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
