"""What a span says and its events do not, found by looking for it.

Langfuse reads content from one source and a name from another, and lets go of what other sources
say; which ones is decided by tables in many places. Here the result is asked instead: a value of
an attribute that is nowhere in the events, neither by itself nor within a text, has no home. What
is only counted or spelled differently (tokens, times, levels) is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from genai_collector.formats.langfuse.values import JSON, js_text, parse_json, plain_attributes
from genai_collector.formats.loss import Loss
from genai_collector.model import Span

_OTHER_SOURCE: Final = "Langfuse shows one source of content, and another one was found first"
_OTHER_NAME: Final = "Langfuse shows another name that the span says"
_RESPELLED: Final = (
    "gen_ai.usage.",
    "langfuse.internal.",
    "langfuse.observation.completion_start_time",
    "langfuse.observation.cost_details",
    "langfuse.observation.level",
    "langfuse.observation.type",
    "langfuse.observation.usage_details",
    "llm.token_count.",
)
"""Attributes that are in the events as something else: buckets, types, instants."""


def loss(span: Span, bodies: Sequence[JSON]) -> list[Loss]:
    """What of the span's name and attributes is not in the bodies of its events."""
    there = frozenset(leaf for body in bodies for leaf in _leaves(body))
    text = "\n".join(there)
    where = f"span {span.span_id.hex()}"
    lost: list[Loss] = []
    if span.name and span.name not in text:
        lost.append(Loss(where, "name", _OTHER_NAME))
    for key, value in plain_attributes(span.attributes).items():
        if not key.startswith(_RESPELLED) and any(
            leaf not in there and leaf not in text for leaf in _leaves(value)
        ):
            lost.append(Loss(where, f"attributes.{key}", _OTHER_SOURCE))
    return lost


def _leaves(value: JSON) -> Iterator[str]:
    """Texts and numbers, those of JSON text too. Flags and nulls could not be recognised."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        inner = _parsed(value)
        if inner is not None:
            yield from _leaves(inner)
        elif value:
            yield value
    elif value is not None and not isinstance(value, bool):
        yield js_text(value)


def _parsed(text: str) -> JSON:
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return None
