"""What a span would have to look like to speak today's GenAI conventions.

`plan_change` compares a span with its reading and says what to set and what to take away; it
changes nothing itself. The rules:

* A canonical attribute that is there and readable is right. It is only respelt: a number sent as a
  string becomes a number, `xai` becomes `x_ai`, messages in OpenAI's shape become parts.
* A fact said under another name only is written under the canonical one.
* An original may go only if its information now stands under a canonical name, or if it says
  "not set" (`max_tokens: -1`, an empty seed). What disagrees with the canonical value stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.content import (
    CONTENT_COMPLETION,
    CONTENT_PROMPT,
    MESSAGE_EVENTS,
    structured,
)
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.reading import VOCABULARIES, is_unset, read_observation
from genai_collector.model import Attributes, Event, Span, Value

_SEMCONV: Final = VOCABULARIES[0]
_HOMES: Final = {
    row.field: row.key for row in _SEMCONV.rows if not row.field.startswith("content.")
}
"""Field -> its canonical attribute."""
_FIELDS: Final = {row.key: row.field for v in VOCABULARIES for row in v.rows}
_OWN_FIELDS: Final = tuple((f, key) for f, key in _HOMES.items() if "." not in f)
_USAGE_FIELDS: Final = tuple(
    (f.partition(".")[2], key) for f, key in _HOMES.items() if f.startswith("usage.")
)
_NEVER_REMOVED: Final = frozenset(("session.id",))
"""Attributes of other conventions that GenAI facts are read from; they keep their own meaning."""

_CONTENT_HOMES: Final = {
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

_AGENT_OPERATIONS: Final = frozenset(("invoke_agent", "create_agent", "plan"))
_MODEL_OPERATIONS: Final = frozenset(("chat", "generate_content", "text_completion", "embeddings"))


class Change(NamedTuple):
    """What to do to one span."""

    set: Attributes
    remove: frozenset[str]
    events: list[Event] | None
    """The events to keep, if some can go."""
    name: str | None

    def apply(self, span: Span) -> None:
        for key in self.remove:
            del span.attributes[key]
        span.attributes.update(self.set)
        if self.events is not None:
            span.events = self.events
        if self.name is not None:
            span.name = self.name


def plan_change(
    span: Span,
    *,
    content: bool = True,
    overwrite: bool = False,
    remove_originals: bool = False,
    rename: bool = False,
) -> Change | None:
    """How to bring this span to today's conventions; None if there is nothing to do.

    Applying the change and planning again gives None. `overwrite` believes other names before the
    canonical one (content excepted).
    """
    observation = read_observation(span, canonical_first=not overwrite)
    if not observation.is_genai:
        return None
    attributes = span.attributes
    changed: Attributes = {}
    for key, value in canonical_attributes(observation).items():
        if key not in attributes or _differs(attributes[key], value):
            changed[key] = value
    for old, new in s.COPIED.items():
        value = attributes.get(old)
        if isinstance(value, str) and value and new not in attributes and new not in changed:
            changed[new] = value
    if content:
        changed |= _content_changes(observation, observation.read_content(), attributes)
    remove: frozenset[str] = frozenset()
    events = None
    if remove_originals:
        remove = frozenset(_removable(observation, attributes, changed))
        events = _kept_events(span, observation, changed)
    name = span_name(span, observation) if rename else None
    if name == span.name:
        name = None
    if not changed and not remove and events is None and name is None:
        return None
    return Change(changed, remove, events, name)


def canonical_attributes(observation: Observation) -> Attributes:
    """What is known, without content, under the names of today's conventions."""
    found: Attributes = {}
    for field, key in _OWN_FIELDS:
        value = getattr(observation, field)
        if value is not None:
            found[key] = value
    if isinstance(observation.prompt_version, int):
        found[s.GEN_AI_PROMPT_VERSION] = str(observation.prompt_version)
    for name, value in observation.parameters.items():
        found[_HOMES.get(f"parameters.{name}", f"gen_ai.request.{name}")] = value
    for field, key in _USAGE_FIELDS:
        value = getattr(observation.usage, field)
        if value is not None:
            found[key] = value
    if observation.cost.total is not None:
        found[s.GEN_AI_USAGE_COST] = observation.cost.total
    return found


