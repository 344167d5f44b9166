"""What a batch says and its spans (or, of scores, log records) do not.

Events are how an SDK talks, not what it says: creates and updates become one span each, and on the
way back there is one create per span with an envelope made from the span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from genai_collector.formats.langfuse.ingestion import SCORE, SDK_LOG, load_json
from genai_collector.formats.langfuse.instants import time_ns
from genai_collector.formats.langfuse.merge import Object, body_of, entity_of, fold_one
from genai_collector.formats.langfuse.schema import parse_event
from genai_collector.formats.langfuse.values import JSON
from genai_collector.formats.loss import Loss

_KEPT_OF_METADATA: Final = frozenset({"sdk_integration", "sdk_name", "sdk_version"})
_ENVELOPE: Final = "an event's envelope; the way back makes a new one from the span"
_OF_REQUEST: Final = "of the request, not of what it tells"
_SUPERSEDED: Final = "another event of the same {} says something else"
_START: Final = "startTime"
"""Also superseded by what another event without it implies."""
_UNITED: Final = frozenset({"id", "metadata", "modelParameters", "tags", "traceId"})
"""What is merged, not replaced, and ids, which are the same by definition."""


def batch_loss(data: bytes, *, scores: bool = False) -> list[Loss]:
    """Every field of the valid events of a request body that does not go on; of its scores with
    `scores`, else of everything else. Raises DecodeError if it is no batch."""
    document = load_json(data)
    assert isinstance(document, dict)
    batch, metadata = document.get("batch"), document.get("metadata")
    extra = sorted(metadata.keys() - _KEPT_OF_METADATA) if isinstance(metadata, dict) else []
    lost = [Loss("batch", f"metadata.{key}", _OF_REQUEST) for key in extra]
    groups: dict[tuple[str, str], list[Object]] = {}
    for raw in batch if isinstance(batch, list) else ():
        event = parse_event(raw).event
        if event is None or (event["type"] == SCORE) is not scores:
            continue
        lost += _event_losses(raw, event)
        about = entity_of(event)
        if about is not None and not scores:
            groups.setdefault(about, []).append(event)
    for (entity, own), events in groups.items():
        lost += _superseded(entity, own, events)
    return lost


def _event_losses(raw: JSON, event: Object) -> Iterator[Loss]:
    where = f"event {event['id']}"
    kind = str(event["type"])
    if kind == SDK_LOG:
        yield Loss(where, kind, "Langfuse stores no logs of its SDKs")
        return
    for key in ("id", "timestamp"):
        yield Loss(where, f"event.{key}", _ENVELOPE)
    if kind.endswith("-update"):
        yield Loss(where, "event.type", "one span is one create; updates are merged into it")
    body = body_of(event)
    found = raw.get("body") if isinstance(raw, dict) else None
    said = found if isinstance(found, dict) else {}
    for key in sorted(said.keys() - body.keys()):
        if said[key] is not None:
            yield Loss(where, f"body.{key}", "not in Langfuse's schema; its server drops it, too")
    usage = said.get("usage")
    if isinstance(usage, dict) and usage.get("unit") is not None:
        yield Loss(where, "body.usage.unit", "Langfuse stores counts; what was counted is tokens")


def _superseded(entity: str, own: str, events: Sequence[Object]) -> Iterator[Loss]:
    """Fields that several events of one entity fill differently: the merge keeps one."""
    bodies = [body_of(event) for event in events]
    merged = fold_one(events)
    for key in sorted({key for body in bodies for key in body} - _UNITED):
        said = [body[key] for body in bodies if body.get(key) is not None]
        if key == _START and merged is not None:
            said.append(merged.body.get(key))
        if any(not _is_same(key, value, said[0]) for value in said[1:]):
            yield Loss(f"{entity} {own}", f"body.{key}", _SUPERSEDED.format(entity))


def _is_same(key: str, value: JSON, other: JSON) -> bool:
    if key == _START:
        return time_ns(str(value)) == time_ns(str(other))
    return value == other
