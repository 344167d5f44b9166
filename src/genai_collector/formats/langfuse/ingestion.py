"""The body of `POST /api/public/ingestion`: events, judged one by one as the server does.

Source: sections 1.1 to 1.3 of the Langfuse facts. A bad event never costs the others; only a body
that is no batch at all is refused as a whole.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

import orjson

from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import MAX_DEPTH, depth, has_long_integer, loads
from genai_collector.formats.langfuse.schema import parse_event
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Value

Object = dict[str, JSON]

INVALID: Final = "Invalid request data"
SDK_LOG: Final = "sdk-log"
SCORE: Final = "score-create"
_SCOPE_DENIED: Final = "Access Scope Denied"
_SCORE_ACCESS: Final = frozenset({SCORE, SDK_LOG})
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_CREATED: Final = 201
_SURROGATE: Final = (b"\\ud", b"\\uD")
_ANY_DEPTH: Final = 1 << 62
_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"


class EventError(NamedTuple):
    """An event that is refused, as a 207 answer lists it."""

    id: str
    status: int
    message: str
    error: str

    def as_json(self) -> Object:
        return {
            "id": self.id,
            "status": self.status,
            "message": self.message,
            "error": self.error,
        }


class Ingestion(NamedTuple):
    """A batch after the server's judgement."""

    events: list[Object]
    """The valid ones, as the server would store them, in order."""
    refused: list[EventError]
    metadata: Object
    """What the SDK said of itself; empty if it said nothing."""

    def answer(self) -> Object:
        """The body of the 207. SDK logs are in neither list."""
        successes: list[JSON] = [
            {"id": event["id"], "status": _CREATED}
            for event in self.events
            if event["type"] != SDK_LOG
        ]
        return {"successes": successes, "errors": [error.as_json() for error in self.refused]}


def parse_ingestion(data: bytes, *, scores_only: bool = False) -> Ingestion:
    """The events of a request body. Raises DecodeError if it is not `{"batch": [...]}`.

    With `scores_only` (a client that showed its public key alone) all but scores and SDK logs are
    refused.
    """
    document = load_json(data)
    batch = document.get("batch") if isinstance(document, dict) else None
    if not isinstance(batch, list):
        raise DecodeError("batch: Invalid input: expected array")
    assert isinstance(document, dict)
    metadata = document.get("metadata")
    judged = _judge(batch, scores_only=scores_only)
    return Ingestion(*judged, metadata if isinstance(metadata, dict) else {})


def judge_events(events: list[JSON]) -> Ingestion:
    """The same for events that are at hand."""
    return Ingestion(*_judge(events), {})


def load_json(data: bytes) -> JSON:
    """The JSON of a body; halves of characters, which nobody can store, become U+FFFD. Raises
    DecodeError."""
    if not has_long_integer(data):
        try:
            return cast("JSON", orjson.loads(data))
        except orjson.JSONDecodeError:  # halves of characters, for example
            pass
    loaded = cast("JSON", loads(data, max_depth=_ANY_DEPTH))
    if not any(mark in data for mark in _SURROGATE) or _has_whole_characters(data):
        return loaded
    try:
        return _whole_characters(loaded)
    except RecursionError:
        raise DecodeError(_TOO_DEEP) from None


def _judge(
    batch: list[JSON], *, scores_only: bool = False
) -> tuple[list[Object], list[EventError]]:
    events: list[Object] = []
    refused: list[EventError] = []
    may_be_deep = _is_deep(batch)
    for event in batch:
        if may_be_deep and _is_deep(event):
            refused.append(EventError(_id_of(event), _BAD_REQUEST, INVALID, _TOO_DEEP))
            continue
        parsed = parse_event(event)
        if parsed.event is None:
            error = EventError(_id_of(event), _BAD_REQUEST, INVALID, "; ".join(parsed.issues))
            refused.append(error)
        elif scores_only and parsed.event["type"] not in _SCORE_ACCESS:
            error = EventError(_id_of(event), _UNAUTHORIZED, "Authentication error", _SCOPE_DENIED)
            refused.append(error)
        else:
            events.append(parsed.event)
    return events, refused


def _has_whole_characters(data: bytes) -> bool:
    """Whether every escaped half of a character has its other half; orjson refuses the rest."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_deep(event: JSON) -> bool:
    """Writing it is the fastest look at all of it: orjson refuses what is nested too deep."""
    try:
        orjson.dumps(event)
    except TypeError:  # also for integers beyond 64 bits
        return depth(cast("Value", event)) > MAX_DEPTH
    return False


def _id_of(event: JSON) -> str:
    found = event.get("id") if isinstance(event, dict) else None
    return found if isinstance(found, str) else "unknown"


def _whole_characters(value: JSON) -> JSON:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {
            cast("str", _whole_characters(key)): _whole_characters(item)
            for key, item in value.items()
        }
    return value
