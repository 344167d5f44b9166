"""filter: drop spans, metrics, data points or log records that a condition is true for.

    processors:
      filter:
        error_mode: ignore
        traces:
          span:
            - 'attributes["http.route"] == "/healthz"'
            - 'not is_genai and status.code != STATUS_CODE_ERROR'
        logs:
          log_record: ['severity_number < SEVERITY_NUMBER_INFO']
        metrics:
          metric: ['IsMatch(name, "^http\\\\.")']
          datapoint: ['attributes["tenant"] == nil']

Keys and conditions are otelcol's, the conditions a subset of OTTL (docs/processors.md has the
language). One true condition is enough. Dropping a span orphans its children. A batch that loses
nothing stays as it is; a metric that loses all its data points goes too.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

from pydantic import AfterValidator, Field

from genai_collector.component import Config, Context, ProcessorFactory
from genai_collector.errors import Permanent
from genai_collector.model import Batch, Metric, Point, Signal
from genai_collector.processors import _names
from genai_collector.processors._expression import Names, compile_expression
from genai_collector.processors._match import Subject

T = TypeVar("T")
_Test: TypeAlias = "Callable[[Subject], bool]"


def _checked(names: Names[Subject], condition: str) -> str:
    compile_expression(condition, names)
    return condition


SpanCondition = Annotated[str, AfterValidator(partial(_checked, _names.SPAN))]
LogCondition = Annotated[str, AfterValidator(partial(_checked, _names.LOG_RECORD))]
MetricCondition = Annotated[str, AfterValidator(partial(_checked, _names.METRIC))]
DatapointCondition = Annotated[str, AfterValidator(partial(_checked, _names.DATAPOINT))]


class TraceConditions(Config):
    """When to drop spans."""

    span: list[SpanCondition] = Field(default_factory=list)
    """A span is dropped when one of these is true."""


class LogConditions(Config):
    """When to drop log records."""

    log_record: list[LogCondition] = Field(default_factory=list)
    """A log record is dropped when one of these is true."""


class MetricConditions(Config):
    """When to drop metrics or data points."""

    metric: list[MetricCondition] = Field(default_factory=list)
    """A metric is dropped whole when one of these is true."""
    datapoint: list[DatapointCondition] = Field(default_factory=list)
    """A data point is dropped when one of these is true."""


class FilterConfig(Config):
    """What to drop."""

    error_mode: Literal["ignore", "silent", "propagate"] = "ignore"
    """When a condition fails: log it and take it as false, the same without a log, or refuse the
    batch."""
    traces: TraceConditions = TraceConditions()
    """For spans."""
    logs: LogConditions = LogConditions()
    """For log records."""
    metrics: MetricConditions = MetricConditions()
    """For metrics."""


class Filter:
    def __init__(self, config: FilterConfig, context: Context) -> None:
        self._id = context.id
        self._log = context.log
        self._error_mode = config.error_mode
        self._span = self._any_of(config.traces.span, _names.SPAN)
        self._log_record = self._any_of(config.logs.log_record, _names.LOG_RECORD)
        self._metric = self._any_of(config.metrics.metric, _names.METRIC)
        self._datapoint = self._any_of(config.metrics.datapoint, _names.DATAPOINT)

    def process(self, batch: Batch, /) -> Batch:
        if batch.signal is Signal.TRACES:
            return self._filter_spans(batch)
        return (
            self._filter_logs(batch) if batch.signal is Signal.LOGS else self._filter_metrics(batch)
        )

    def _filter_spans(self, batch: Batch) -> Batch:
        drop = self._span
        if drop is None:
            return batch
        spans = batch.view_spans()
        kept = [span for span in spans if not drop(_names.of_span(span))]
        return batch if len(kept) == len(spans) else batch.with_items(kept)

    def _filter_logs(self, batch: Batch) -> Batch:
        drop = self._log_record
        if drop is None:
            return batch
        records = batch.view_logs()
        kept = [record for record in records if not drop(_names.of_log(record))]
        return batch if len(kept) == len(records) else batch.with_items(kept)

    def _filter_metrics(self, batch: Batch) -> Batch:
        if self._metric is None and self._datapoint is None:
            return batch
        metrics = batch.view_metrics()
        kept = [left for metric in metrics if (left := self._filter_metric(metric)) is not None]
        changed = len(kept) != len(metrics) or any(
            new is not old for new, old in zip(kept, metrics, strict=True)
        )
        return batch.with_items(kept) if changed else batch

    def _filter_metric(self, metric: Metric) -> Metric | None:
        """The metric itself, one with fewer points, or None when nothing is left of it."""
        if self._metric is not None and self._metric(_names.of_metric(metric)):
            return None
        drop, points = self._datapoint, metric.points
        if drop is None or not points:
            return metric
        kept = [point for point in points if not drop(_names.of_point(metric, point))]
        if len(kept) == len(points):
            return metric
        return _with_points(metric, kept) if kept else None

    def _any_of(self, conditions: Sequence[str], names: Names[Subject]) -> _Test | None:
        tests = [(text, compile_expression(text, names)) for text in conditions]
        return self._any_of_tests(tests) if tests else None

    def _any_of_tests(self, tests: Sequence[tuple[str, _Test]]) -> _Test:
        def any_true(subject: Subject) -> bool:
            for text, test in tests:
                try:
                    if test(subject):
                        self._tell(text, subject)
                        return True
                except Exception as exc:  # a fault of ours in one condition must not stop data
                    self._failed(text, exc)
            return False

        return any_true

    def _tell(self, condition: str, subject: Subject) -> None:
        """Who asks for it hears what goes and why. Ids only: names may hold what must not be seen
        before `redact` has."""
        if not self._log.isEnabledFor(logging.DEBUG):
            return
        item = subject.item
        if isinstance(item, Metric):
            which = {"metric": item.name}
        else:
            which = {"trace_id": item.trace_id.hex(), "span_id": item.span_id.hex()}
        self._log.debug("Dropped by a condition", extra={"condition": condition, **which})

    def _failed(self, condition: str, exc: Exception) -> None:
        if self._error_mode == "propagate":
            message = f"{self._id}: condition failed: {condition}: {exc!r}"
            raise Permanent(message, reason="processor_error") from exc
        level = logging.DEBUG if self._error_mode == "silent" else logging.WARNING
        self._log.log(level, "Condition failed and is taken as false",
                      extra={"condition": condition, "error": repr(exc)})  # fmt: skip


def _with_points(metric: Metric, points: list[Point]) -> Metric:
    data = copy.copy(metric.data)
    assert data is not None
    data.points = cast("list[Any]", points)
    return Metric(
        name=metric.name,
        description=metric.description,
        unit=metric.unit,
        data=data,
        metadata=metric.metadata,
        resource=metric.resource,
        scope=metric.scope,
    )


FACTORY = ProcessorFactory("filter", FilterConfig, Filter)
