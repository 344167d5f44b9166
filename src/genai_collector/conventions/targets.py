"""The conventions that a reading can be written in, for backends that know only one of them.

A target is a table of homes (field of the observation -> attribute), the spelling of values there,
and the form of its messages. What a target has no name for is written under today's name, so that
nothing is lost. Sources: the conventions' changelogs (`gen_ai.system` until v1.36, `x_ai` since
v1.37); OpenInference's attribute constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from genai_collector.conventions import message_forms as forms
from genai_collector.conventions import openinference as oi
from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.content import MESSAGE_EVENTS, MESSAGE_KINDS, structured
from genai_collector.conventions.facts import fill_parameters, json_object
from genai_collector.conventions.messages import to_parts_messages
from genai_collector.conventions.observation import Content, Message, Observation
from genai_collector.conventions.reading import OPERATIONS_OF_KINDS, VOCABULARIES
from genai_collector.model import Attributes, Event, Span, Value

HOMES: Final = {
    row.field: row.key for row in VOCABULARIES[0].rows if not row.field.startswith("content.")
}
"""Field -> its attribute in today's conventions."""

_HOMES_1_36: Final = HOMES | {
    "provider": "gen_ai.system",
    "parameters.service_tier": "gen_ai.openai.request.service_tier",
}
_PROVIDERS_1_36: Final = {"x_ai": "xai"}

_HOMES_OPENINFERENCE: Final = HOMES | {
    "provider": "llm.provider",
    "request_model": "llm.request.model_name",
    "response_model": "llm.response.model_name",
    "finish_reasons": "llm.finish_reason",
    "usage.input": "llm.token_count.prompt",
    "usage.output": "llm.token_count.completion",
    "usage.total": "llm.token_count.total",
    "usage.cache_read": "llm.token_count.prompt_details.cache_read",
    "usage.cache_creation": "llm.token_count.prompt_details.cache_write",
    "usage.reasoning": "llm.token_count.completion_details.reasoning",
    "cost.total": "llm.cost.total",
    "cost.input": "llm.cost.prompt",
    "cost.output": "llm.cost.completion",
    "conversation_id": "session.id",
    "agent_name": "agent.name",
    "tool_name": "tool.name",
    "tool_call_id": "tool.id",
    "prompt_version": "llm.prompt_template.version",
    "tags": "tag.tags",
}
_PROVIDERS_OPENINFERENCE: Final = {
    "azure.ai.openai": "azure", "aws.bedrock": "aws", "mistral_ai": "mistralai", "x_ai": "xai",
    "gcp.gen_ai": "google",
}  # fmt: skip
_SYSTEMS: Final = {
    "openai": "openai", "azure.ai.openai": "openai", "anthropic": "anthropic", "cohere": "cohere",
    "mistral_ai": "mistralai", "gcp.vertex_ai": "vertexai",
}  # fmt: skip
_SPAN_KINDS: Final = {kind: word for word, kind in oi.KINDS.items()} | {"workflow": "CHAIN"}
_BODY_NAMES: Final = {
    "stop_sequences": "stop", "choice.count": "n", "encoding_formats": "encoding_format",
    "reasoning.level": "reasoning_effort", "previous_response.id": "previous_response_id",
}  # fmt: skip
"""Parameters -> OpenAI's names for them, which `facts.PARAMETERS` reads."""


@dataclass(slots=True)
class Written:
    """How a target holds content."""

    attributes: Attributes
    events: list[Event]
    held: set[str]
    """Today's content attributes whose information now stands in the target's own form."""
    beside: set[str]
    """Those that the form does not hold exactly; they have to stand beside it."""

    def note(self, exact: bool, *keys: str) -> None:
        (self.held if exact else self.beside).update(keys)