def content_attributes(content: Content) -> Iterator[tuple[str, Value]]:
    """Messages, instructions and definitions under their canonical names, as plain values."""
    yield s.GEN_AI_INPUT_MESSAGES, cast("Value", content.input_messages)
    yield s.GEN_AI_OUTPUT_MESSAGES, cast("Value", content.output_messages)
    yield s.GEN_AI_SYSTEM_INSTRUCTIONS, cast("Value", content.system_instructions)
    yield s.GEN_AI_TOOL_DEFINITIONS, content.tool_definitions


def span_name(span: Span, observation: Observation) -> str:
    """The name that the conventions give such a span; its own where they cannot."""
    operation = observation.operation
    if operation == "execute_tool":
        target = observation.tool_name
    elif operation in _AGENT_OPERATIONS:
        target = observation.agent_name
    elif operation == "invoke_workflow":
        target = observation.workflow_name
    elif operation in _MODEL_OPERATIONS:
        target = observation.request_model
    else:
        return span.name
    return f"{operation} {target}" if target else span.name


def _differs(present: Value, wanted: Value) -> bool:
    if present is wanted:
        return False
    if isinstance(present, list) and isinstance(wanted, list):
        # Entries that are no text cannot be read, and are left where they are.
        return [item for item in present if isinstance(item, str)] != wanted
    return type(present) is not type(wanted) or present != wanted


def _content_changes(
    observation: Observation, content: Content, attributes: Attributes
) -> Attributes:
    changed: Attributes = {}
    for key, wanted in content_attributes(content):
        if wanted is None or isinstance(wanted, str):
            continue
        present = attributes.get(key)
        if present is None:
            written: Value = to_json(wanted) if wanted else None
        else:
            written = _respelt(present, wanted)
        if written is not None:
            changed[key] = written
    if observation.operation == "execute_tool":
        for key, wanted in (
            (s.GEN_AI_TOOL_CALL_ARGUMENTS, content.input),
            (s.GEN_AI_TOOL_CALL_RESULT, content.output),
        ):
            if wanted is not None and key not in attributes:
                changed[key] = wanted if isinstance(wanted, str) else to_json(wanted)
    return changed


def _respelt(present: Value, wanted: Value) -> Value:
    """`wanted` in the form that `present` has, or None if they say the same."""
    if structured(present) == wanted:
        return None
    text = to_json(wanted)
    if text is None or text == to_json(structured(present)):
        return None
    return text if isinstance(present, str) else wanted


def _removable(
    observation: Observation, attributes: Attributes, changed: Attributes
) -> Iterator[str]:
    for key in observation.consumed:
        if key in changed or key in _NEVER_REMOVED:
            continue
        field = _FIELDS.get(key, "")
        home = _HOMES.get(field)
        content_home = _CONTENT_HOMES.get(field) if field else _indexed_home(key)
        if (
            is_unset(key, attributes[key])
            or (home is not None and home != key and (home in changed or home in attributes))
            or content_home in changed
        ):
            yield key
    for old, new in s.COPIED.items():
        if old in attributes and attributes[old] == (changed.get(new) or attributes.get(new)):
            yield old


def _indexed_home(key: str) -> str | None:
    for prefix, home in _INDEXED_HOMES:
        if key.startswith(prefix):
            return home
    return None


def _kept_events(span: Span, observation: Observation, changed: Attributes) -> list[Event] | None:
    names = observation.consumed_events
    if not names:
        return None
    events = span.events
    kept = [event for event in events if not _is_converted(event, observation, changed)]
    return kept if len(kept) < len(events) else None


def _is_converted(event: Event, observation: Observation, changed: Attributes) -> bool:
    known = _EVENT_KEYS.get(event.name)
    if known is None or event.name not in observation.consumed_events:
        return False
    made = event.name in (CONTENT_COMPLETION, "gen_ai.choice")
    home = s.GEN_AI_OUTPUT_MESSAGES if made else s.GEN_AI_INPUT_MESSAGES
    return home in changed and event.attributes.keys() <= known
