"""What we know of an observation and Langfuse's own reading of the span would miss (section 3).

Both readings are made, Langfuse's (`types`, `model`, `usage`, `io` ...) and that of the conventions
(`read_observation`); where only the second found something, it is written into the attribute that
Langfuse believes first. Where both found something, Langfuse's stands, with two exceptions: token
counts that it knows under no role, which it would add to those they are part of, and a kind that it
guesses from the mere presence of a model.
"""

from __future__ import annotations

import copy
import math
from typing import Final, cast

from genai_collector.conventions import read_observation
from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.observation import Message, Observation
from genai_collector.formats.langfuse import keys, model, names
from genai_collector.formats.langfuse.instants import iso_exact
from genai_collector.formats.langfuse.io import CONTENT_EVENTS, Content, content, event_bits
from genai_collector.formats.langfuse.keys import scope_bits
from genai_collector.formats.langfuse.reading import Reading, read_attributes
from genai_collector.formats.langfuse.schema_values import is_datetime
from genai_collector.formats.langfuse.span_values import as_text, json_text
from genai_collector.formats.langfuse.types import (
    GENERATION,
    OBSERVATION_TYPES,
    SPAN,
    observation_type,
)
from genai_collector.formats.langfuse.unmapped import unmapped_fields
from genai_collector.formats.langfuse.usage import cost_details, stated_costs
from genai_collector.formats.langfuse.v4_usage import missing_usage
from genai_collector.formats.langfuse.values import JSON, parse_payload
from genai_collector.model import Attributes, Span, Value

_PREFIX: Final = "langfuse.observation."
TYPE: Final = f"{_PREFIX}type"
INPUT: Final = f"{_PREFIX}input"
OUTPUT: Final = f"{_PREFIX}output"
UNMAPPED: Final = f"{_PREFIX}metadata.otel"
_FIRST_TOKEN: Final = f"{_PREFIX}completion_start_time"
_MESSAGE: Final = f"{_PREFIX}status_message"
_TYPES: Final = {
    **{name: name for name in sorted(OBSERVATION_TYPES - {SPAN, "event"})},
    "reranker": "retriever",
    "workflow": "chain",
}
"""Kind -> Langfuse's type; it has none for two of ours."""
_RULES_OF_TYPES: Final = keys.AI | keys.GENKIT | keys.SCOPE_LIVEKIT
_PROMPT_VERSION: Final = f"{_PREFIX}prompt.version"
_RESPELLED: Final = frozenset((TYPE, _FIRST_TOKEN, _PROMPT_VERSION))
"""What may replace what the span says: the same in a spelling that the server takes."""
_ERROR: Final = "ERROR"
_UNSAID: Final[tuple[JSON, ...]] = (None, "", {}, [])
_LAST_NS: Final = 2**63


def read_span(span: Span) -> Reading:
    """Langfuse's look at a span's attributes."""
    bits = scope_bits(span.scope.name)
    if span.has_events:
        bits |= event_bits(span.read_events())
    return read_attributes(span.attributes, bits)


def content_of(span: Span, reading: Reading) -> Content:
    """The input and output that Langfuse finds on the span."""
    return content(reading, span.read_events() if span.has_events else ())


def additions(span: Span, *, keep_unmapped: bool = False) -> Attributes:
    """The attributes that the span lacks; empty for most spans that are no generative AI."""
    reading = read_span(span)
    observation = read_observation(span)
    found: Attributes = {}
    found |= _type(span, reading, observation)
    found |= _level(span, reading, observation)
    if observation.is_genai:
        found |= _content(span, reading, observation)
        found |= _prompt(reading, observation)
        if observation.is_billable:  # others repeat what the calls below them have used
            found |= _generation(span, reading, observation)
    found |= _spelling(reading)
    found |= _unmapped(span, keep_unmapped)
    return {
        key: value
        for key, value in found.items()
        if key in _RESPELLED or key not in span.attributes
    }


def _type(span: Span, reading: Reading, observation: Observation) -> Attributes:
    said = reading.attributes.get(TYPE)
    if said is not None:
        spelled = said.strip().lower() if isinstance(said, str) else ""
        return {TYPE: spelled} if spelled != said and spelled in OBSERVATION_TYPES else {}
    language = span.resource.attributes.get("telemetry.sdk.language")
    theirs = observation_type(reading, span.name, span.scope.version, cast("JSON", language))
    ours = _TYPES.get(observation.kind)
    if ours in (None, theirs):
        return {}
    is_guess = (
        theirs == GENERATION
        and "openinference.span.kind" not in reading.attributes
        and not reading.bits & _RULES_OF_TYPES
    )
    return {TYPE: ours} if theirs == SPAN or is_guess else {}


def _level(span: Span, reading: Reading, observation: Observation) -> Attributes:
    """Langfuse looks at the status only; what failed, exception events often say better."""
    found: Attributes = {}
    level = names.level(reading, span.status_code, span.name)
    if level == "DEFAULT" and observation.level is not None and observation.level != level:
        found[f"{_PREFIX}level"] = level = observation.level
    if level != _ERROR or span.status_message or reading.attributes.get(_MESSAGE):
        return found
    message = observation.status_message or _exception(span)
    return found | {_MESSAGE: message} if message else found


