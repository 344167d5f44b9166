"""Which originals may go from a span, because what they say stands elsewhere on it by then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.content import (
    CONTENT_COMPLETION,
    CONTENT_PROMPT,
    MESSAGE_EVENTS,
)
from genai_collector.conventions.observation import Observation
from genai_collector.conventions.reading import KINDS, VOCABULARIES, is_unset
from genai_collector.conventions.targets import Target, held_parameters
from genai_collector.model import Attributes, Event, Span, Value

_ROWS: Final = {row.key: row for v in VOCABULARIES for row in v.rows}
_REQUEST: Final = "gen_ai.request."
_NEVER_REMOVED: Final = frozenset(("session.id",))
"""Attributes of other conventions that GenAI facts are read from; they keep their own meaning."""


_CONTENT_HOMES: Final = {
    "content.input_messages": s.GEN_AI_INPUT_MESSAGES,
    "content.output_messages": s.GEN_AI_OUTPUT_MESSAGES,
    "content.system_instructions": s.GEN_AI_SYSTEM_INSTRUCTIONS,
    "content.tool_definitions": s.GEN_AI_TOOL_DEFINITIONS,
    "content.old_input": s.GEN_AI_INPUT_MESSAGES,
    "content.old_output": s.GEN_AI_OUTPUT_MESSAGES,
    "content.tool_calls": s.GEN_AI_OUTPUT_MESSAGES,
    "content.reasoning": s.GEN_AI_OUTPUT_MESSAGES,
    "content.tool_args": s.GEN_AI_TOOL_CALL_ARGUMENTS,
    "content.input": s.GEN_AI_TOOL_CALL_ARGUMENTS,
    "content.output": s.GEN_AI_TOOL_CALL_RESULT,
}
"""Content field -> the canonical attribute that holds it once it is converted."""
_INDEXED_HOMES: Final = (
    ("gen_ai.prompt.", s.GEN_AI_INPUT_MESSAGES),
    ("gen_ai.completion.", s.GEN_AI_OUTPUT_MESSAGES),
    ("llm.input_messages.", s.GEN_AI_INPUT_MESSAGES),
    ("llm.output_messages.", s.GEN_AI_OUTPUT_MESSAGES),
    ("llm.tools.", s.GEN_AI_TOOL_DEFINITIONS),
    ("llm.request.functions.", s.GEN_AI_TOOL_DEFINITIONS),
    ("gen_ai.tool.", s.GEN_AI_TOOL_DEFINITIONS),
)
_BODY_KEYS: Final = frozenset((
    "content", "role", "tool_calls", "id", "index", "finish_reason", "message", "event.name",
    "gen_ai.system", "gen_ai.provider.name", "gen_ai.event.content",
))  # fmt: skip
_EVENT_KEYS: Final = {
    CONTENT_PROMPT: frozenset(("gen_ai.prompt",)),
    CONTENT_COMPLETION: frozenset(("gen_ai.completion",)),
} | dict.fromkeys(MESSAGE_EVENTS, _BODY_KEYS)
"""Event -> the attributes of it that are understood; an event with others stays."""


def removable(
    observation: Observation,
    attributes: Attributes,
    changed: Attributes,
    target: Target,
    held: set[str],
) -> Iterator[str]:
    """The attributes whose information stands elsewhere: facts in the target's homes, content
    because `held` says so; and those that say "not set"."""
    result = attributes | changed
    parameters = held_parameters(observation, result) if target.name == "openinference" else set()
    own = target.homes.values()
    for key in observation.consumed:
        if key in changed or key in _NEVER_REMOVED or key.startswith(target.own):
            continue
        row = _ROWS.get(key)
        field = row.field if row is not None else ""
        content_home = _CONTENT_HOMES.get(field) if row is not None else _indexed_home(key)
        if (
            is_unset(key, attributes[key])
            or (
                key not in own and _stands(observation, key, field, attributes[key], target, result)
            )
            or (field in parameters or f"parameters.{key.removeprefix(_REQUEST)}" in parameters)
            or (content_home in held and key not in changed)
        ):
            yield key
    for old, new in s.COPIED.items() if target.content is None else ():
        if old in attributes and attributes[old] == (changed.get(new) or attributes.get(new)):
            yield old


def _stands(
    observation: Observation,
    key: str,
    field: str,
    value: Value,
    target: Target,
    result: Attributes,
) -> bool:
    """Whether what an original says stands in the target's home of its field."""
    if field == "kind":
        home = s.GEN_AI_OPERATION_NAME
        said = _ROWS[key].read(value)
        return home in result and KINDS.get(str(result[home])) == observation.kind == said
    home = target.homes.get(field, "")
    row = _ROWS.get(home)
    if row is None or home not in result:
        return False
    fact = row.read(result[home])
    return fact is not None and target.spell(field, fact) is not None


def _indexed_home(key: str) -> str | None:
    for prefix, home in _INDEXED_HOMES:
        if key.startswith(prefix):
            return home
    return None


def kept_events(span: Span, observation: Observation, held: set[str]) -> list[Event] | None:
    """The events that are to stay; None if that is all of them."""
    names = observation.consumed_events
    if not names:
        return None
    events = span.events
    kept = [event for event in events if not _is_converted(event, observation, held)]
    return kept if len(kept) < len(events) else None


def speak(kept: list[Event], observation: Observation) -> bool:
    """Whether some of these events are content that was read."""
    return any(e.name in observation.consumed_events and e.name in _EVENT_KEYS for e in kept)


def _is_converted(event: Event, observation: Observation, held: set[str]) -> bool:
    known = _EVENT_KEYS.get(event.name)
    if known is None or event.name not in observation.consumed_events:
        return False
    made = event.name in (CONTENT_COMPLETION, "gen_ai.choice")
    home = s.GEN_AI_OUTPUT_MESSAGES if made else s.GEN_AI_INPUT_MESSAGES
    return home in held and event.attributes.keys() <= known
