"""A payload from LiteLLM as a span, and that span as the payload again.

Strategy: every member has one attribute that is its home, `litellm.{member}`: texts, numbers and
flags as they are, objects and lists as JSON text. Tokens and cost have the conventions' attributes
as their home, the two times the span's own. All other `gen_ai.*` attributes are views. What does
not fit (wrong types, unknown members, missing ones) is in `litellm.residual`.

Sources: the payload as LiteLLM 1.100 and 1.109 send it; the GenAI semantic conventions.
"""

from __future__ import annotations

from typing import Final

from genai_collector.formats import ids
from genai_collector.formats.json_text import canonical, dumps, try_loads
from genai_collector.formats.litellm import clock, fields
from genai_collector.formats.litellm.fields import Payload, Row
from genai_collector.formats.litellm.views import fill_views
from genai_collector.model import Attributes, Resource, Scope, Span, SpanKind, StatusCode, Value

FROM_PAYLOAD: Final = "payload"
_FAILURE: Final = "failure"


class PayloadReader:
    """Makes spans of payloads; all of them share one resource and scope."""

    __slots__ = ("_resource", "_scope")

    def __init__(self) -> None:
        self._resource = Resource({"service.name": fields.SERVICE_NAME})
        self._scope = Scope(fields.SCOPE_NAME)

    def span(self, payload: Payload) -> Span:
        """The span, which depends on the payload alone. Raises DecodeError for what no JSON is."""
        start_ns, end_ns = _times(payload)
        trace_id, span_id = _ids(payload)
        span = Span(
            trace_id=trace_id,
            span_id=span_id,
            kind=SpanKind.CLIENT,
            start_ns=start_ns,
            end_ns=end_ns,
            resource=self._resource,
            scope=self._scope,
        )
        failed = payload.get("status") == _FAILURE
        if failed:
            span.status_code = StatusCode.ERROR
        attributes = span.attributes
        attributes[fields.SOURCE] = FROM_PAYLOAD
        fill_views(span, payload)
        residual = _fill_homes(attributes, payload, failed)
        for key, ns in zip(fields.TIMES, (start_ns, end_ns), strict=True):
            if key in payload and not clock.gives_back(payload[key], ns):
                residual[key] = [[key], payload[key]]
        if residual:  # sorted, because the order of members must not show
            operations: list[Value] = [residual[key] for key in sorted(residual)]
            attributes[fields.RESIDUAL] = dumps(operations).decode("utf-8")
        return span


def _times(payload: Payload) -> tuple[int, int]:
    start, end = clock.to_ns(payload.get("startTime")), clock.to_ns(payload.get("endTime"))
    if start is None:
        start = end
    return start or 0, start or 0 if end is None else end


def _ids(payload: Payload) -> tuple[bytes, bytes]:
    names = (payload.get("litellm_call_id"), payload.get("id"))
    call = next((name for name in names if isinstance(name, str) and name), None)
    if call is None:
        call = canonical(payload).decode("utf-8", "surrogatepass")
    trace = payload.get("trace_id")
    return ids.trace_id(trace if isinstance(trace, str) and trace else call), ids.span_id(call)


def _fill_homes(attributes: Attributes, payload: Payload, failed: bool) -> dict[str, Value]:
    """Put each member into its home; the operations for those that do not fit, by member."""
    residual: dict[str, Value] = {key: [[key]] for key in fields.ALWAYS_SET.difference(payload)}
    for key, value in payload.items():
        row = fields.ROW_OF.get(key)
        if row is None:
            if key not in fields.TIMES:
                residual[key] = [[key], value]
            continue
        _, holds, always, canonical, attribute = row
        if value is None and not canonical:
            if not always:
                residual[key] = [[key], None]
        elif holds is None:
            attributes[attribute] = dumps(value).decode("utf-8")
        elif not holds(value):
            residual[key] = [[key], value]
        elif canonical and (value or not failed):
            attributes[canonical] = value
        else:  # a failure that cost nothing says nothing of tokens and cost
            attributes[attribute] = value
    return residual


def recorded(span: Span) -> Payload:
    """What the span's attributes say of the payload that it was, without the residual."""
    said = span.attributes
    payload: Payload = {}
    for row in fields.ROWS:
        if row.key == "completionStartTime":
            payload["startTime"] = clock.to_seconds(span.start_ns)
            payload["endTime"] = clock.to_seconds(span.end_ns)
        value = _home(said, row)
        if value is not None or row.always:
            payload[row.key] = value
    return payload


def _home(said: Attributes, row: Row) -> Value:
    if row.holds is None:
        return try_loads(said.get(row.attribute))
    for key in (row.canonical, row.attribute):
        value = said.get(key) if key else None
        if value is not None and row.holds(value):
            return value
    return None
