"""What one span says of its trace, said by every span of that trace.

A v4 server has no traces of their own: it filters and sums by the user, session, tags ... of each
record (sections 0 and 3.6). What a span says itself always stands; where spans contradict each
other, the root is believed first, then the order of the spans. The input and output of a trace are
those of its root, so they move there; where they cannot, they are kept as metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from genai_collector.formats.langfuse import keys, names
from genai_collector.formats.langfuse.io import NOTHING
from genai_collector.formats.langfuse.metadata import user_metadata
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.span_values import as_attribute
from genai_collector.formats.langfuse.v4_observation import content_of, read_span
from genai_collector.formats.langfuse.values import JSON, PlainAttributes, says_true, text, truthy
from genai_collector.formats.langfuse.values import parse_payload as parsed
from genai_collector.model import Attributes, Span, Value

_NAME: Final = "langfuse.trace.name"
_METADATA: Final = f"{keys.TRACE_METADATA_KEY}."
_CONVERSATION: Final = "gen_ai.conversation.id"
_IDENTITY: Final = frozenset(("langfuse_user_id", "langfuse_session_id", "langfuse_tags"))
"""Metadata keys that are read as user, session and tags."""
_SIDES: Final = ("input", "output")
_UNSAID: Final[tuple[JSON, ...]] = (None, "", [])


class _Member:
    """A span of a trace, read once."""

    __slots__ = ("attributes", "is_root", "reading", "shared", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.reading: Reading = read_span(span)
        self.attributes: PlainAttributes = self.reading.attributes
        self.shared = cast("PlainAttributes", span.resource.attributes)
        as_root = self.attributes.get("langfuse.internal.as_root")
        self.is_root = not span.parent_span_id or says_true(as_root)


def _trace_name(member: _Member) -> JSON:
    return text(member.attributes.get(_NAME))


def _session_of_trace(member: _Member) -> JSON:
    """Parts of a trace may be conversations of their own; the root's is the trace's."""
    found = names.session_id(member.attributes)
    if not member.is_root and found == member.attributes.get(_CONVERSATION):
        others = {k: v for k, v in member.attributes.items() if k != _CONVERSATION}
        return names.session_id(others)
    return found


_Fact = Callable[[_Member], JSON]
_FACTS: Final[tuple[tuple[str, _Fact, _Fact], ...]] = (
    (_NAME, _trace_name, _trace_name),
    ("user.id", lambda m: names.user_id(m.attributes), lambda m: names.user_id(m.attributes)),
    ("session.id", _session_of_trace, lambda m: names.session_id(m.attributes)),
    ("langfuse.trace.tags", lambda m: names.tags(m.attributes), lambda m: names.tags(m.attributes)),
    (
        "langfuse.trace.public",
        lambda m: names.public(m.attributes),
        lambda m: names.public(m.attributes),
    ),
    (
        "langfuse.release",
        lambda m: names.release(m.reading, m.shared),
        lambda m: names.release(m.reading, m.shared),
    ),
    (
        "langfuse.version",
        lambda m: text(m.attributes.get("langfuse.version")),
        lambda m: names.version(m.reading, m.shared),
    ),
)
"""The attribute, what a span says of its trace, and what Langfuse reads on a span: a span that
has this says nothing by not having the other."""


def spread(spans: Sequence[Span]) -> list[Attributes]:
    """For each span the attributes it lacks, among spans of the same trace."""
    added: list[Attributes] = [{} for _ in spans]
    traces: dict[bytes, list[int]] = {}
    members = [_Member(span) for span in spans]
    for at, span in enumerate(spans):
        if span.trace_id:
            traces.setdefault(span.trace_id, []).append(at)
    for places in traces.values():
        places.sort(key=lambda at: not members[at].is_root)
        trace = [members[at] for at in places]
        mine = [added[at] for at in places]
        if len(trace) > 1:
            _spread_facts(trace, mine)
            _spread_metadata(trace, mine)
        _place_content(trace, mine)
    return added


def _spread_facts(trace: Sequence[_Member], added: Sequence[Attributes]) -> None:
    for key, of_trace, of_span in _FACTS:
        said = next((fact for m in trace if (fact := of_trace(m)) not in _UNSAID), None)
        if said is None:
            continue
        for member, mine in zip(trace, added, strict=True):
            if key not in member.attributes and of_span(member) in _UNSAID:
                mine[key] = cast("Value", said)


def _spread_metadata(trace: Sequence[_Member], added: Sequence[Attributes]) -> None:
    known: Attributes = {}
    for member in trace:
        if member.reading.bits & keys.TRACE_METADATA:
            for key, value in _metadata_of(member).items():
                known.setdefault(key, value)
    if not known:
        return
    for member, mine in zip(trace, added, strict=True):
        own = user_metadata(member.reading, keys.TRACE_METADATA_KEY)
        own |= user_metadata(member.reading, keys.OBSERVATION_METADATA)
        mine |= {_METADATA + key: value for key, value in known.items() if key not in own}


def _metadata_of(member: _Member) -> Attributes:
    """What the span says of the trace, key by key."""
    attributes = member.span.attributes
    whole = parsed(member.attributes.get(keys.TRACE_METADATA_KEY))
    found: Attributes = {}
    if isinstance(whole, dict):
        found = {key: as_attribute(value) for key, value in whole.items() if value is not None}
    found |= {
        key[len(_METADATA) :]: value
        for key, value in attributes.items()
        if key.startswith(_METADATA)
    }
    return {key: value for key, value in found.items() if key and key not in _IDENTITY}


def _place_content(trace: Sequence[_Member], added: Sequence[Attributes]) -> None:
    """The trace's own content, if anybody says it: onto the root if that has none of its own."""
    root = trace[0]
    for member, mine in zip(trace, added, strict=True):
        if not member.reading.bits & keys.LANGFUSE_IO:
            continue
        said = {
            side: value
            for side in _SIDES
            if truthy(value := member.attributes.get(f"langfuse.trace.{side}"))
        }
        if said and root.is_root and _has_no_content(root, added[0]):
            added[0] |= {
                f"langfuse.observation.{side}": cast("Value", value) for side, value in said.items()
            }
        for side, value in said.items():
            key = f"langfuse.observation.metadata.trace_{side}"
            told = (
                _side(root, added[0], side),
                _side(member, mine, side),
                member.attributes.get(key),
            )
            if value not in told:
                mine[key] = cast("Value", value)


def _side(member: _Member, added: Attributes, side: str) -> JSON:
    """The input or output that Langfuse will show for a span."""
    found = content_of(member.span, member.reading)
    own = found.input if side == "input" else found.output
    return cast("JSON", added.get(f"langfuse.observation.{side}", cast("Value", own)))


def _has_no_content(member: _Member, added: Attributes) -> bool:
    is_given = any(f"langfuse.observation.{side}" in added for side in _SIDES)
    return not is_given and content_of(member.span, member.reading) == NOTHING
