"""Log records (and GenAI events, which are log records with an `event_name`)."""

from __future__ import annotations

from genai_collector.model.resource import Resource, Scope
from genai_collector.model.value import Attributes, Value


class LogRecord:
    """One log record. Times are integer nanoseconds; ids are bytes, empty = none."""

    __slots__ = (
        "attributes",
        "body",
        "dropped_attributes_count",
        "event_name",
        "flags",
        "observed_time_ns",
        "resource",
        "scope",
        "severity_number",
        "severity_text",
        "span_id",
        "time_ns",
        "trace_id",
    )

    def __init__(
        self,
        *,
        time_ns: int = 0,
        observed_time_ns: int = 0,
        severity_number: int = 0,
        severity_text: str = "",
        body: Value = None,
        attributes: Attributes | None = None,
        dropped_attributes_count: int = 0,
        flags: int = 0,
        trace_id: bytes = b"",
        span_id: bytes = b"",
        event_name: str = "",
        resource: Resource | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.time_ns = time_ns
        self.observed_time_ns = observed_time_ns
        self.severity_number = severity_number
        self.severity_text = severity_text
        self.body: Value = body
        self.attributes: Attributes = {} if attributes is None else attributes
        self.dropped_attributes_count = dropped_attributes_count
        self.flags = flags
        self.trace_id = trace_id
        self.span_id = span_id
        self.event_name = event_name
        self.resource = Resource() if resource is None else resource
        self.scope = Scope() if scope is None else scope
