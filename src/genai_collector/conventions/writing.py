"""What a span would have to look like to speak today's GenAI conventions, or another target.

`plan_change` compares a span with its reading and says what to set and what to take away; it
changes nothing itself. The rules:

* A canonical attribute that is there and readable is right. It is only respelt: a number sent as a
  string becomes a number, `xai` becomes `x_ai`, messages in OpenAI's shape become parts.
* A fact said under another name only is written under the canonical one.
* An original may go only if its information now stands under a canonical name, or if it says
  "not set" (`max_tokens: -1`, an empty seed). What disagrees with the canonical value stays.
* A token count under `gen_ai.usage.*` always moves: it must not stand there twice.
* Usage that an agent repeats is never put where a backend would add it up.
* An error that only an attribute tells becomes the span's status.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Final, NamedTuple, cast

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.content import structured
from genai_collector.conventions.message_forms import whole_input
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.reading import read_observation
from genai_collector.conventions.removing import kept_events, removable, speak
from genai_collector.conventions.targets import HOMES, NOTHING, TARGETS, Target, Written
from genai_collector.model import Attributes, Event, Span, StatusCode, Value

_CANONICAL: Final = frozenset(HOMES.values())
_OWN_FIELDS: Final = tuple(dict.fromkeys((
    *[field for field in HOMES if "." not in field], "tags",
)))  # fmt: skip
_USAGE_FIELDS: Final = ("input", "output", "total", "cache_read", "cache_creation", "reasoning")
_COUNTED: Final = "gen_ai.usage."
_ADDED_UP: Final = (_COUNTED, "llm.token_count.")
_AGENT_OPERATIONS: Final = frozenset(("invoke_agent", "create_agent", "plan"))
_MODEL_OPERATIONS: Final = frozenset(("chat", "generate_content", "text_completion", "embeddings"))


class Change(NamedTuple):
    """What to do to one span."""

    set: Attributes
    remove: frozenset[str]
    events: list[Event] | None
    """The events to keep, if some can go."""
    name: str | None
    error: str | None
    """The message of an error that the span's status does not tell yet."""

    def apply(self, span: Span) -> None:
        for key in self.remove:
            del span.attributes[key]
        span.attributes.update(self.set)
        if self.events is not None:
            span.events = self.events
        if self.name is not None:
            span.name = self.name
        if self.error is not None:
            span.status_code = StatusCode.ERROR
            span.status_message = span.status_message or self.error


def plan_change(
    span: Span,
    *,
    target: Target = TARGETS["semconv"],
    content: bool = True,
    overwrite: bool = False,
    remove_originals: bool = False,
    rename: bool = False,
) -> Change | None:
    """How to bring this span to the target's conventions; None if there is nothing to do.

    Applying the change and planning again gives None. `overwrite` believes other names before the
    canonical one (content excepted).
    """
    observation = read_observation(span, canonical_first=not overwrite)
    if not observation.is_genai:
        return None
    said = observation.read_content() if content else Content()
    changed = _fact_changes(span, observation, target)
    written = _written_content(span, observation, said, target) if content else NOTHING
    changed |= written.attributes
    planned = _Planned(span, observation, target, changed, written, remove_originals)
    change = planned.change(written.held | changed.keys(), rename)
    if content and remove_originals and target.content and not _is_said_by(change, span, said):
        change = planned.change(set(changed), rename)
    return None if change == _NO_CHANGE else change


class _Planned(NamedTuple):
    """What is to be written onto a span, before it is known what may go from it."""

    span: Span
    observation: Observation
    target: Target
    changed: Attributes
    written: Written
    remove_originals: bool

    def change(self, held: set[str], rename: bool) -> Change:
        """The change, if the information of the attributes `held` stands elsewhere, too."""
        span, observation, target = self.span, self.observation, self.target
        remove = frozenset(removable(observation, span.attributes, self.changed, target, held))
        kept = kept_events(span, observation, held) if self.remove_originals else None
        if not self.remove_originals:
            # Backends add up whatever stands under this prefix: a count must not stand there twice.
            remove = frozenset(
                [key for key in remove if key.startswith(_COUNTED) and key not in _CANONICAL]
            )
        elif kept and target.content is not None and speak(kept, observation):
            # One side's events go together: what stays would be read before the target's form.
            kept = None
        if self.written.events:
            kept = [*(span.events if kept is None else kept), *self.written.events]
        name, error = _new_name(span, observation, rename), _new_error(span, observation)
        return Change(self.changed, remove, kept, name, error)


