"""A record from the gateway as a span, and that span as the record again.

Strategy: every member has one attribute that is its home; `gen_ai.*` content is a view, made from
the bodies that are kept whole in `noveum.request` and `noveum.response`. What this way back cannot
rebuild is the residual's (see `codec`), so a member of the wrong type is simply not carried here.
Nothing raises on odd data.

Sources: the record's schema in both spellings; the GenAI semantic conventions for the names.
"""

from __future__ import annotations

import hashlib
from typing import Final, cast

from genai_collector.conventions import read_observation
from genai_collector.conventions.messages import to_parts_messages
from genai_collector.errors import DecodeError
from genai_collector.formats.fits import is_int64, is_number, is_otlp_value, is_text
from genai_collector.formats.json_text import canonical, dumps, loads
from genai_collector.formats.noveum import fields
from genai_collector.formats.noveum.bodies import (
    Body,
    Reply,
    as_body,
    expand_messages,
    read_reply,
    read_tokens,
)
from genai_collector.formats.noveum.clock import parse_timestamp, render_timestamp
from genai_collector.formats.noveum.fields import (
    ABSENT,
    Record,
    Spelling,
)
from genai_collector.formats.noveum.observed import answer
from genai_collector.formats.openai_bodies import read_parameters, request_body
from genai_collector.formats.tagged import readable
from genai_collector.model import Attributes, Resource, Scope, Span, SpanKind, StatusCode, Value

_MILLISECOND: Final = 1_000_000
_ENVIRONMENT: Final = "deployment.environment"
_ENVIRONMENT_NAME: Final = "deployment.environment.name"
_OPENAI: Final = frozenset({"openai", "azure.ai.openai"})


class RecordReader:
    """Makes spans of records; records of the same service share one resource."""

    __slots__ = ("_resources", "_scope")

    def __init__(self) -> None:
        self._resources: dict[bytes, Resource] = {}
        self._scope = Scope(fields.SCOPE_NAME)

    def span(self, record: Record, spelling: Spelling) -> Span:
        """The span, without the residual. Ids depend on the record alone."""
        attributes = as_body(record.get("attributes"))
        metadata = as_body(attributes.get("metadata"))
        start_ns, end_ns = _times(record.get("timestamp"), metadata.get("latency"))
        trace_id, span_id = _ids(record, attributes.get("id"))
        span = Span(
            trace_id=trace_id,
            span_id=span_id,
            kind=SpanKind.CLIENT,
            start_ns=start_ns,
            end_ns=end_ns,
            resource=self._resource(record.get("resource")),
            scope=self._scope,
        )
        _fill(span, record, attributes, metadata, spelling)
        return span

    def _resource(self, value: Value) -> Resource:
        said = {key: v for key, v in as_body(value).items() if is_text(key) and is_otlp_value(v)}
        key = dumps(said)
        known = self._resources.get(key)
        if known is None:
            if _ENVIRONMENT in said:
                said.setdefault(_ENVIRONMENT_NAME, said[_ENVIRONMENT])
            known = self._resources[key] = Resource(said)
        return known


def _times(timestamp: Value, latency: Value) -> tuple[int, int]:
    # The gateway takes the timestamp when it builds the record, which is when the call ends.
    end_ns = parse_timestamp(timestamp) or 0
    if not isinstance(latency, int | float) or isinstance(latency, bool):
        return end_ns, end_ns
    took = latency * _MILLISECOND
    return (end_ns - int(took) if 0 <= took <= end_ns else end_ns), end_ns


def _ids(record: Record, record_id: Value) -> tuple[bytes, bytes]:
    # The gateway's ids have 32 bits, so the time belongs to the identity.
    if isinstance(record_id, str) and record_id:
        identity = canonical([record_id, record.get("timestamp")])
    else:
        identity = canonical(record)
    trace = hashlib.sha256(b"trace\0" + identity).digest()
    span = hashlib.sha256(b"span\0" + identity).digest()
    return trace[:16], span[:8]


