"""noveum-trace's traces as tables: which member is which attribute of a span.

Sources: payloads of noveum-trace 1.5.10 (no schema version) and 1.5.28 (schema 2.0), recorded; the
GenAI semantic conventions for the names on the right.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from genai_collector.model import SpanKind, StatusCode, Value

Trace: TypeAlias = "dict[str, Value]"
"""One trace with its `spans`, as noveum-trace sends it."""

# What a span says of the Noveum span that it was.
SCHEMA: Final = "noveum.schema_version"
"""The mark of such a span; `1` where the trace names no version."""
TRACE_ID: Final = "noveum.trace_id"
SPAN_ID: Final = "noveum.span_id"
PARENT_ID: Final = "noveum.parent_span_id"
STATUS: Final = "noveum.status"
ADDED: Final = "noveum.added"
"""Attributes that the collector added."""
REPLACED: Final = "noveum.replaced"
"""Attributes whose value the collector brought into the conventions' form."""
RESIDUAL: Final = "noveum.span.residual"

# What the span that carries its trace says of that, and the prefix of it.
TRACE_PREFIX: Final = "noveum.trace."
TRACE_SCHEMA: Final = "noveum.trace.schema_version"
"""The mark of a span that carries its trace; empty where the trace names no version."""
TRACE_RESIDUAL: Final = "noveum.trace.residual"
NO_SPANS: Final = "noveum.trace.no_spans"
"""The mark of a span that was made because its trace had none."""
PAYLOAD_TIME: Final = "noveum.payload.timestamp"

OURS: Final = frozenset(
    {
        SCHEMA, TRACE_ID, SPAN_ID, PARENT_ID, STATUS, ADDED, REPLACED, RESIDUAL, PAYLOAD_TIME,
    }
)  # fmt: skip

OLD_SCHEMA: Final = "1"

STATUS_CODES: Final = {
    "unset": StatusCode.UNSET,
    "ok": StatusCode.OK,
    "error": StatusCode.ERROR,
    "timeout": StatusCode.ERROR,
    "cancelled": StatusCode.ERROR,
}
STATUS_OF_CODE: Final = {0: "unset", 1: "ok", 2: "error"}
OTEL_STATUS: Final = {0: "UNSET", 1: "OK", 2: "ERROR"}
KINDS: Final = {kind.name: int(kind) for kind in SpanKind}
KIND_NAMES: Final = {int(kind): kind.name for kind in SpanKind}

METADATA: Final = ("user_id", "session_id", "request_id")
METADATA_MAPS: Final = ("tags", "custom_attributes")
METADATA_ON_SPANS: Final = (
    ("user_id", "user.id"),
    ("session_id", "session.id"),
    ("session_id", "gen_ai.conversation.id"),
)
"""What is said of the trace, and true of each of its spans."""

RESOURCE_MEMBERS: Final = (
    ("project", "service.name"),
    ("service_version", "service.version"),
    ("environment", "deployment.environment"),
)

# The attribute that says the same in the SDK's own words, whole.
MIRRORS: Final = {
    "gen_ai.operation.name": "llm.operation",
    "gen_ai.provider.name": "llm.provider",
    "gen_ai.input.messages": "llm.input.messages",
    "gen_ai.output.messages": "llm.output.response",
}


def uuid_text(trace_id: bytes) -> str:
    """A trace id as Noveum writes it, 8-4-4-4-12."""
    text = trace_id.hex()
    if len(text) != 32:
        return text
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