def _is_said_by(change: Change, span: Span, said: Content) -> bool:
    """Whether the changed span says this content. It may not where several places say different
    things: which of them is believed is a matter of places, and a target's own come later."""
    after = copy(span)
    after.attributes = dict(span.attributes)
    change.apply(after)
    return _sides(read_observation(after).read_content()) == _sides(said)


def _sides(content: Content) -> tuple[Value, ...]:
    sides = (
        whole_input(content) or None,
        content.output_messages or None,
        content.tool_definitions or None,
        structured(content.input),
        structured(content.output),
    )
    return cast("tuple[Value, ...]", sides)


def _written_content(
    span: Span, observation: Observation, said: Content, target: Target
) -> Written:
    """The target's own form of the content, and today's where that is the target or stands beside
    it."""
    today = _content_changes(observation, said, span.attributes)
    if target.content is None:
        return Written(today, [], set(), set())
    written = target.content(span, observation, said)
    written.attributes |= {k: value for k, value in today.items() if k in written.beside}
    return written


_NO_CHANGE: Final = Change({}, frozenset(), None, None, None)


def _new_name(span: Span, observation: Observation, rename: bool) -> str | None:
    name = span_name(span, observation) if rename else span.name
    return None if name == span.name else name


def _new_error(span: Span, observation: Observation) -> str | None:
    if observation.level != "ERROR" or span.status_code != StatusCode.UNSET:
        return None
    return observation.status_message or ""


def _fact_changes(span: Span, observation: Observation, target: Target) -> Attributes:
    attributes = span.attributes
    changed = {
        key: value
        for key, value in canonical_attributes(observation, target).items()
        if key not in attributes or _differs(attributes[key], value)
    }
    changed |= {
        key: value
        for key, value in target.further(span, observation).items()
        if key not in attributes and value is not None
    }
    for old, new in s.COPIED.items() if target.content is None else ():
        value = attributes.get(old)
        if isinstance(value, str) and value and new not in attributes and new not in changed:
            changed[new] = value
    return changed


def canonical_attributes(
    observation: Observation, target: Target = TARGETS["semconv"]
) -> Attributes:
    """What is known, without content, under the target's names, else under today's."""
    found: Attributes = {}
    for field, fact in _facts(observation):
        home = target.homes.get(field)
        value = None if home is None else target.spell(field, fact)
        if value is None:
            home, value = HOMES.get(field), fact
        if home is not None:
            found[home] = value
    if target.content is None or target.name == "semconv_1_36":
        for name, value in observation.parameters.items():
            found.setdefault(
                target.homes.get(f"parameters.{name}", f"gen_ai.request.{name}"), value
            )
    return found


def _facts(observation: Observation) -> Iterator[tuple[str, Value]]:
    """Every fact that is known, with its field; parameters excepted."""
    for field in _OWN_FIELDS:
        value = getattr(observation, field)
        if value is not None:
            yield field, str(value) if field == "prompt_version" else value
    if not _may_count(observation):
        return
    for name in _USAGE_FIELDS:
        value = getattr(observation.usage, name)
        if value is not None:
            yield f"usage.{name}", value
    for name in ("total", "input", "output"):
        value = getattr(observation.cost, name)
        if value is not None:
            yield f"cost.{name}", value


def _may_count(observation: Observation) -> bool:
    """Whether usage may stand where backends add it up: on calls, or where it does already."""
    return observation.is_billable or any(key.startswith(_ADDED_UP) for key in observation.consumed)


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
