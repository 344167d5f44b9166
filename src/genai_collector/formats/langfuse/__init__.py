"""Langfuse's batch ingestion format: spans to events exactly as Langfuse's own OTLP mapping makes
them, and the schema that the server holds events against.

encode_spans(spans)             trace-create and <type>-create events
scores_from_metrics(metrics)    exemplars as NUMERIC scores
scores_from_logs(logs)          evaluation results as scores
encode_batch(events)            the body of POST /api/public/ingestion
parse_event(event)              what the server accepts and stores
loss(spans)                     what had no home

Strategy: the judge of this room is Langfuse's code, so its rules are applied to the span's
attributes directly, in Langfuse's own words and order, and not to the neutral `Observation` that
other formats are written from: its precedences differ from vocabulary to vocabulary, and a neutral
reading in between would blur them. Section numbers in the modules are those of the mapping as
docs/langfuse.md lists it. What is done better than Langfuse does it is listed there too.

`keys` (what each attribute is good for) -> `reading` (one look at a span) -> `types`, `names`,
`model`, `usage*`, `io` (with `messages`, `flattened`, `tools`), `metadata` (one rule each) ->
`events` (the bodies) -> `wire` (bytes). `values` knows JavaScript, `schema*` the server's checks.
"""

from genai_collector.formats.langfuse.events import EncodedEvent, encode_spans
from genai_collector.formats.langfuse.schema import Parsed, parse_event
from genai_collector.formats.langfuse.scores import scores_from_logs, scores_from_metrics
from genai_collector.formats.langfuse.shorten import MARKER, shorten_event
from genai_collector.formats.langfuse.unmapped import loss
from genai_collector.formats.langfuse.wire import dump_event, encode_batch

__all__ = [
    "MARKER",
    "EncodedEvent",
    "Parsed",
    "dump_event",
    "encode_batch",
    "encode_spans",
    "loss",
    "parse_event",
    "scores_from_logs",
    "scores_from_metrics",
    "shorten_event",
]
