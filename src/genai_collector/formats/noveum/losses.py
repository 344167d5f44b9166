"""What of a span has no member in a Noveum record.

Nothing is lost for the way back, because `attributes.otel` holds the whole span; but Noveum itself
shows none of what is named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.conventions.messages import parts_of
from genai_collector.conventions.observation import Content, Observation
from genai_collector.formats.loss import Loss
from genai_collector.formats.noveum import fields
from genai_collector.formats.noveum.codec import source_of
from genai_collector.formats.noveum.observed import RESOURCE_KEYS, is_llm_call
from genai_collector.model import Span, StatusCode

_ONLY_KEPT: Final = "no member in a Noveum record; kept in attributes.otel"
_NOT_SENT: Final = "no call of a model; not sent"
_NO_CALL: Final = "no call of a model; only its times, status and ids have members"

# What an observation knows and a record has no member for.
_HOMELESS: Final[dict[str, Callable[[Observation], object]]] = {
    "tags": lambda seen: seen.tags,
    "agent.name": lambda seen: seen.agent_name,
    "agent.id": lambda seen: seen.agent_id,
    "workflow.name": lambda seen: seen.workflow_name,
    "tool.name": lambda seen: seen.tool_name,
    "tool.call.id": lambda seen: seen.tool_call_id,
    "prompt.name": lambda seen: seen.prompt_name,
    "prompt.version": lambda seen: seen.prompt_version,
    "output.type": lambda seen: seen.output_type,
    "level": lambda seen: seen.level,
    "metadata": lambda seen: seen.metadata,
    "cost.input": lambda seen: seen.cost.input,
    "cost.output": lambda seen: seen.cost.output,
    "cost.details": lambda seen: seen.cost.details,
    "usage.details": lambda seen: seen.usage.details,
}
_OPENAI_PARTS: Final = frozenset({"text", "tool_call", "tool_call_response"})
_READ_ATTRIBUTES: Final = frozenset(
    {
        *(row.attribute for row in fields.PLAIN_ROWS),
        fields.RECORD_ID,
        "http.status_code",
        "openai.response.service_tier",
        "openai.response.system_fingerprint",
    }
)


def loss(spans: Sequence[Span], *, include_other_spans: bool = True) -> list[Loss]:
    """Each field without a home. A span that was a Noveum record has none."""
    return [
        Loss(f"span {span.span_id.hex()}", field, why)
        for span in spans
        if source_of(span) is None
        for field, why in _span_losses(span, include_other_spans)
    ]


def _span_losses(span: Span, others: bool) -> Iterator[tuple[str, str]]:
    seen = read_observation(span)
    call = is_llm_call(seen)
    if not (call or others):
        yield "span", _NOT_SENT
        return
    if not call:
        yield "span", _NO_CALL
    content = seen.read_content()
    known = (seen.consumed | _READ_ATTRIBUTES) if call else _READ_ATTRIBUTES
    for key in span.attributes:
        if key not in known:
            yield f"attributes.{key}", _ONLY_KEPT
    if call:
        yield from _call_losses(seen, content)
    yield from _span_field_losses(span, seen, call)


def _call_losses(seen: Observation, content: Content) -> Iterator[tuple[str, str]]:
    for field, read in _HOMELESS.items():
        if read(seen):
            yield field, _ONLY_KEPT
    messages = [*(content.input_messages or []), *(content.output_messages or [])]
    kinds = {str(p.get("type")) for message in messages for p in parts_of(message)}
    for kind in sorted(kinds - _OPENAI_PARTS):
        yield f"messages.parts[type={kind}]", "no part of OpenAI's message; kept in attributes.otel"


def _span_field_losses(span: Span, seen: Observation, call: bool) -> Iterator[tuple[str, str]]:
    read_events = seen.consumed_events if call else set[str]()
    if any(event.name not in read_events for event in span.events):
        yield "events", _ONLY_KEPT
    for field in ("links", "trace_state", "parent_span_id"):
        if getattr(span, field):
            yield field, _ONLY_KEPT
    if span.status_code == StatusCode.OK:
        yield "status.code", "a record tells only success from error; kept in attributes.otel"
    for key in span.resource.attributes:
        if key not in RESOURCE_KEYS:
            yield f"resource.{key}", _ONLY_KEPT
