"""An event that is too large for the server, made to fit by cutting its longest content."""

from __future__ import annotations

from typing import Final

from genai_collector.formats.langfuse.values import JSON, js_text
from genai_collector.formats.langfuse.wire import dump_event

MARKER: Final = "<truncated due to size exceeding limit>"
"""What Langfuse's own SDKs leave in place of content that is too long."""
_CONTENT: Final = ("input", "output", "metadata")
_SPARE: Final = 64
_MOST_ROUNDS: Final = 12


def shorten_event(event: dict[str, JSON], max_bytes: int) -> dict[str, JSON] | None:
    """The event in at most `max_bytes` of JSON, or None if that cannot be.

    The largest of input, output and metadata loses its end first, and says so with `MARKER`; what
    was no text is cut as JSON text.
    """
    body = event.get("body")
    if not isinstance(body, dict):
        return None
    short = dict(body)
    whole = {"id": event["id"], "type": event["type"], "timestamp": event["timestamp"]}
    for _ in range(_MOST_ROUNDS):
        fitted: dict[str, JSON] = {**whole, "body": short}
        excess = len(dump_event(fitted)) - max_bytes
        if excess <= 0:
            return fitted
        sizes = {
            key: len(dump_event({key: short[key]}))
            for key in _CONTENT
            if short.get(key) is not None and short[key] != MARKER
        }
        if not sizes:
            return None
        largest = max(sizes, key=lambda key: sizes[key])
        short[largest] = _cut(short[largest], sizes[largest], excess)
    return None


def _cut(value: JSON, size: int, excess: int) -> str:
    text = value if isinstance(value, str) else js_text(value)
    text = text.removesuffix(MARKER)
    share = max(0.0, (size - excess - len(MARKER) - _SPARE) / size)
    return text[: int(len(text) * share)] + MARKER
