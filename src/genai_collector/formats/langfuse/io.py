"""Input and output of a span (section 3.11).

`SOURCES` is the precedence: the first source that has any of the two gives both; nothing is mixed.
A row's bits say what must be present for it to be worth a look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Final, NamedTuple

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.flattened import unflatten
from genai_collector.formats.langfuse.messages import with_system_instructions
from genai_collector.formats.langfuse.reading import Reading, read_attributes
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    first_present,
    js_text,
    parse_payload,
    plain_attributes,
    truthy,
)
from genai_collector.model import Event


class Content(NamedTuple):
    """What went in and what came out; None = nobody said."""

    input: JSON
    output: JSON


NOTHING: Final = Content(None, None)
DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
CHOICE_EVENT: Final = "gen_ai.choice"
MESSAGE_EVENTS: Final = {
    f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")
}
PROMPT_EVENT: Final = "gen_ai.content.prompt"
COMPLETION_EVENT: Final = "gen_ai.content.completion"
_EVENT_BITS: Final = {
    DETAILS_EVENT: keys.DETAILS_EVENT,
    PROMPT_EVENT: keys.CONTENT_EVENT,
    COMPLETION_EVENT: keys.CONTENT_EVENT,
    **dict.fromkeys((CHOICE_EVENT, *MESSAGE_EVENTS), keys.MESSAGE_EVENT),
}
CONTENT_EVENTS: Final = frozenset(_EVENT_BITS)
"""The span events that are read; Langfuse drops all others."""
_CONTENT_KEYS: Final = ((PROMPT_EVENT, "gen_ai.prompt"), (COMPLETION_EVENT, "gen_ai.completion"))

_Source = Callable[[Reading, Sequence[Event]], Content | None]


def event_bits(events: Sequence[Event]) -> int:
    """The bits of the events that are read."""
    bits = 0
    for event in events:
        bits |= _EVENT_BITS.get(event.name, 0)
    return bits


def content(reading: Reading, events: Sequence[Event], *, of_trace: bool = False) -> Content:
    """Input and output of the span, or (`of_trace`) those that its trace gets from it."""
    bits = reading.bits
    if bits & keys.LANGFUSE_IO:
        found = _from_langfuse(reading.attributes, of_trace)
        if found is not None:
            return found
    for source in _sources_for(bits & _NEEDED):
        found = source(reading, events)
        if found is not None:
            return found
    return NOTHING


@lru_cache(maxsize=1024)
def _sources_for(bits: int) -> tuple[_Source, ...]:
    return tuple(source for needed, source in SOURCES if bits & needed)


def _from_langfuse(attributes: PlainAttributes, of_trace: bool) -> Content | None:
    sides = []
    for side in ("input", "output"):
        value = attributes.get(f"langfuse.trace.{side}") if of_trace else None
        if not truthy(value):
            value = attributes.get(f"langfuse.observation.{side}")
        sides.append(value)
    return None if sides == [None, None] else Content(*sides)


def _from_genkit(reading: Reading, _: Sequence[Event]) -> Content:
    """Model spans wrap their messages; other spans are taken as they are."""
    sides = []
    for key, wrapped in (("genkit:input", "messages"), ("genkit:output", "message")):
        raw = reading.attributes.get(key)
        value = parse_payload(raw)
        value = raw if value is None else value
        inner = value.get(wrapped) if isinstance(value, dict) else None
        sides.append(value if inner is None else inner)
    return Content(*sides)


_AI_INPUT: Final = ("ai.prompt.messages", "ai.prompt", "ai.toolCall.args")
_AI_OUTPUT: Final = (
    "ai.result.text",
    "ai.toolCall.result",
    "ai.response.object",
    "ai.result.object",
    "ai.response.toolCalls",
    "ai.result.toolCalls",
)


def _from_ai_sdk(reading: Reading, _: Sequence[Event]) -> Content:
    attributes = reading.attributes
    output: JSON
    if "ai.response.text" in attributes and "ai.response.toolCalls" in attributes:
        output = js_text(
            {
                "role": "assistant",
                "content": attributes["ai.response.text"],
                "tool_calls": attributes["ai.response.toolCalls"],
            }
        )
    elif truthy(attributes.get("ai.response.text")):
        output = attributes["ai.response.text"]
    else:
        output = first_present(attributes, _AI_OUTPUT)
    given = first_present(attributes, _AI_INPUT)
    semantic = _gen_ai(attributes) or NOTHING
    return Content(
        semantic.input if given is None else given, semantic.output if output is None else output
    )


_FLUE_INPUT: Final = (
    "flue.turn.input",
    "flue.tool.arguments",
    "flue.task.prompt",
    "flue.workflow.payload",
)
_FLUE_OUTPUT: Final = (
    "flue.turn.output",
    "flue.tool.result",
    "flue.task.result",
    "flue.operation.result",
    "flue.workflow.result",
)


def _from_flue(reading: Reading, _: Sequence[Event]) -> Content | None:
    sides = []
    for names in (_FLUE_INPUT, _FLUE_OUTPUT):
        raw = first_present(reading.attributes, names)
        parsed = parse_payload(raw)
        sides.append(raw if parsed is None else parsed)
    return None if sides == [None, None] else Content(*sides)


def _from_details_events(_: Reading, events: Sequence[Event]) -> Content | None:
    for event in events:
        if event.name == DETAILS_EVENT:
            found = _gen_ai(plain_attributes(event.attributes))
            if found is not None:
                return found
    return None


def _from_message_events(_: Reading, events: Sequence[Event]) -> Content | None:
    given: list[JSON] = []
    chosen: list[JSON] = []
    for event in events:
        role = MESSAGE_EVENTS.get(event.name)
        if role is not None:
            given.append({"role": role, **plain_attributes(event.attributes)})
        elif event.name == CHOICE_EVENT:
            chosen.append(dict(plain_attributes(event.attributes)))
    if not given and not chosen:
        return None
    return Content(given or None, chosen[0] if len(chosen) == 1 else chosen or None)


def _from_content_events(reading: Reading, events: Sequence[Event]) -> Content | None:
    """The attributes of each event are read by this very table; else they are the content."""
    if len(events) == 2 and not reading.bits & _SCOPES:
        given, answer = map(_only_content, events, _CONTENT_KEYS)
        if given and answer:
            return Content(given, answer)
    found: list[Reading | None] = [None, None]
    for event in events:
        for side, name in enumerate((PROMPT_EVENT, COMPLETION_EVENT)):
            if event.name == name and found[side] is None:
                found[side] = read_attributes(event.attributes, reading.bits & _SCOPES)
    if found == [None, None]:
        return None
    sides: list[JSON] = []
    for side, event_reading in enumerate(found):
        if event_reading is None:
            sides.append(content(read_attributes({}, reading.bits & _SCOPES), ())[side] or {})
        else:
            value = content(event_reading, ())[side]
            sides.append(value if truthy(value) else dict(event_reading.attributes))
    return Content(*sides)


def _only_content(event: Event, expected: tuple[str, str]) -> str | None:
    """What nearly all of these events are: the text under its own key and nothing beside."""
    name, key = expected
    if event.name != name or len(event.attributes) != 1:
        return None
    value = event.attributes.get(key)
    return value if isinstance(value, str) else None


def _from_vertex(reading: Reading, _: Sequence[Event]) -> Content | None:
    """`{}` is what the ADK writes when the content is elsewhere, or not to be told."""
    attributes = reading.attributes
    given = attributes.get("gcp.vertex.agent.llm_request")
    if given == "{}" or not truthy(given):
        given = attributes.get("gcp.vertex.agent.tool_call_args")
    answer = attributes.get("gcp.vertex.agent.llm_response")
    if answer == "{}" or not truthy(answer):
        answer = attributes.get("gcp.vertex.agent.tool_response")
    return _if_any(given, answer)


def _pair(input_key: str, output_key: str) -> _Source:
    """A source that is two attributes and nothing else."""

    def source(reading: Reading, _: Sequence[Event]) -> Content | None:
        return _if_any(reading.attributes.get(input_key), reading.attributes.get(output_key))

    return source


def _if_any(given: JSON, answer: JSON) -> Content | None:
    return Content(given, answer) if truthy(given) or truthy(answer) else None


def _from_livekit(reading: Reading, _: Sequence[Event]) -> Content | None:
    attributes = reading.attributes
    given = first_present(attributes, ("lk.input_text", "lk.user_transcript", "lk.chat_ctx"))
    answer = attributes.get("lk.function_tool.output")
    return _if_any(given, answer if truthy(answer) else attributes.get("lk.response.text"))


def _from_logfire_events(reading: Reading, _: Sequence[Event]) -> Content | None:
    """One attribute with all messages: the choice is the output, the rest the input."""
    logged = parse_payload(reading.attributes.get("events"))
    if not isinstance(logged, list) or not logged:
        return None
    names = [item.get("event.name") if isinstance(item, dict) else None for item in logged]
    given = [item for item, name in zip(logged, names, strict=True) if name != CHOICE_EVENT]
    answer = logged[names.index(CHOICE_EVENT)] if CHOICE_EVENT in names else None
    return Content(given or None, answer)


def _from_pydantic(reading: Reading, _: Sequence[Event]) -> Content | None:
    attributes = reading.attributes
    given = attributes.get("pydantic_ai.all_messages")
    instructions = attributes.get("gen_ai.system_instructions")
    if truthy(given) and truthy(instructions):
        given = with_system_instructions(given, instructions)
    return _if_any(given, attributes.get("final_result"))


def _from_flattened(
    input_bit: int, input_prefix: str, output_bit: int, output_prefix: str
) -> _Source:
    def source(reading: Reading, _: Sequence[Event]) -> Content | None:
        given = reading.plan.flattened[input_bit]
        answer = reading.plan.flattened[output_bit]
        if not given and not answer:
            return None
        return Content(
            unflatten(reading.attributes, given, input_prefix),
            unflatten(reading.attributes, answer, output_prefix),
        )

    return source


def _from_gen_ai(reading: Reading, _: Sequence[Event]) -> Content | None:
    return _gen_ai(reading.attributes)


def _gen_ai(attributes: PlainAttributes) -> Content | None:
    """Today's semantic conventions: messages, else the arguments and result of a tool."""
    given = attributes.get("gen_ai.input.messages")
    instructions = attributes.get("gen_ai.system_instructions")
    if truthy(given) and truthy(instructions):
        given = with_system_instructions(given, instructions)
    return _if_any(given, attributes.get("gen_ai.output.messages")) or _if_any(
        attributes.get("gen_ai.tool.call.arguments"), attributes.get("gen_ai.tool.call.result")
    )


