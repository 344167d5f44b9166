"""What `POST /api/public/ingestion` accepts, and what it makes of it (section 1.3).

`parse_event` is the server's judgement of one event: unknown keys are stripped, environments and
usage are normalised, and an event with one bad field is refused as a whole. The tables below are
the bodies; each field has a check that gives the stored value or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from genai_collector.formats.langfuse.schema_score import score_body
from genai_collector.formats.langfuse.schema_values import (
    Refused,
    boolean,
    choice,
    datetime_text,
    identifier,
    integer,
    json_value,
    limited_text,
    normal_costs,
    normal_environment,
    normal_usage,
    number,
    string,
    string_list,
)
from genai_collector.formats.langfuse.types import OBSERVATION_TYPES
from genai_collector.formats.langfuse.values import JSON, truthy

Object = dict[str, JSON]
Check = Callable[[JSON], JSON]

_LEVEL: Final = choice("DEBUG", "DEFAULT", "WARNING", "ERROR")
_UNIT: Final = choice("CHARACTERS", "TOKENS", "SECONDS", "MILLISECONDS", "IMAGES", "REQUESTS")
_OPENAI_COUNTS: Final = {
    "promptTokens": "input",
    "completionTokens": "output",
    "totalTokens": "total",
}


class Parsed(NamedTuple):
    event: Object | None
    """What the server would store; None if it refuses the event."""
    issues: list[str]
    """`path: what is wrong`; empty if the event is accepted."""


def _parameter(value: JSON) -> JSON:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return value
    raise Refused("Invalid input")


def _simple_parameter(value: JSON) -> JSON:
    if isinstance(value, list | dict):
        raise Refused("Invalid input")
    return value


class _Inside(Refused):
    """The message begins with a path, to which the outer path belongs."""


def _map_of(check: Check) -> Check:
    def checked(value: JSON) -> JSON:
        found: Object = {}
        for key, item in _object(value).items():
            try:
                found[key] = check(item)
            except Refused as exc:
                raise _Inside(f"{key}: {exc}") from None
        return found

    return checked


def _object(value: JSON) -> Object:
    if not isinstance(value, dict):
        raise Refused("Invalid input: expected object")
    return value


def _usage(value: JSON) -> JSON:
    """The old shape of usage: one object with counts, unit and costs."""
    given = _checked(_object(value), _USAGE, "")
    if any(key in given for key in _OPENAI_COUNTS):
        return {
            **{name: given[key] for key, name in _OPENAI_COUNTS.items() if key in given},
            "unit": "TOKENS",
        }
    return given or None


def _usage_details(value: JSON) -> JSON:
    return normal_usage(_object(value))


def _cost_details(value: JSON) -> JSON:
    return normal_costs(_object(value))


_ENVELOPE: Final[dict[str, Check]] = {
    "id": identifier,
    "timestamp": datetime_text,
    "metadata": json_value,
}
_USAGE: Final[dict[str, Check]] = {
    **dict.fromkeys(("input", "output", "total", *_OPENAI_COUNTS), integer),
    "unit": _UNIT,
    **dict.fromkeys(("inputCost", "outputCost", "totalCost"), number),
}
_TRACE: Final[dict[str, Check]] = {
    "id": identifier,
    "timestamp": datetime_text,
    "name": limited_text(1000),
    "externalId": string,
    "input": json_value,
    "output": json_value,
    "sessionId": string,
    "userId": string,
    "metadata": json_value,
    "release": string,
    "version": string,
    "public": boolean,
    "tags": string_list,
}
_OBSERVATION: Final[dict[str, Check]] = {
    "id": identifier,
    "traceId": identifier,
    "name": string,
    "startTime": datetime_text,
    "metadata": json_value,
    "input": json_value,
    "output": json_value,
    "level": _LEVEL,
    "statusMessage": string,
    "parentObservationId": string,
    "version": string,
}
_SPAN: Final[dict[str, Check]] = {**_OBSERVATION, "endTime": datetime_text}
_GENERATION: Final[dict[str, Check]] = {
    **_SPAN,
    "completionStartTime": datetime_text,
    "model": string,
    "modelParameters": _map_of(_parameter),
    "usage": _usage,
    "usageDetails": _usage_details,
    "costDetails": _cost_details,
    "promptName": string,
    "promptVersion": integer,
}
_LEGACY: Final[dict[str, Check]] = {
    **{key: check for key, check in _GENERATION.items() if not key.startswith("prompt")},
    "type": choice("GENERATION", "SPAN", "EVENT"),
    "modelParameters": _map_of(_simple_parameter),
}


class _Kind(NamedTuple):
    fields: dict[str, Check]
    required: tuple[str, ...] = ("id",)
    has_environment: bool = True


_KINDS: Final[dict[str, _Kind]] = {
    **{f"{name}-create": _Kind(_GENERATION) for name in OBSERVATION_TYPES},
    "generation-update": _Kind(_GENERATION),
    "trace-create": _Kind(_TRACE, required=()),
    "event-create": _Kind(_OBSERVATION),
    "span-create": _Kind(_SPAN),
    "span-update": _Kind(_SPAN),
    "observation-create": _Kind(_LEGACY, required=("type",), has_environment=False),
    "observation-update": _Kind(_LEGACY, required=("type",), has_environment=False),
}
_ALL_KINDS: Final = frozenset({*_KINDS, "score-create", "sdk-log"})


def parse_event(event: JSON) -> Parsed:
    """The server's judgement of one event. Never raises."""
    if not isinstance(event, dict):
        return Parsed(None, ["Invalid input: expected object"])
    try:
        return Parsed(_parse(event), [])
    except Refused as exc:
        return Parsed(None, [str(exc)])