def _exception(span: Span) -> str:
    for event in span.read_events() if span.has_events else ():
        if event.name == "exception":
            for key in ("exception.message", "exception.type"):
                said = event.attributes.get(key)
                if isinstance(said, str) and said:
                    return said
    return ""


def _content(span: Span, reading: Reading, observation: Observation) -> Attributes:
    """A source of Langfuse's gives both sides, so that one said elsewhere needs both to be told."""
    theirs = content_of(span, reading)
    if all(side not in _UNSAID for side in theirs):
        return {}
    known = observation.read_content()
    given = list(known.input_messages or ())
    if given and known.system_instructions and not any(m.get("role") == "system" for m in given):
        system: Message = {"role": "system", "parts": cast("Value", known.system_instructions)}
        given.insert(0, system)
    ours = (
        _as_text(_told(given) or known.input),
        _as_text(_told(known.output_messages) or known.output),
    )
    sides = [
        as_text(said) if said not in _UNSAID else mine
        for said, mine in zip(theirs, ours, strict=True)
    ]
    is_news = any(
        said in _UNSAID and side is not None for said, side in zip(theirs, sides, strict=True)
    )
    if not is_news:
        return {}
    return {key: side for key, side in zip((INPUT, OUTPUT), sides, strict=True) if side is not None}


def _told(messages: list[Message] | None) -> list[Message] | None:
    """The messages, if any of them says anything."""
    return messages if messages and any(_says(message) for message in messages) else None


def _says(message: Message) -> bool:
    parts = message.get("parts")
    return isinstance(parts, list) and any(
        isinstance(part, dict) and any(value for key, value in part.items() if key != "type")
        for part in parts
    )


def _as_text(value: object) -> str | None:
    if value is None or value in ("", [], {}):
        return None
    return value if isinstance(value, str) else to_json(cast("Value", value))


def _prompt(reading: Reading, observation: Observation) -> Attributes:
    """Both name and version, the version as a number."""
    if observation.kind != GENERATION:
        return {}
    link = model.prompt_link(reading.attributes)
    if link is None:
        version = observation.prompt_version
        if isinstance(version, str):
            version = int(version) if version.isascii() and version.isdecimal() else None
        if not observation.prompt_name or not version:
            return {}
        link = model.PromptLink(observation.prompt_name, version)
    elif _has_number(reading):
        return {}
    return {f"{_PREFIX}prompt.name": link.name, _PROMPT_VERSION: link.version}


def _has_number(reading: Reading) -> bool:
    said = reading.attributes.get(_PROMPT_VERSION)
    if said is None:
        said = reading.attributes.get("langfuse.prompt.version")
    return not isinstance(said, str)


def _generation(span: Span, reading: Reading, observation: Observation) -> Attributes:
    """Model, parameters, usage, cost and first token of a call of a model."""
    found: Attributes = {}
    if observation.model and model.model_name(reading.attributes) is None:
        found[f"{_PREFIX}model.name"] = observation.model
    if observation.parameters and not model.model_parameters(reading):
        found[f"{_PREFIX}model.parameters"] = to_json(cast("Value", observation.parameters))
    usage = missing_usage(reading, observation.usage)
    if usage:
        found[f"{_PREFIX}usage_details"] = json_text(dict(usage))
    costs = stated_costs(observation)
    if costs and not cost_details(reading):
        found[f"{_PREFIX}cost_details"] = json_text(costs)
    waited = observation.time_to_first_chunk_s
    if waited is not None and math.isfinite(waited) and waited >= 0 and span.start_ns:
        at = span.start_ns + round(waited * 1e9)
        is_known = model.completion_start_time(reading, span.start_ns // 1_000_000) is not None
        if not is_known and at < _LAST_NS:
            found[_FIRST_TOKEN] = iso_exact(at)
    return {key: value for key, value in found.items() if value is not None}


def _spelling(reading: Reading) -> Attributes:
    """A first token's time that the server could not read."""
    said = reading.attributes.get(_FIRST_TOKEN)
    if said is None or is_datetime(said) or is_datetime(parse_payload(said)):
        return {}
    known = model.completion_start_time(reading, 0)
    return {_FIRST_TOKEN: known} if known is not None and known != said else {}


def _unmapped(span: Span, everything: bool) -> Attributes:
    """Events that Langfuse drops (or all that it drops), as the batch events keep them."""
    is_dropping = span.has_events and any(
        event.name not in CONTENT_EVENTS for event in span.read_events()
    )
    if not is_dropping and not everything:
        return {}
    # The copy is there because reading `events` changes the form that a span is kept in.
    found = unmapped_fields(copy.copy(span))
    if not everything:
        found = {"events": found["events"]}
    return {UNMAPPED: json_text(found)} if found else {}
