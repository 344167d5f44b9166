"""Langfuse's merge: the events of one entity, in any order, become one trace or observation.

Source: section 1.4 of the Langfuse facts, to the letter, oddities included: events are ordered by
their envelope's millisecond; of two creations in the same millisecond the one sent later counts as
the earlier; environment and start stay what the first event says or implies; a trace that is
updated without `public` is no longer public.

Strategy: every event is first brought into one shape (`_changes`: usage and cost normalised, times
that are missing filled in), then laid over what is there, field by field, by the rule in `_RULES`.
Two things are kept that Langfuse's store loses: values keep their type (it stores text), and an
output of `0` or `false` stands if nothing better came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, cast

from genai_collector.formats.langfuse.instants import time_ms, time_ns
from genai_collector.formats.langfuse.values import JSON

Object = dict[str, JSON]

TRACE: Final = "trace"
SCORE: Final = "score"
OBSERVATION: Final = "observation"
EVENT: Final = "event"
_IGNORED: Final = frozenset({"sdk-log"})
_ENTITIES: Final = {"trace-create": TRACE, "score-create": SCORE}


class Record(NamedTuple):
    """A merged trace or observation."""

    kind: str
    """`trace`, or the observation's type in lower case."""
    body: Object
    """In the ingestion API's words. Observations have id, startTime, level, environment; usage and
    cost only as `usageDetails` and `costDetails`."""


class Folded(NamedTuple):
    traces: list[Record]
    observations: list[Record]
    scores: list[Object]
    """The events themselves: scores are not merged."""


def entity_of(event: Object) -> tuple[str, str] | None:
    """What an event is about: (trace | observation | score, id); None for what is not stored
    (SDK logs, and creations without an id)."""
    kind = str(event["type"])
    if kind in _IGNORED:
        return None
    entity = _ENTITIES.get(kind, OBSERVATION)
    found = body_of(event).get("id")
    return (entity, found) if isinstance(found, str) else None


def body_of(event: Object) -> Object:
    """The body of a valid event."""
    return cast("Object", event["body"])


def fold(events: Iterable[Object]) -> Folded:
    """Merge valid events (see `parse_event`); entities in the order in which the server meets
    them. The same event id of the same entity counts once, in its last form."""
    groups: dict[tuple[str, str], dict[JSON, Object]] = {}
    for event in _server_order(events):
        about = entity_of(event)
        if about is not None:
            groups.setdefault(about, {})[event["id"]] = event
    folded = Folded([], [], [])
    for (entity, _), group in groups.items():
        members = list(group.values())
        if entity == SCORE:
            folded.scores.extend(members)
        elif entity == TRACE:
            folded.traces.append(_fold_entity(members, TRACE))
        else:
            folded.observations.append(_fold_entity(members, _type_of(members)))
    return folded


def fold_one(events: Sequence[Object]) -> Record | None:
    """Merge the events of one trace or one observation; None if there are none."""
    folded = fold(events)
    return next(iter((*folded.observations, *folded.traces)), None)


def is_update(event: Object) -> bool:
    return str(event["type"]).endswith("-update")


def observation_type(event: Object) -> str:
    """The type that an observation's event gives it, in lower case."""
    name = str(event["type"]).rpartition("-")[0]
    return str(body_of(event)["type"]).lower() if name == OBSERVATION else name


def _server_order(events: Iterable[Object]) -> list[Object]:
    """Updates after everything else, each by time."""
    return sorted(events, key=lambda event: (is_update(event), _ms(event)))


def _ms(event: Object) -> int:
    return time_ms(str(event["timestamp"]))


def _worker_order(events: Sequence[Object]) -> list[Object]:
    """By time; in the same millisecond creations before updates, the creations in reverse."""
    last = len(events)
    ranked = [
        (_ms(event), is_update(event), at if is_update(event) else last - at)
        for at, event in enumerate(events)
    ]
    return [events[at] for at in sorted(range(last), key=ranked.__getitem__)]


def _type_of(members: Sequence[Object]) -> str:
    return observation_type(_worker_order(members)[-1])


def _fold_entity(members: Sequence[Object], kind: str) -> Record:
    rules = _TRACE_RULES if kind == TRACE else _OBSERVATION_RULES
    merged: Object = {}
    for event in _worker_order(members):
        for key, value in _changes(event, is_trace=kind == TRACE).items():
            merged[key] = rules.get(key, _later)(merged.get(key), value)
    kept: Object = {key: value for key, value in merged.items() if value is not None}
    if kind != TRACE:
        kept.setdefault("level", "DEFAULT")
        _end_after_start(kept)
    return Record(kind, kept)