def _parse(event: Object) -> Object:
    kind = event.get("type")
    if kind == "dataset-run-item-create":
        raise Refused("Dataset run item creation is only allowed for internal usage")
    if not isinstance(kind, str) or kind not in _ALL_KINDS:
        raise Refused("type: Invalid input")
    parsed = _checked(event, _ENVELOPE, "")
    for key in ("id", "timestamp"):
        if parsed.get(key) is None:
            raise Refused(f"{key}: Invalid input: expected string")
    body = event.get("body")
    if not isinstance(body, dict):
        raise Refused("body: Invalid input: expected object")
    parsed["type"], parsed["body"] = kind, _body(kind, body)
    return parsed


def _body(kind: str, body: Object) -> Object:
    if kind == "score-create":
        return score_body(body)
    if kind == "sdk-log":
        if body.get("log") is None:
            raise Refused("body.log: Invalid input")
        return _checked(body, {"log": json_value, "id": string}, "body")
    spec = _KINDS[kind]
    for key in spec.required:
        if body.get(key) is None:
            raise Refused(f"body.{key}: Invalid input: expected string, received undefined")
    parsed = _checked(body, spec.fields, "body")
    if spec.has_environment:
        parsed["environment"] = normal_environment(body.get("environment"))
    name, version = parsed.get("promptName"), parsed.get("promptVersion")
    if name is not version and truthy(name) != truthy(version):
        raise Refused("body: Invalid input")
    return parsed


def _checked(given: Object, fields: dict[str, Check], path: str) -> Object:
    """The known keys, checked; null is allowed everywhere and stays."""
    parsed: Object = {}
    try:
        for key, value in given.items():
            known = fields.get(key)
            if known is None:
                continue
            if value is None or known is json_value or (known is string and type(value) is str):
                parsed[key] = value
            else:
                parsed[key] = known(value)
    except Refused:  # which of several faults is told is decided by the order of the fields
        return _blamed(given, fields, path)
    return parsed


def _blamed(given: Object, fields: dict[str, Check], path: str) -> Object:
    parsed: Object = {}
    for key, check in fields.items():
        if key not in given:
            continue
        value = given[key]
        if value is None:
            parsed[key] = None
            continue
        try:
            parsed[key] = check(value)
        except Refused as exc:
            where = f"{path}.{key}" if path else key
            joint = "." if isinstance(exc, _Inside) else ": "
            raise _Inside(f"{where}{joint}{exc}") from None
    return parsed
