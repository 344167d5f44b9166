"""Spans as a v4 server reads them without loss: `prepare` says in Langfuse's own attributes what
its OTLP mapping would miss or misread.

A v4 server stores what it is sent as it is, and reads fields of the trace from every span. So

1. values that it would print as their OTLP wrapper (maps, bytes) become JSON text (`v4_values`)
2. what we know of an observation and it would miss is said in `langfuse.*` (`v4_observation`)
3. what one span says of its trace, every span of that trace says (`v4_trace`)

Nothing that a span says in Langfuse's words is changed, except for spelling that the server refuses
or ignores. Source: path B of the Langfuse mapping; `flat` shows what it makes of a span.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from genai_collector.formats.langfuse.v4_observation import additions
from genai_collector.formats.langfuse.v4_trace import spread
from genai_collector.formats.langfuse.v4_values import Flattener
from genai_collector.model import Attributes, Span


def prepare(spans: Sequence[Span], *, keep_unmapped: bool = False) -> list[Span]:
    """One span for each of these, in order; the same object where nothing is to be changed.

    The given spans stay as they are. Fields of a trace are spread among the given spans only. Span
    events that Langfuse drops are kept in the metadata key `otel`; with `keep_unmapped`, so is
    everything else that it drops. Doing it twice does what doing it once does.
    """
    flattener = Flattener()
    prepared = [flattener.flatten(span) for span in spans]
    for at, span in enumerate(prepared):
        prepared[at] = with_attributes(span, additions(span, keep_unmapped=keep_unmapped))
    return [
        with_attributes(span, found) for span, found in zip(prepared, spread(prepared), strict=True)
    ]


def with_attributes(span: Span, added: Attributes) -> Span:
    """The span itself if there is nothing to add, else a copy."""
    if not added:
        return span
    copied = copy.copy(span)
    copied.attributes = {**span.attributes, **added}
    return copied