_SCOPES: Final = (
    keys.SCOPE_GENKIT | keys.SCOPE_AI | keys.SCOPE_FLUE | keys.SCOPE_PYDANTIC | keys.SCOPE_VERTEX
)

SOURCES: Final[tuple[tuple[int, _Source], ...]] = (
    (keys.SCOPE_GENKIT, _from_genkit),
    (keys.SCOPE_AI, _from_ai_sdk),
    (keys.SCOPE_FLUE, _from_flue),
    (keys.DETAILS_EVENT, _from_details_events),
    (keys.MESSAGE_EVENT, _from_message_events),
    (keys.CONTENT_EVENT, _from_content_events),
    (keys.VERTEX, _from_vertex),
    (keys.LOGFIRE_PROMPT, _pair("prompt", "all_messages_events")),
    (keys.LIVEKIT, _from_livekit),
    (keys.LOGFIRE_EVENTS, _from_logfire_events),
    (keys.MLFLOW, _pair("mlflow.spanInputs", "mlflow.spanOutputs")),
    (keys.TRACELOOP, _pair("traceloop.entity.input", "traceloop.entity.output")),
    (keys.OPENINFERENCE_VALUE, _pair("input.value", "output.value")),
    (keys.PLAIN_IO, _pair("input", "output")),
    (keys.SCOPE_PYDANTIC, _from_pydantic),
    (keys.TOOL_IO, _pair("tool_arguments", "tool_response")),
    (
        keys.PROMPT | keys.COMPLETION,
        _from_flattened(keys.PROMPT, "gen_ai.prompt", keys.COMPLETION, "gen_ai.completion"),
    ),
    (
        keys.LLM_INPUT | keys.LLM_OUTPUT,
        _from_flattened(
            keys.LLM_INPUT, "llm.input_messages", keys.LLM_OUTPUT, "llm.output_messages"
        ),
    ),
    (keys.GEN_AI_MESSAGES, _from_gen_ai),
)
"""What a source needs, and the source, the strongest first (`langfuse.*` comes before all)."""
_NEEDED: Final = reduce(or_, (needed for needed, _ in SOURCES))
