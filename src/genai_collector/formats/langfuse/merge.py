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
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias, cast

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
    kind = cast("str", event["type"])
    if kind in _IGNORED:
        return None
    entity = _ENTITIES.get(kind, OBSERVATION)
    found = cast("Object", event["body"]).get("id")
    return (entity, found) if isinstance(found, str) else None


def body_of(event: Object) -> Object:
    """The body of a valid event."""
    return cast("Object", event["body"])


_Dated: TypeAlias = tuple[bool, int, int, Object]
"""An event after what it is sorted by: whether it is an update, its millisecond, its place."""


def fold(events: Iterable[Object]) -> Folded:
    """Merge valid events (see `parse_event`); entities in the order in which the server meets
    them. The same event id of the same entity counts once, in its last form."""
    groups: dict[tuple[str, str], dict[JSON, _Dated]] = {}
    for dated in _server_order(events):
        event = dated[3]
        about = entity_of(event)
        if about is None:
            continue
        group = groups.get(about)
        if group is None:
            groups[about] = {event["id"]: dated}
        else:
            group[event["id"]] = dated
    folded = Folded([], [], [])
    for (entity, _), group in groups.items():
        members = list(group.values())
        if entity == SCORE:
            folded.scores.extend([dated[3] for dated in members])
        elif entity == TRACE:
            folded.traces.append(_fold_entity(_worker_order(members), TRACE))
        else:
            ordered = _worker_order(members)
            folded.observations.append(_fold_entity(ordered, observation_type(ordered[-1])))
    return folded


def fold_one(events: Sequence[Object]) -> Record | None:
    """Merge the events of one trace or one observation; None if there are none."""
    folded = fold(events)
    return next(iter((*folded.observations, *folded.traces)), None)


def is_update(event: Object) -> bool:
    return cast("str", event["type"]).endswith("-update")


def observation_type(event: Object) -> str:
    """The type that an observation's event gives it, in lower case."""
    name = str(event["type"]).rpartition("-")[0]
    return str(body_of(event)["type"]).lower() if name == OBSERVATION else name


def _server_order(events: Iterable[Object]) -> list[_Dated]:
    """Updates after everything else, each by time."""
    dated = [
        (is_update(event), time_ms(cast("str", event["timestamp"])), at, event)
        for at, event in enumerate(events)
    ]
    dated.sort()  # no two have the same place, so events are never compared
    return dated


def _worker_order(members: Sequence[_Dated]) -> list[Object]:
    """By time; in the same millisecond creations before updates, the creations in reverse."""
    if len(members) == 1:
        return [members[0][3]]
    last = len(members)
    ranked = [
        (ms, updates, at if updates else last - at, event)
        for at, (updates, ms, _, event) in enumerate(members)
    ]
    ranked.sort(key=_RANK)
    return [one[3] for one in ranked]


_RANK: Final = itemgetter(0, 1, 2)


def _fold_entity(ordered: Sequence[Object], kind: str) -> Record:
    is_trace = kind == TRACE
    rules = _TRACE_RULES if is_trace else _OBSERVATION_RULES
    merged: Object = {}
    for event in ordered:
        for key, value in _changes(event, is_trace=is_trace).items():
            if type(value) is str and value and key not in merged:
                merged[key] = value  # over nothing, every rule keeps a text that says something
                continue
            rule = rules.get(key)
            if rule is not None:
                merged[key] = rule(merged.get(key), value)
            elif not _says_nothing(value):
                merged[key] = value
    kept: Object = {key: value for key, value in merged.items() if value is not None}
    if not is_trace:
        kept.setdefault("level", "DEFAULT")
        _end_after_start(kept)
    return Record(kind, kept)


def _end_after_start(body: Object) -> None:
    start, end = body["startTime"], body.get("endTime")
    if not isinstance(start, str) or not isinstance(end, str):
        return
    # Times of one form (an SDK writes no two) are in the order of their texts.
    if len(start) == len(end) and start[-1] == end[-1] == "Z" and start <= end:
        return
    if time_ns(end) < time_ns(start):
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
    if isinstance(usage, dict):
        body["usageDetails"] = _usage(usage, body.get("usageDetails"))
        body["costDetails"] = _costs(usage, body.get("costDetails"))
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
"""A field that has none keeps its later value, but what `_says_nothing` counts for nothing."""


def _is_empty(value: JSON) -> bool:
    return not value and isinstance(value, (dict, list))


def _says_nothing(value: JSON) -> bool:
    return value is None or (not value and isinstance(value, (dict, list)))


def _first(old: JSON, new: JSON) -> JSON:
    return new if old is None else old


def _later_given(old: JSON, new: JSON) -> JSON:
    """The later value, an empty one too: it is text by the time it is merged."""
    return old if new is None else new


def _later_or_null(old: JSON, new: JSON) -> JSON:
    """The later value; an explicit null clears."""
    return old if _is_empty(new) else new


def _later_truthy(old: JSON, new: JSON) -> JSON:
    """The last value that JavaScript calls true; 0 and false only over nothing."""
    is_true = bool(new) or isinstance(new, (list, dict))
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
