"""Langfuse's batch ingestion format, both ways: spans to events exactly as Langfuse's own OTLP
mapping makes them, and events to spans by Langfuse's own schema and merge.

encode_spans(spans)             trace-create and <type>-create events
scores_from_metrics(metrics)    exemplars as NUMERIC scores
scores_from_logs(logs)          evaluation results as scores
encode_batch(events)            the body of POST /api/public/ingestion; sdk_of(items): whose it was
parse_event(event)              what the server accepts and stores
parse_ingestion(data)           the same for the body of a request
fold(events)                    create and update events merged into records
decode_batch(events)            spans; decode_scores(events): log records
loss(spans)                     what had no home; batch_loss(data): of a batch, in spans

Strategy: the judge of this room is Langfuse's code, so its rules are applied to the span's
attributes directly, in Langfuse's own words and order, and not to the neutral `Observation` that
other formats are written from: its precedences differ from vocabulary to vocabulary, and a neutral
reading in between would blur them. Section numbers in the modules are those of the mapping as
docs/langfuse.md lists it. What is done better than Langfuse does it is listed there too.

`keys` (what each attribute is good for) -> `reading` (one look at a span) -> `types`, `names`,
`model`, `usage*`, `io` (with `messages`, `flattened`, `tools`), `metadata` (one rule each) ->
`events` (the bodies) -> `restore` (the way back of former batches) -> `wire` (bytes). `values`
knows JavaScript, `schema*` the server's checks. The other way: `ingestion` -> `merge` -> `decode`
(with `mapped`, `span_attributes`, `span_values`) and `score_logs`.
"""

from genai_collector.formats.langfuse.batch_loss import batch_loss
from genai_collector.formats.langfuse.decode import decode_batch
from genai_collector.formats.langfuse.events import EncodedEvent
from genai_collector.formats.langfuse.ingestion import EventError, Ingestion, parse_ingestion
from genai_collector.formats.langfuse.merge import Folded, Record, fold
from genai_collector.formats.langfuse.restore import encode_spans, loss, scores_from_logs, sdk_of
from genai_collector.formats.langfuse.schema import Parsed, parse_event
from genai_collector.formats.langfuse.score_logs import decode_scores
from genai_collector.formats.langfuse.scores import scores_from_metrics
from genai_collector.formats.langfuse.shorten import MARKER, shorten_event
from genai_collector.formats.langfuse.wire import dump_event, encode_batch

__all__ = [
    "MARKER",
    "EncodedEvent",
    "EventError",
    "Folded",
    "Ingestion",
    "Parsed",
    "Record",
    "batch_loss",
    "decode_batch",
    "decode_scores",
    "dump_event",
    "encode_batch",
    "encode_spans",
    "fold",
    "loss",
    "parse_event",
    "parse_ingestion",
    "scores_from_logs",
    "scores_from_metrics",
    "sdk_of",
    "shorten_event",
]
