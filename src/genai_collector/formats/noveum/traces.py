"""noveum-trace's payloads to spans and back: exactly, whichever of the two was first.

A trace that the SDK sent becomes spans whose attributes hold every member; what the way back would
not rebuild is in `noveum.span.residual` and `noveum.trace.residual` (operations, see `residual`).

A span that an application sent over OTLP becomes one of Noveum's with its facts in Noveum's words
and a member `otlp` beside them: what of the span these cannot say, and a digest of them. As long
as the digest holds, the way back is that very span. What somebody changed on the way is believed,
and the span is read like one of the SDK's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import MAX_DEPTH, canonical, depth, dumps, loads
from genai_collector.formats.loss import Loss
from genai_collector.formats.noveum import trace_fields as fields
from genai_collector.formats.noveum.bodies import Body, as_body
from genai_collector.formats.noveum.trace_fields import Trace
from genai_collector.formats.noveum.trace_reader import TraceReader
from genai_collector.formats.noveum.trace_writer import (
    carrier_of,
    observed_span,
    observed_trace,
    recorded_span,
    recorded_trace,
)
from genai_collector.formats.otel_block import BlockReader, BlockWriter, text
from genai_collector.formats.residual import apply, diff, same
from genai_collector.formats.tagged import pack_attributes
from genai_collector.model import Span, Value

BLOCK: Final = "otlp"
CONTINUES: Final = "noveum.continues_trace_id"
"""Attribute of a trace, and of the links of its topmost spans: the trace that it is a part of."""

_DIGEST: Final = "digest"
_ADDED: Final = "added"
_ATTRIBUTES: Final = "attributes_json"
# An operation nests a value three levels deeper.
_RESIDUAL_DEPTH: Final = MAX_DEPTH + 8


# In ---------------------------------------------------------------------------------------------


def traces_of(payload: Value) -> list[Value] | None:
    """The traces of a payload, `{"traces": [...]}` or one bare trace; None if it is neither."""
    if not isinstance(payload, dict):
        return None
    traces = payload.get("traces")
    if isinstance(traces, list):
        return traces
    return [payload] if isinstance(payload.get("spans"), list) else None


def decode_trace(trace: Value) -> list[Span]:
    """The spans of one trace, in order. Raises DecodeError that says what is no trace."""
    if not isinstance(trace, dict):
        raise DecodeError("not an object")
    said = trace.get("spans")
    if not isinstance(said, list):
        raise DecodeError("not a trace: it has no list of spans")
    if depth(trace) > MAX_DEPTH:
        raise DecodeError(f"nested deeper than {MAX_DEPTH} levels")
    reader, blocks = TraceReader(trace), BlockReader()
    spans: list[Span] = []
    for at, one in enumerate(said):
        if not isinstance(one, dict):
            raise DecodeError(f"span {at}: not an object")
        spans.append(_exact(one, blocks) or _decoded(one, reader))
    if not spans:
        spans = [reader.no_spans()]
    if _digest_holds(trace):
        return spans
    carrier = next((span for span in spans if not span.parent_span_id), spans[0])
    reader.carry(carrier)
    whole = {key: value for key, value in trace.items() if key != "spans"}
    _note(carrier, fields.TRACE_RESIDUAL, diff(recorded_trace(carrier, spans), whole))
    return spans


def decode_payload(payload: Value) -> list[Span]:
    """The spans of all traces of a payload, in order. Raises DecodeError that names the trace."""
    traces = traces_of(payload)
    if traces is None:
        raise DecodeError("no traces: expected an object with `traces`, or with `spans`")
    spans: list[Span] = []
    for at, trace in enumerate(traces):
        try:
            found = decode_trace(trace)
        except DecodeError as exc:
            raise DecodeError(f"trace {at}: {exc}") from exc
        if not at and isinstance(payload, dict):
            _note_time(found, payload.get("timestamp"))
        spans += found
    return spans


def _note_time(spans: Sequence[Span], timestamp: Value) -> None:
    carrier = carrier_of(spans)
    if carrier is not None and isinstance(timestamp, float):
        carrier.attributes[fields.PAYLOAD_TIME] = timestamp


def _decoded(said: Body, reader: TraceReader) -> Span:
    span = reader.span(said)
    _note(span, fields.RESIDUAL, diff(recorded_span(span), said))
    return span


def _note(span: Span, key: str, difference: list[Value]) -> None:
    if difference:
        span.attributes[key] = dumps(difference).decode("utf-8")


def _exact(said: Body, blocks: BlockReader) -> Span | None:
    """The span of the block, if nobody has changed what stands beside it."""
    if not _digest_holds(said):
        return None
    block = as_body(said[BLOCK])
    if _ATTRIBUTES not in block:
        added = block.get(_ADDED, [])
        hidden = added if isinstance(added, list) else []
        shown = as_body(said.get("attributes"))
        own: Body = {key: value for key, value in shown.items() if key not in hidden}
        block = {**block, _ATTRIBUTES: text(own)}
    return blocks.span(block)


def _digest(said: Body) -> str:
    rest = {key: value for key, value in said.items() if key not in (BLOCK, "spans")}
    return hashlib.sha256(canonical(rest)).hexdigest()[:32]


def _digest_holds(said: Body) -> bool:
    block = said.get(BLOCK)
    return isinstance(block, dict) and block.get(_DIGEST) == _digest(said)


# Out --------------------------------------------------------------------------------------------


def group_traces(spans: Iterable[Span]) -> list[list[Span]]:
    """The spans of each trace, in order of appearance."""
    groups: dict[bytes, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.trace_id, []).append(span)
    return list(groups.values())


def encode_traces(spans: Sequence[Span]) -> list[Trace]:
    """The traces of these spans; never raises for what a span says."""
    encoder = TraceEncoder()
    return [encoder.encode(group) for group in group_traces(spans)]


def encode_payload(spans: Sequence[Span]) -> Trace:
    """The payload of these spans, with the time of the payload that they came in, if any."""
    payload: Trace = {"traces": list[Value](encode_traces(spans))}
    for span in spans:
        if isinstance(time := span.attributes.get(fields.PAYLOAD_TIME), float):
            payload["timestamp"] = time
    return payload


class TraceEncoder:
    """Writes traces; `project` and `environment` are for those that were not Noveum's before."""

    def __init__(self, project: str = "", environment: str = "") -> None:
        self._project = project
        self._environment = environment
        self._blocks = BlockWriter()

    def encode(self, spans: Sequence[Span], part_id: bytes = b"") -> Trace:
        """The trace of these spans, at least one, all of the same trace.

        With `part_id` it goes under that id (Noveum takes each id once) and links to the trace
        that it is a part of.
        """
        ids = {span.span_id for span in spans}
        carrier = carrier_of(spans)
        whole = self._trace(spans) if carrier is None else _restored_trace(carrier, spans)
        owner = whole.get("trace_id")
        if part_id:
            whole["trace_id"] = fields.uuid_text(part_id)
            if owner:
                whole["attributes"] = {**as_body(whole.get("attributes")), CONTINUES: owner}
            if whole.get("name") in (None, ""):
                whole["name"] = "trace"
        if carrier is None:
            whole[BLOCK] = {_DIGEST: _digest(whole)}
        found: list[Value] = []
        for span in spans:
            if fields.NO_SPANS in span.attributes:
                continue
            cut = part_id and owner and span.parent_span_id not in ids
            found.append(self._span(span, part_id, owner if cut else None))
        return {**whole, "spans": found}

    def _trace(self, spans: Sequence[Span]) -> Trace:
        whole = observed_trace(spans, self._project, self._environment)
        known = next((span for span in spans if fields.TRACE_ID in span.attributes), None)
        if known is not None:
            whole["trace_id"] = known.attributes[fields.TRACE_ID]
        return whole

    def _span(self, span: Span, part_id: bytes, continues: Value) -> Body:
        was_noveum = fields.SCHEMA in span.attributes
        added: list[str] = []
        if was_noveum:
            said = _restored_span(span)
        else:
            said, added = observed_span(span, read_observation(span))
        if part_id:
            said["trace_id"] = fields.uuid_text(part_id)
        if continues is not None:
            links = said.get("links")
            link: Body = {
                "trace_id": span.trace_id.hex(),
                "span_id": span.parent_span_id.hex() or span.span_id.hex(),
                "attributes": {CONTINUES: continues},
            }
            said["links"] = [*(links if isinstance(links, list) else []), link]
        if not was_noveum:
            said[BLOCK] = self._block(span, said, added)
        return said

    def _block(self, span: Span, said: Body, added: list[str]) -> Body:
        block = self._blocks.block(span)
        shown = as_body(said.get("attributes"))
        own = {key: value for key, value in shown.items() if key not in added}
        if same(own, pack_attributes(span.attributes)):
            del block[_ATTRIBUTES]
            block[_ADDED] = list[Value](added)
        return {**block, _DIGEST: _digest(said)}