NOTHING: Final = Written({}, [], set(), set())


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    homes: dict[str, str]
    spell: Callable[[str, Value], Value]
    """(field, fact) -> the value in its home; None if that cannot hold it."""
    further: Callable[[Span, Observation], Attributes]
    """What the target wants beyond the homes."""
    content: Callable[[Span, Observation, Content], Written] | None
    """None: today's attributes."""
    own: tuple[str, ...] = ()
    """Prefixes of the target's own attributes, which are no originals."""


def _given(span: Span) -> tuple[str, ...]:
    """What the input's form replaces: instructions only if the messages stand beside them, for
    another source of messages may go on saying the rest."""
    if s.GEN_AI_INPUT_MESSAGES in span.attributes:
        return (s.GEN_AI_INPUT_MESSAGES, s.GEN_AI_SYSTEM_INSTRUCTIONS)
    return (s.GEN_AI_INPUT_MESSAGES,)


def _is_finished(observation: Observation, messages: list[Message]) -> bool:
    """Whether reading would not add the span's own finish reasons to these messages."""
    reasons = observation.finish_reasons or []
    return all("finish_reason" in m for m, _ in zip(messages, reasons, strict=False))


def _as_is(_field: str, fact: Value) -> Value:
    return fact


def _nothing(_span: Span, _observation: Observation) -> Attributes:
    return {}


# v1.36 ----------------------------------------------------------------------------------------
def _spell_1_36(field: str, fact: Value) -> Value:
    if field == "provider" and isinstance(fact, str):
        return _PROVIDERS_1_36.get(fact, fact)
    return fact


def _content_1_36(span: Span, observation: Observation, content: Content) -> Written:
    # v1.36 has no form for tools, nor for what goes in and out of them.
    beside = {s.GEN_AI_TOOL_DEFINITIONS, s.GEN_AI_TOOL_CALL_ARGUMENTS, s.GEN_AI_TOOL_CALL_RESULT}
    written = Written({}, [], set(), beside)
    there = {event.name for event in span.events} if span.has_events else set()
    provider = observation.provider
    # Nobody looks for events on a span without any attribute of the conventions.
    marked = bool(observation.operation or provider or observation.model)
    given = forms.whole_input(content)
    if given and there.isdisjoint(MESSAGE_EVENTS.keys() - {forms.CHOICE}):
        events = forms.input_events(span, given, provider)
        exact = marked and forms.read_back(events)[0] == given
        if exact or content.input_messages:
            # Instructions alone would be read twice if their form is not exact.
            written.events += events
            written.note(exact, *_given(span))
    made = content.output_messages
    if made and forms.CHOICE not in there:
        events = forms.choice_events(span, made, provider)
        written.events += events
        exact = forms.read_back(events)[1] == made and _is_finished(observation, made)
        exact = exact and marked
        written.note(exact, s.GEN_AI_OUTPUT_MESSAGES)
    return written


# OpenInference --------------------------------------------------------------------------------
def _spell_openinference(field: str, fact: Value) -> Value:
    if field == "provider" and isinstance(fact, str):
        return _PROVIDERS_OPENINFERENCE.get(fact, fact)
    if field == "finish_reasons":
        return fact[0] if isinstance(fact, list) and len(fact) == 1 else None
    return fact


def _extra_openinference(_span: Span, observation: Observation) -> Attributes:
    found: Attributes = {}
    word = _SPAN_KINDS.get(observation.kind)
    if word is not None:
        found[oi.SPAN_KIND] = word
    operation = observation.operation or OPERATIONS_OF_KINDS.get(observation.kind)
    if operation is not None:
        found[s.GEN_AI_OPERATION_NAME] = operation
    system = _SYSTEMS.get(observation.provider or "")
    if system is not None:
        found["llm.system"] = system
    if observation.model is not None and observation.kind == "generation":
        found["llm.model_name"] = observation.model
    elif observation.request_model is not None and observation.kind == "embedding":
        found["embedding.model_name"] = observation.request_model
    if observation.parameters:
        found[oi.INVOCATION_PARAMETERS] = to_json(_body(observation))
    if observation.metadata:
        found["metadata"] = to_json(observation.metadata)
    return found