def _fill(span: Span, record: Record, attributes: Body, metadata: Body, spelling: Spelling) -> None:
    found = span.attributes
    name = record.get("name")
    found[fields.SPELLING] = spelling
    if name != fields.LOG_NAME and is_text(name):
        found[fields.RECORD_NAME] = name
    homes = fields.HOMES[spelling]
    _fill_homes(found, attributes, homes.attributes)
    _fill_homes(found, metadata, homes.metadata)
    _fill_homes(found, as_body(metadata.get("tokens")), homes.tokens)
    request = as_body(attributes.get("request"))
    reply = read_reply(attributes.get("response"))
    _fill_call(found, attributes, metadata, request)
    _fill_request(found, request)
    _fill_reply(found, reply)
    cost = _double(metadata.get("cost"))
    if cost is not None:
        found["gen_ai.usage.cost"] = cost
    _fill_tokens(found, metadata, reply)
    first = metadata.get("ttfb")
    if request.get("stream") is True and is_int64(first) and isinstance(first, int):
        found["gen_ai.response.time_to_first_chunk"] = first / 1000
    for key in ("request", "response"):
        if key in attributes:
            found["noveum." + key] = dumps(attributes[key]).decode("utf-8")
    span.name = _span_name(found, name)
    _fill_status(span, metadata, reply)


def _fill_homes(found: Attributes, node: Body, homes: tuple[fields.Home, ...]) -> None:
    for key, attribute, holds, default, _, is_derived in homes:
        if key in node and not is_derived:
            value = node[key]
            if value != default and holds(value):
                found[attribute] = value


def _span_name(found: Attributes, name: Value) -> str:
    words = [found.get("gen_ai.operation.name"), found.get("gen_ai.request.model")]
    said = " ".join(word for word in words if isinstance(word, str) and word)
    return said or (name if isinstance(name, str) and is_text(name) else "")


def _fill_call(found: Attributes, attributes: Body, metadata: Body, request: Body) -> None:
    provider = attributes.get("provider")
    if isinstance(provider, str) and is_text(provider):
        found[fields.PROVIDER.attribute] = fields.provider_to_semconv(provider)
    if isinstance(provider, str) or isinstance(attributes.get("model"), str) or request:
        found["gen_ai.operation.name"] = fields.operation_of_path(metadata.get("path"))


def _fill_request(found: Attributes, request: Body) -> None:
    model = request.get("model")
    if is_text(model):
        found["gen_ai.request.model"] = model
    found.update(read_parameters(request))
    prompt = request.get("prompt")
    said: Value = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else None
    _put_messages(found, "gen_ai.input.messages", expand_messages(request.get("messages", said)))
    system = request.get("system")
    if isinstance(system, str) and system:
        found["gen_ai.system_instructions"] = _json([{"type": "text", "content": system}])
    if tools := request.get("tools"):
        found["gen_ai.tool.definitions"] = _json(tools)


def _double(value: Value) -> Value:
    return float(value) if isinstance(value, int | float) and is_number(value) else None


def _fill_reply(found: Attributes, reply: Reply) -> None:
    _put_text(found, "gen_ai.response.id", reply.id)
    if reasons := [reason for reason in reply.finish_reasons if is_text(reason)]:
        found["gen_ai.response.finish_reasons"] = cast("Value", reasons)
    _put_messages(found, "gen_ai.output.messages", cast("Value", reply.messages))
    if found.get(fields.PROVIDER.attribute) in _OPENAI:
        _put_text(found, "openai.response.system_fingerprint", reply.system_fingerprint)
        _put_text(found, "openai.response.service_tier", reply.service_tier)


def _put_text(found: Attributes, key: str, value: str | None) -> None:
    if value is not None and is_text(value):
        found[key] = value


def _put_messages(found: Attributes, key: str, openai: Value) -> None:
    messages = to_parts_messages(openai) if openai else None
    if messages:
        found[key] = _json(cast("Value", messages))


def _json(value: Value) -> str:
    return dumps(value).decode("utf-8")


def _fill_tokens(found: Attributes, metadata: Body, reply: Reply) -> None:
    tokens = read_tokens(as_body(metadata.get("tokens")), reply.usage)
    for key, count in (
        ("gen_ai.usage.input_tokens", tokens.input),
        ("gen_ai.usage.output_tokens", tokens.output),
        ("gen_ai.usage.cache_read.input_tokens", tokens.cache_read),
        ("gen_ai.usage.cache_creation.input_tokens", tokens.cache_creation),
        ("gen_ai.usage.reasoning.output_tokens", tokens.reasoning),
    ):
        if count is not None:
            found[key] = count


def _fill_status(span: Span, metadata: Body, reply: Reply) -> None:
    # Released gateways write "success" whatever happened, so failure is read from what they saw.
    code = metadata.get("status_code")
    bad_code = type(code) is int and code >= 400
    said = metadata.get("status") == "error" or _positive(metadata.get("error_count"))
    if not (bad_code or said or reply.error is not None):
        return
    error = reply.error or {}
    span.status_code = StatusCode.ERROR
    message = error.get("message")
    if isinstance(message, str) and is_text(message):
        span.status_message = message
    names = (error.get("code"), error.get("type"), metadata.get("error_type"))
    named = next((name for name in names if isinstance(name, str) and name), None)
    fallback = str(code) if bad_code else "_OTHER"
    span.attributes["error.type"] = named if named is not None and is_text(named) else fallback


