"""What of a span has no member in a StandardLoggingPayload.

Nothing is lost for the way back, because the member `otel` holds the whole span; but whoever reads
only LiteLLM's own members sees none of what is named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.conventions.messages import parts_of
from genai_collector.conventions.observation import Content, Observation
from genai_collector.formats.litellm.codec import source_of
from genai_collector.formats.litellm.observed import is_llm_call
from genai_collector.formats.loss import Loss
from genai_collector.model import Span, StatusCode

_ONLY_KEPT: Final = "no member in a StandardLoggingPayload; kept in otel"
_NOT_SENT: Final = "no call of a model; not sent"
_NO_CALL: Final = "no call of a model; its payload is made like one, without a model"

# What an observation knows and a payload has no member for.
_HOMELESS: Final[dict[str, Callable[[Observation], object]]] = {
    "agent.name": lambda seen: seen.agent_name,
    "agent.id": lambda seen: seen.agent_id,
    "workflow.name": lambda seen: seen.workflow_name,
    "tool.name": lambda seen: seen.tool_name,
    "tool.call.id": lambda seen: seen.tool_call_id,
    "prompt.name": lambda seen: seen.prompt_name,
    "prompt.version": lambda seen: seen.prompt_version,
    "output.type": lambda seen: seen.output_type,
    "cost.details": lambda seen: seen.cost.details,
    "usage.details": lambda seen: seen.usage.details,
}
_OPENAI_PARTS: Final = frozenset({"text", "tool_call", "tool_call_response", "reasoning"})
_READ_ATTRIBUTES: Final = frozenset(
    {
        "http.response.status_code",
        "openai.response.service_tier",
        "openai.response.system_fingerprint",
        "server.address",
        "server.port",
    }
)


def loss(spans: Sequence[Span], *, include_other_spans: bool = True) -> list[Loss]:
    """Each field without a home. A span that was a payload has none."""
    return [
        Loss(f"span {span.span_id.hex()}", field, why)
        for span in spans
        if source_of(span) is None
        for field, why in _span_losses(span, include_other_spans)
    ]


def _span_losses(span: Span, others: bool) -> Iterator[tuple[str, str]]:
    seen = read_observation(span)
    if not (others or is_llm_call(seen)):
        yield "span", _NOT_SENT
        return
    if not is_llm_call(seen):
        yield "span", _NO_CALL
    content = seen.read_content()
    for key in span.attributes:
        if key not in seen.consumed and key not in _READ_ATTRIBUTES:
            yield f"attributes.{key}", _ONLY_KEPT
    for field, read in _HOMELESS.items():
        if read(seen):
            yield field, _ONLY_KEPT
    for kind in sorted(_part_kinds(content) - _OPENAI_PARTS):
        yield f"messages.parts[type={kind}]", "no part of OpenAI's message; kept in otel"
    if any(event.name not in seen.consumed_events for event in span.read_events()):
        yield "events", _ONLY_KEPT
    for field in ("links", "trace_state", "parent_span_id"):
        if getattr(span, field):
            yield field, _ONLY_KEPT
    if span.status_code == StatusCode.OK:
        yield "status.code", "a payload tells only success from failure; kept in otel"
    for key in span.resource.attributes:
        yield f"resource.{key}", _ONLY_KEPT


def _part_kinds(content: Content) -> set[str]:
    messages = [*(content.input_messages or []), *(content.output_messages or [])]
    return {str(part.get("type")) for message in messages for part in parts_of(message)}