def _end_after_start(body: Object) -> None:
    start, end = body["startTime"], body.get("endTime")
    if isinstance(start, str) and isinstance(end, str) and time_ns(end) < time_ns(start):
        body["endTime"] = start


# ---- one event in the shape of what is stored -----------------------------------------------


def _changes(event: Object, *, is_trace: bool) -> Object:
    body = dict(body_of(event))
    time = "timestamp" if is_trace else "startTime"
    if body.get(time) is None:
        body[time] = event["timestamp"]
    if body.get("environment") is None:
        body["environment"] = "default"
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        body["metadata"] = {"metadata": metadata}
    if is_trace:
        body["public"] = body.get("public") or False
        return body
    body.pop("type", None)
    usage = body.pop("usage", None)
    old = usage if isinstance(usage, dict) else {}
    body["usageDetails"] = _usage(old, body.get("usageDetails"))
    body["costDetails"] = _costs(old, body.get("costDetails"))
    return body


def _usage(old: Object, details: JSON) -> Object:
    """`usage` overlaid by `usageDetails`; a total that nobody gave only where there are no
    details."""
    given = details if isinstance(details, dict) else {}
    counts = {key: old[key] for key in ("input", "output", "total") if old.get(key) is not None}
    if not counts.get("total") and not given:
        spent, made = counts.get("input"), counts.get("output")
        if isinstance(spent, int | float) and isinstance(made, int | float) and spent and made:
            counts["total"] = spent + made
        elif spent is not None or made is not None:
            counts["total"] = made if spent is None else spent
    return {**counts, **given}


def _costs(old: Object, details: JSON) -> Object:
    given = details if isinstance(details, dict) else {}
    costs = {
        key: old[f"{key}Cost"]
        for key in ("input", "output", "total")
        if old.get(f"{key}Cost") is not None
    }
    return {**costs, **given}


# ---- rules: (old, new) -> what is kept -------------------------------------------------------

_Rule = Callable[[JSON, JSON], JSON]


def _first(old: JSON, new: JSON) -> JSON:
    return new if old is None else old


def _later(old: JSON, new: JSON) -> JSON:
    """The later value, but nothing and what is empty say nothing."""
    return old if new is None or new in ({}, []) else new


def _later_given(old: JSON, new: JSON) -> JSON:
    """The later value, an empty one too: it is text by the time it is merged."""
    return old if new is None else new


def _later_or_null(old: JSON, new: JSON) -> JSON:
    """The later value; an explicit null clears."""
    return old if new in ({}, []) else new


def _later_truthy(old: JSON, new: JSON) -> JSON:
    """The last value that JavaScript calls true; 0 and false only over nothing."""
    is_true = bool(new) or isinstance(new, list | dict)
    return new if is_true or (old is None and new != "") else old


def _union(old: JSON, new: JSON) -> JSON:
    tags = {str(tag) for tags in (old, new) if isinstance(tags, list) for tag in tags}
    return cast("JSON", sorted(tags)) or None


def merge_deep(old: JSON, new: JSON) -> JSON:
    """Objects key by key, lists position by position, anything else is replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = dict(old)
        for key, value in new.items():
            both[key] = merge_deep(both[key], value) if key in both else value
        return both
    if isinstance(old, list) and isinstance(new, list):
        shared = [merge_deep(one, other) for one, other in zip(old, new, strict=False)]
        return shared + (new if len(new) > len(old) else old)[len(shared) :]
    return new


def _metadata(old: JSON, new: JSON) -> JSON:
    return old if new is None else merge_deep(old, new)


_RULES: Final[dict[str, _Rule]] = {
    "id": _first,
    "traceId": _first,
    "environment": _first,
    "startTime": _first,
    "timestamp": _first,
    "input": _later_truthy,
    "output": _later_truthy,
    "metadata": _metadata,
    "tags": _union,
}
_OBSERVATION_RULES: Final = {
    **_RULES,
    "name": _later_or_null,
    "level": _later_or_null,
    "modelParameters": _later_given,
}
_TRACE_RULES: Final = {
    **_RULES,
    **dict.fromkeys(("name", "userId", "sessionId", "release", "version"), _later_or_null),
}