def _positive(value: Value) -> bool:
    return type(value) is int and value > 0


# The way back ---------------------------------------------------------------------------------


def recorded(span: Span, spelling: Spelling, source: Record | None = None) -> Record:
    """What the span's attributes say of the record that it was, without the residual. `source` is
    that record, if the span has just been read from it: its bodies need not be read again."""
    said = span.attributes
    homes = fields.HOMES[spelling]
    attributes = _members(said, homes.attributes)
    metadata, tokens = _members(said, homes.metadata), _members(said, homes.tokens)
    provider = attributes.get("provider")
    if isinstance(provider, str):
        attributes["provider"] = fields.provider_to_noveum(provider)
    attributes["metadata"] = metadata
    if source is None:
        _put_bodies(attributes, span)
    else:
        _copy_bodies(attributes, source)
    _put_metadata(attributes, metadata, tokens, span, spelling)
    record: Record = {"attributes": attributes}
    name = said.get(fields.RECORD_NAME)
    record["name"] = name if isinstance(name, str) else fields.LOG_NAME
    if span.end_ns:
        record["timestamp"] = render_timestamp(span.end_ns, zulu=spelling == "seed")
    if span.resource.attributes:
        record["resource"] = _resource_of(span.resource)
    return record


def _members(said: Attributes, homes: tuple[fields.Home, ...]) -> Record:
    found: Record = {}
    for key, attribute, holds, _, written, _ in homes:
        value = said.get(attribute)
        if value is not None and holds(value):
            found[key] = value
        elif not isinstance(written, fields._Absent):
            found[key] = written
    return found


def _put_metadata(
    attributes: Record, metadata: Record, tokens: Record, span: Span, spelling: Spelling
) -> None:
    read, written = tokens.get("input"), tokens.get("output")
    if isinstance(read, int) and isinstance(written, int):
        tokens["total"] = read + written
    elif spelling == "gateway":
        tokens["total"] = None
    if tokens:
        metadata["tokens"] = tokens
    metadata["latency"] = max(0, span.end_ns - span.start_ns) // _MILLISECOND
    metadata["status"] = "error" if span.status_code == StatusCode.ERROR else "success"
    project = attributes.get("project_id")
    if spelling == "gateway":
        metadata.update(fields.GATEWAY_CONSTANTS)
        metadata["project_id"] = project
    elif project is not None:
        metadata["projectId"] = project


def _resource_of(resource: Resource) -> Record:
    said = dict(resource.attributes)
    if _ENVIRONMENT in said and said.get(_ENVIRONMENT_NAME) == said[_ENVIRONMENT]:
        del said[_ENVIRONMENT_NAME]
    return {key: readable(value) for key, value in said.items()}


def _copy_bodies(attributes: Record, source: Record) -> None:
    given = as_body(source.get("attributes"))
    attributes.update({key: given[key] for key in ("request", "response") if key in given})


def _put_bodies(attributes: Record, span: Span) -> None:
    """The bodies as they were, or from the views when a processor removed them."""
    said = span.attributes
    request, response = _body(said, fields.REQUEST), _body(said, fields.RESPONSE)
    if isinstance(request, fields._Absent) or isinstance(response, fields._Absent):
        rebuilt = _rebuilt(span)
        if isinstance(request, fields._Absent):
            request = rebuilt.get("request", ABSENT)
        if isinstance(response, fields._Absent):
            response = rebuilt.get("response", ABSENT)
    for key, body in (("request", request), ("response", response)):
        if not isinstance(body, fields._Absent):
            attributes[key] = body


def _body(said: Attributes, key: str) -> Value | fields._Absent:
    text = said.get(key)
    if not isinstance(text, str):
        return ABSENT
    try:
        return loads(text)
    except DecodeError:
        return ABSENT


def _rebuilt(span: Span) -> Record:
    said = span.attributes
    request = fields.REQUEST not in said and (
        "gen_ai.request.model" in said or "gen_ai.input.messages" in said
    )
    response = fields.RESPONSE not in said and (
        "gen_ai.response.id" in said or "gen_ai.output.messages" in said
    )
    if not (request or response):
        return {}
    seen = read_observation(span)
    content = seen.read_content()
    found: Record = {}
    if request:
        found["request"] = request_body(seen, content)
    if response:
        found["response"] = answer(span, seen, content)
    return found
