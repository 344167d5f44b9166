"""attributes: insert, change and delete attributes of spans, log records and metric data points.

    processors:
      attributes/team:
        include:
          match_type: strict
          services: [checkout]
        actions:
          - {key: team, action: upsert, value: payments}
          - {key: user.email, action: hash}
          - {pattern: "^internal\\\\.", action: delete}

Options are otelcol's. `hash` writes SHA-256 (otelcol: SHA-1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from genai_collector.component import Config, Context, ProcessorFactory
from genai_collector.model import Batch, Signal
from genai_collector.processors._actions import ActionConfig, compile_actions
from genai_collector.processors._match import MatchConfig, Subject, compile_selection


class AttributesConfig(Config):
    """Which attributes to change, and of which items."""

    actions: Annotated[list[ActionConfig], Field(min_length=1)]
    """What to do, in this order."""
    include: MatchConfig | None = None
    """Only these items; absent: all."""
    exclude: MatchConfig | None = None
    """Not these items, even if included."""


class Attributes:
    def __init__(self, config: AttributesConfig, context: Context) -> None:
        self._edit = compile_actions(config.actions)
        self._selected = compile_selection(config.include, config.exclude)

    def process(self, batch: Batch, /) -> Batch:
        subjects = list(subjects_of(batch))
        if self._selected is not None:
            subjects = [subject for subject in subjects if self._selected(subject)]
        if not subjects:
            return batch  # stays the bytes it is
        give_up_bytes(batch)
        for subject in subjects:
            self._edit(subject.attributes)
        return batch


def subjects_of(batch: Batch) -> Iterator[Subject]:
    """Every set of attributes in the batch: a span's, a log record's, a data point's."""
    if batch.signal is Signal.TRACES:
        for span in batch.view_spans():
            yield Subject(span, span.attributes, span.resource, span.scope)
    elif batch.signal is Signal.LOGS:
        for record in batch.view_logs():
            yield Subject(record, record.attributes, record.resource, record.scope)
    else:
        for metric in batch.view_metrics():
            for point in metric.points:
                yield Subject(metric, point.attributes, metric.resource, metric.scope)


def give_up_bytes(batch: Batch) -> None:
    """Say that the items are about to be changed; they stay the same objects."""
    if batch.signal is Signal.TRACES:
        _ = batch.spans
    elif batch.signal is Signal.LOGS:
        _ = batch.logs
    else:
        _ = batch.metrics


FACTORY = ProcessorFactory("attributes", AttributesConfig, Attributes)
