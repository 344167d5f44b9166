"""What the GenAI events of one call put on its span. Pure.

    span       what it says itself stands, whatever its events say
    content    gen_ai.input.messages, gen_ai.output.messages, gen_ai.system_instructions and
               gen_ai.tool.definitions, as JSON text, from events of every generation
    others     attributes of an operation details event that the span does not have; never token
               counts or cost, so that totals stay those of the spans

Of several details events (an SDK that tries again inside one span) the last one with both sides is
believed, else the last one. An event that says more than the span now does is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Final

from genai_collector.conventions import Content, Message, read_log_content, read_observation
from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.content import MESSAGE_EVENTS, event_name, is_complete
from genai_collector.model import LogRecord, Span, Value

EVENTS: Final = frozenset((s.EVENT_OPERATION_DETAILS, *MESSAGE_EVENTS))
"""The events whose content belongs on a span."""

_HOMES: Final = {
    "input_messages": s.GEN_AI_INPUT_MESSAGES,
    "output_messages": s.GEN_AI_OUTPUT_MESSAGES,
    "system_instructions": s.GEN_AI_SYSTEM_INSTRUCTIONS,
    "tool_definitions": s.GEN_AI_TOOL_DEFINITIONS,
}
_PLAIN: Final = {"input_messages": "input", "output_messages": "output"}
"""Where messages are kept that cannot be read as such."""
_NAMES: Final = frozenset(("event.name", "event_name"))
_TAGS: Final = _NAMES | {"gen_ai.system", s.GEN_AI_PROVIDER_NAME}
_COUNTED: Final = ("gen_ai.usage.", "gen_ai.cost.")
_CHOICE: Final = "gen_ai.choice"
_REASON: Final = "finish_reason"
_NOTHING: Final[tuple[Value, ...]] = (None, "", [], {})


def join(span: Span, records: Iterable[LogRecord]) -> list[LogRecord]:
    """Put on the span what these events of it say and it does not say itself. Returns those that
    say something that it still does not say: another text, token counts that it lacks."""
    own = read_observation(span).read_content()
    events = list(_distinct(sorted(records, key=_time)))
    details = [one for one in events if event_name(one) == s.EVENT_OPERATION_DETAILS]
    details.sort(key=lambda one: is_complete(read_log_content([one])))
    details.reverse()
    messages = [one for one in events if event_name(one) != s.EVENT_OPERATION_DETAILS]
    joined = _merge(span, own, read_log_content([*details, *messages]))
    for key, value in details[0].attributes.items() if details else ():
        if key not in span.attributes and key not in _NAMES and _is_plain(key):
            span.attributes[key] = value
    left = [one for one in details if _says_more(one, read_log_content([one]), span, joined)]
    said = read_log_content(messages)
    for one in messages:
        side = "output_messages" if event_name(one) == _CHOICE else "input_messages"
        if not _is_said(getattr(said, side), getattr(joined, side)) or _has_more(one, span, _TAGS):
            left.append(one)
    return left


def _time(record: LogRecord) -> int:
    return record.time_ns or record.observed_time_ns


def _distinct(records: Sequence[LogRecord]) -> Iterator[LogRecord]:
    """Each event once: a sender whose answer got lost sends it again. Without a time, two that say
    the same may be two."""
    seen = set()
    for one in records:
        same = (
            event_name(one), one.time_ns, one.observed_time_ns,
            to_json(one.body), to_json(one.attributes),
        )  # fmt: skip
        if same not in seen or not _time(one):
            seen.add(same)
            yield one


def _merge(span: Span, own: Content, found: Content) -> Content:
    """Write on the span what it lacks; returns what it says with that."""
    joined = replace(own)
    for field, key in _HOMES.items():
        plain = _PLAIN.get(field, field)
        if getattr(own, field) or getattr(own, plain) not in _NOTHING:
            continue
        value = getattr(found, field)
        if plain == field or _speaks(value):
            setattr(joined, field, value)
        else:
            value = getattr(found, plain)
            setattr(joined, plain, value)
        text = value if isinstance(value, str) else to_json(value)
        if value not in _NOTHING and text is not None:
            span.attributes[key] = text
    return joined


def _speaks(messages: list[Message] | None) -> bool:
    """Whether anything is said; with the capture of content off, events only tell who spoke."""
    return any(message.get("parts") for message in messages or ())


def _is_plain(key: str) -> bool:
    return key not in _HOMES.values() and not key.startswith(_COUNTED)


def _says_more(record: LogRecord, said: Content, span: Span, joined: Content) -> bool:
    return (
        record.body not in _NOTHING
        or any(
            not _is_said(getattr(said, field.name), getattr(joined, field.name))
            for field in fields(Content)
        )
        or _has_more(record, span, _NAMES.union(_HOMES.values()))
    )


def _has_more(record: LogRecord, span: Span, known: frozenset[str]) -> bool:
    """Whether it has an attribute that the span does not have with that value; a count of zero says
    nothing."""
    attributes = span.attributes
    return any(
        attributes.get(key) != value
        and value not in _NOTHING
        and not (key.startswith(_COUNTED) and not value)
        for key, value in record.attributes.items()
        if key not in known
    )


def _is_said(value: Value, joined: Value) -> bool:
    """Whether the span says this too. Finish reasons count only where both have one: a span has
    them in an attribute."""
    if not value or value == joined:
        return True
    if not (isinstance(value, list) and isinstance(joined, list)) or len(value) != len(joined):
        return False
    return all(_same(one, other) for one, other in zip(value, joined, strict=True))


def _same(one: Value, other: Value) -> bool:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return one == other
    given, made = ({k: v for k, v in each.items() if k != _REASON} for each in (one, other))
    reasons = (one.get(_REASON), other.get(_REASON))
    return given == made and (None in reasons or reasons[0] == reasons[1])