def _body(observation: Observation) -> Value:
    body: dict[str, Value] = {}
    if observation.request_model is not None:
        body["model"] = observation.request_model
    for name, value in observation.parameters.items():
        body[_BODY_NAMES.get(name, name)] = value
    return body


def held_parameters(observation: Observation, attributes: Attributes) -> set[str]:
    """The parameters that the JSON text of OpenInference holds as they are."""
    probe = Observation()
    fill_parameters(probe, json_object(attributes.get(oi.INVOCATION_PARAMETERS)))
    known = observation.parameters
    return {
        f"parameters.{name}"
        for name, value in probe.parameters.items()
        if name in known and known[name] == value and type(known[name]) is type(value)
    }


def _content_openinference(span: Span, observation: Observation, content: Content) -> Written:
    written = Written({}, [], set(), set())
    given = forms.whole_input(content)
    if given and _is_free(span, oi.INPUT_MESSAGES):
        flat = forms.flattened(given, oi.INPUT_MESSAGES)
        exact = forms.reads_as(flat, oi.INPUT_MESSAGES, given)
        if exact or content.input_messages:
            written.attributes |= flat
            written.note(exact, *_given(span))
    made = content.output_messages
    if made and _is_free(span, oi.OUTPUT_MESSAGES):
        flat = forms.flattened(made, oi.OUTPUT_MESSAGES)
        written.attributes |= flat
        exact = forms.reads_as(flat, oi.OUTPUT_MESSAGES, made)
        exact = exact and _reasons_told(observation, content)
        written.note(exact, s.GEN_AI_OUTPUT_MESSAGES)
    if content.tool_definitions and _is_free(span, oi.TOOLS):
        tools = forms.flattened_tools(content.tool_definitions, oi.TOOLS)
        written.attributes |= tools or {}
        written.note(tools is not None, s.GEN_AI_TOOL_DEFINITIONS)
    _write_plain(span, observation, content, written)
    return written


def _write_plain(span: Span, observation: Observation, content: Content, written: Written) -> None:
    for side, value, home in (
        ("input", content.input, s.GEN_AI_TOOL_CALL_ARGUMENTS),
        ("output", content.output, s.GEN_AI_TOOL_CALL_RESULT),
    ):
        text = value if isinstance(value, str) else to_json(value)
        if value is None or text is None or not text or not _is_free(span, f"{side}.value"):
            continue
        if observation.kind in MESSAGE_KINDS and to_parts_messages(structured(text)) is not None:
            # Would read as a message, which the producer did not say.
            continue
        written.attributes[f"{side}.value"] = text
        written.attributes[f"{side}.mime_type"] = (
            "text/plain" if isinstance(value, str) else "application/json"
        )
        written.note(structured(text) == value, home)


def _is_free(span: Span, prefix: str) -> bool:
    return not any(key.startswith(prefix) for key in span.attributes)


def _reasons_told(observation: Observation, content: Content) -> bool:
    """Whether the finish reasons inside messages are those that the span states anyway."""
    said = [message.get("finish_reason") for message in content.output_messages or ()]
    told: list[Value] = [s.message_finish_reason(r) for r in observation.finish_reasons or ()]
    return said == [*told, *[None] * len(said)][: len(said)]


TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        Target("semconv", HOMES, _as_is, _nothing, None),
        Target("semconv_1_36", _HOMES_1_36, _spell_1_36, _nothing, _content_1_36),
        Target(
            "openinference", _HOMES_OPENINFERENCE, _spell_openinference, _extra_openinference,
            _content_openinference,
            own=("openinference.", "llm.", "embedding.", "input.", "output.", "tool.", "agent.",
                 "tag.", "retrieval.", "reranker."),
        ),
    )
}  # fmt: skip
"""Every target by its name."""