def _restored_span(span: Span) -> Body:
    return _with_residual(recorded_span(span), span, fields.RESIDUAL)


def _restored_trace(carrier: Span, spans: Sequence[Span]) -> Trace:
    return _with_residual(recorded_trace(carrier, spans), carrier, fields.TRACE_RESIDUAL)


def _with_residual(base: Body, span: Span, key: str) -> Body:
    residual = span.attributes.get(key)
    if not isinstance(residual, str):
        return base
    try:
        found = apply(base, loads(residual, max_depth=_RESIDUAL_DEPTH))
    except DecodeError:
        return base
    return found if isinstance(found, dict) and depth(found) <= MAX_DEPTH else base


# What is lost -----------------------------------------------------------------------------------

_NO_MEMBER: Final = "no member in a Noveum trace; kept in the span's `otlp`"


def trace_loss(spans: Sequence[Span]) -> list[Loss]:
    """What of these spans Noveum has no member for. A span that was Noveum's has none."""
    found: list[Loss] = []
    for span in spans:
        if fields.SCHEMA in span.attributes:
            continue
        where = f"span {span.span_id.hex()}"
        names = [name for name in ("trace_state", "flags") if getattr(span, name)]
        names += [
            f"dropped_{what}_count"
            for what in ("attributes", "events", "links")
            if getattr(span, f"dropped_{what}_count")
        ]
        if span.scope.attributes:
            names.append("scope.attributes")
        found += [Loss(where, name, _NO_MEMBER) for name in names]
    return found
