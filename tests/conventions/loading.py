"""Recorded OTLP/JSON as spans and log records, and the few strategies that several tests share."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from genai_collector.formats.otlp import batch_from_protobuf
from genai_collector.model import (
    Attributes,
    Event,
    LogRecord,
    Resource,
    Scope,
    Signal,
    Span,
    Value,
)
from tests.support.captures import FIXTURES, shared

CASES = FIXTURES / "conventions"


def recorded_spans(case: str) -> list[Span]:
    """All spans of one recorded request, such as `openlit_1_45/stream`."""
    request = json.loads((CASES / f"{case}.json").read_text())
    return [
        _span(span, _attributes(group.get("resource", {})), of_scope.get("scope", {}))
        for group in request["resourceSpans"]
        for of_scope in group["scopeSpans"]
        for span in of_scope["spans"]
    ]


def recorded(case: str) -> Span:
    """The GenAI span of a recorded request; the HTTP span beside it is left out."""
    return next(s for s in recorded_spans(case) if "httpx" not in s.scope.name)


def recorded_logs(case: str) -> list[LogRecord]:
    request = json.loads((CASES / f"{case}.json").read_text())
    return [
        LogRecord(
            body=_value(log.get("body", {})),
            attributes=_attributes(log),
            event_name=log.get("eventName", ""),
        )
        for group in request["resourceLogs"]
        for of_scope in group["scopeLogs"]
        for log in of_scope["logRecords"]
    ]


def all_cases() -> list[str]:
    paths = CASES.glob("*/*.json")
    return sorted(f"{p.parent.name}/{p.stem}" for p in paths if not p.stem.endswith("_log"))


CAPTURED = (
    "langfuse_otel", "litellm_langfuse_otlp", "litellm_otel", "litellm_otel_proxy", "openinference",
    "openlit", "openlit_1_34", "otel_openai_v2", "pydantic_ai", "traceloop", "traceloop_0_40",
)  # fmt: skip
"""Folders of captured OTLP requests, one per producer."""


def captured_spans(folder: str, file: str = "*") -> list[Span]:
    """All spans that a producer sent, in the order of its requests; skips where they are not."""
    root = shared(f"captures/{folder}")
    paths = [*root.glob(f"{file}.traces.pb"), *root.glob(f"{file}/*otel_v1_traces.body.bin")]
    return [
        span
        for path in sorted(paths)
        for span in batch_from_protobuf(Signal.TRACES, path.read_bytes()).spans
    ]


def _span(raw: dict[str, Any], resource: Attributes, scope: dict[str, Any]) -> Span:
    status = raw.get("status", {})
    return Span(
        name=raw["name"],
        kind=raw.get("kind", 0),
        start_ns=int(raw.get("startTimeUnixNano", 0)),
        end_ns=int(raw.get("endTimeUnixNano", 0)),
        attributes=_attributes(raw),
        events=[
            Event(e["name"], int(e.get("timeUnixNano", 0)), _attributes(e))
            for e in raw.get("events", [])
        ],
        status_code=status.get("code", 0),
        status_message=status.get("message", ""),
        resource=Resource(resource),
        scope=Scope(scope.get("name", "")),
    )


def _attributes(raw: dict[str, Any]) -> Attributes:
    return {item["key"]: _value(item.get("value", {})) for item in raw.get("attributes", [])}


def _value(raw: dict[str, Any]) -> Value:
    if not raw:
        return None
    ((kind, value),) = raw.items()
    if kind == "arrayValue":
        return [_value(item) for item in value.get("values", [])]
    if kind == "kvlistValue":
        return {item["key"]: _value(item.get("value", {})) for item in value.get("values", [])}
    if kind == "intValue":
        return int(value)
    assert isinstance(value, str | bool | float)
    return value


def values() -> st.SearchStrategy[Value]:
    """Any attribute value, with the texts that readers look into more often than by chance."""
    texts = st.one_of(
        st.text(max_size=30),
        st.sampled_from([
            "", "None", "null", "-1", "0.2", "nan", "1e999", "[]", "{}", "[1, 2]", "['a', 'b']",
            '["stop"]', '[{"role": "user", "content": "hi"}]', '[{"role": "user", "parts": [{"typ',
            '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]', "user: hi\nassistant: yo",
            '{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}',
            '[{"type": "function", "function": {"name": "f", "arguments": "{}"}}]', "\ud800",
            "a, b", "[" * 3000, '{"a": NaN}', '"x"', '{"a": 1}, {"a": 2}', "[(1, {2})]",
        ]),
    )  # fmt: skip
    scalars = st.one_of(
        texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=8),
        st.none(),
    )  # fmt: skip
    keys = st.one_of(
        st.sampled_from([
            "role", "parts", "content", "type", "text", "message", "tool_calls", "function", "name",
            "arguments", "id", "finish_reason", "messages", "choices", "index", "file", "image_url",
        ]),
        st.text(max_size=5),
    )  # fmt: skip
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=5)
        ),
        max_leaves=8,
    )
