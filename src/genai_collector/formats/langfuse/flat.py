"""Spans as the flat records of a v4 server: what its direct write path makes of OTLP.

A v4 server has no traces of their own: each span becomes one record that also holds the fields of
its trace. The rules for fields are those of the batch events (`events`), so that a record is the
observation's body with other names, and with what the events say in their `trace-create`. Source:
path B of the Langfuse mapping. Nothing here is sent: a server makes its records itself. They show
what will arrive, for tests and for what a loss report says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from genai_collector.formats.langfuse import events as plain_events
from genai_collector.formats.langfuse import keys, model, names
from genai_collector.formats.langfuse.instants import time_ms
from genai_collector.formats.langfuse.keys import scope_bits
from genai_collector.formats.langfuse.merge import Object, body_of, observation_type
from genai_collector.formats.langfuse.metadata import user_metadata
from genai_collector.formats.langfuse.reading import Reading, read_attributes
from genai_collector.formats.langfuse.usage import cost_details, usage_details
from genai_collector.formats.langfuse.values import (
    JSON,
    as_object,
    js_text,
    parse_payload,
    says_true,
    text,
    truthy,
)
from genai_collector.model import Span

_RENAMED: Final = {
    "id": "spanId",
    "parentObservationId": "parentSpanId",
    "startTime": "startTimeISO",
    "endTime": "endTimeISO",
    "model": "modelName",
    "usageDetails": "providedUsageDetails",
    "costDetails": "providedCostDetails",
}
_APP_ROOT: Final = "langfuse.internal.is_app_root"
_ADDED: Final = frozenset({"attributes", "resourceAttributes", "scope"})


def flat_records(spans: Sequence[Span], *, now_ns: int = 0) -> list[Object]:
    """One record per span with ids, in order, under the server's names; what nobody said is left
    out. `now_ns` stands in for spans without any time."""
    encoded = plain_events.encode_spans(spans, now_ns=now_ns)
    return [
        _record(one.event, spans[cast("int", one.span_index)])
        for one in encoded
        if one.event["type"] != "trace-create"
    ]


def _record(event: Object, span: Span) -> Object:
    body = dict(body_of(event))
    reading = read_attributes(span.attributes, scope_bits(span.scope.name))
    shared = read_attributes(span.resource.attributes)
    body.setdefault("endTime", body["startTime"])
    body["metadata"] = _metadata(as_object(body["metadata"]) or {}, reading, shared)
    _add_spending(body, reading, time_ms(str(body["startTime"])))
    record: Object = {_RENAMED.get(field, field): value for field, value in body.items()}
    record["type"] = observation_type(event).upper()
    record["isAppRoot"] = says_true(reading.attributes.get(_APP_ROOT))
    found: Object = {
        **_trace_fields(reading, shared),
        "serviceName": text(shared.attributes.get("service.name")),
        "serviceVersion": text(shared.attributes.get("service.version")),
        "scopeName": span.scope.name,
        "scopeVersion": span.scope.version,
    }
    record |= {field: value for field, value in found.items() if value not in (None, "", [])}
    definitions = _tool_definitions(record.get("input"))
    if definitions:
        record["toolDefinitions"] = definitions
    return record


def _trace_fields(reading: Reading, shared: Reading) -> Object:
    attributes = reading.attributes
    return {
        "traceName": text(attributes.get("langfuse.trace.name")),
        "userId": names.user_id(attributes),
        "sessionId": names.session_id(attributes),
        "tags": names.tags(attributes),
        "public": names.public(attributes),
        "release": names.release(reading, shared.attributes),
    }


def _add_spending(body: Object, reading: Reading, start_ms: int) -> None:
    """Records of every type have what only generations have as events."""
    parameters = model.model_parameters(reading)
    if parameters:
        body["modelParameters"] = parameters
    first_token = model.completion_start_time(reading, start_ms)
    if first_token is not None:
        body["completionStartTime"] = first_token
    if model.repeats_its_children(reading.attributes):
        return
    name = model.model_name(reading.attributes)
    if name is not None:
        body["model"] = name
    for field, details in (
        ("usageDetails", usage_details(reading)),
        ("costDetails", cost_details(reading)),
    ):
        if details:
            body[field] = details


def _metadata(described: Object, reading: Reading, shared: Reading) -> Object:
    """With the trace's metadata, and without what a resource says of it."""
    own = user_metadata(reading, keys.OBSERVATION_METADATA)
    of_resource = user_metadata(shared, keys.TRACE_METADATA_KEY)
    kept = {
        key: value
        for key, value in described.items()
        if key in own or key in _ADDED or key not in of_resource
    }
    of_trace = user_metadata(reading, keys.TRACE_METADATA_KEY)
    if "tools" in own and "tools" not in described:  # they have moved into the input
        of_trace.pop("tools", None)
    return kept | of_trace


def _tool_definitions(given: JSON) -> Object:
    """Name -> JSON text of description and parameters, of the tools in the input."""
    offered = (as_object(parse_payload(given)) or {}).get("tools")
    found: Object = {}
    for entry in offered if isinstance(offered, list) else []:
        tool = as_object(parse_payload(entry)) or {}
        function = as_object(tool.get("function")) or tool
        name = function.get("name")
        if not isinstance(name, str) or not truthy(name):
            continue
        schema = next(
            (function[key] for key in ("parameters", "inputSchema") if truthy(function.get(key))),
            None,
        )
        found[name] = js_text(
            {
                "description": text(function.get("description")) or "",
                "parameters": "" if schema is None else text(schema) or "",
            }
        )
    return found
