"""genai_metrics: what model calls cost and how long they took, as metrics, from any vocabulary.

    connectors:
      genai_metrics:
        flush_interval: 15s

    service:
      pipelines:
        traces:  {receivers: [otlp], exporters: [otlp_http, genai_metrics]}
        metrics: {receivers: [otlp, genai_metrics], exporters: [prometheus]}

| metric                                      | unit      | of each                             |
|---------------------------------------------|-----------|-------------------------------------|
| gen_ai.client.token.usage                   | `{token}` | model call, by gen_ai.token.type    |
| gen_ai.client.operation.duration            | s         | model call, failed ones too         |
| gen_ai.client.operation.time_to_first_chunk | s         | streamed call that says it          |
| gen_ai.usage.cost                           | USD       | model call that says its cost; ours |

Names, units, buckets and attributes of the first three are the GenAI conventions' (August 2026).
A model call is a span of the kind generation or embedding that states its operation, its tokens or
its cost. Agents, chains and workflows repeat what the calls below them used: they are not counted.
Values are added when a batch was accepted, not when it is looked at, so that a batch that is
refused and comes again counts once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from pydantic import Field

from genai_collector import __version__
from genai_collector.component import (
    Config,
    ConnectorFactory,
    Consumer,
    Context,
    Duration,
    Route,
)
from genai_collector.connectors._histograms import Histograms, Labels
from genai_collector.connectors._model_calls import call_labels, is_model_call, label_text, measures
from genai_collector.conventions import Observation, read_observation
from genai_collector.delivery import QuietLog
from genai_collector.errors import Permanent, PipelineError
from genai_collector.formats.otlp import batch_of
from genai_collector.model import Batch, Exemplar, Resource, Scope, Signal, Span


class GenaiMetricsConfig(Config):
    """What to tell apart, and how often to send."""

    flush_interval: Duration = Field(default=15.0, gt=0)
    """How often the metrics are sent into their pipelines; and once more at shutdown."""
    dimensions: list[str] = Field(default_factory=list)
    """Further attributes of spans, or else of their resources, by which to tell calls apart. Their
    values become text."""
    resource_attributes: list[str] = Field(default=["service.name"])
    """Attributes of resources that the metrics' resources keep."""
    cardinality_limit: int = Field(default=2000, ge=1)
    """Different sets of attributes per metric. What comes later is added to one point with
    `otel.metric.overflow: true`."""
    exemplars: bool = False
    """Attach trace and span id of the last few calls to each point."""


class GenaiMetrics:
    """Counts what was accepted; sends all of it again at every interval (cumulative), so that a
    refused flush loses nothing."""

    def __init__(
        self,
        config: GenaiMetricsConfig,
        _route: Route,
        consumer: Consumer,
        context: Context,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._consumer = consumer
        self._wall_clock_ns = context.wall_clock_ns
        self._sleep = sleep
        self._log = QuietLog(context.log, context.id, Signal.METRICS, context.clock)
        scope = Scope("genai_collector.genai_metrics", __version__)
        self._histograms = Histograms(scope, config.cardinality_limit, exemplars=config.exemplars)
        self._start_ns = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._start_ns = self._start_ns or self._wall_clock_ns()
        self._task = asyncio.create_task(self._keep_flushing(), name="genai_metrics")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self.flush()

    def connect(self, _batch: Batch, /) -> None:
        """Nothing at once: metrics go out by the clock."""

    def accepted(self, batch: Batch, /) -> None:
        """Add every model call of the batch."""
        shared: dict[int, Labels] = {}
        for span in batch.view_spans():
            observation = read_observation(span)
            if not is_model_call(observation):
                continue
            resource = shared.get(id(span.resource))
            if resource is None:
                resource = shared[id(span.resource)] = self._resource(span.resource)
            labels = self._labels(span, observation)
            exemplar = self._exemplars(span)
            for measure in measures(span, observation):
                self._histograms.add(
                    measure.instrument,
                    resource,
                    labels + measure.own,
                    measure.value,
                    exemplar(measure.value),
                )

    async def flush(self) -> None:
        """Send everything so far. What is refused is part of the next flush."""
        metrics = self._histograms.collect(self._start_ns, self._wall_clock_ns())
        if not metrics:
            return
        batch = batch_of(Signal.METRICS, metrics)
        try:
            with self._consumer.admit(batch.size_bytes):
                await self._consumer.consume(batch)
        except PipelineError as exc:
            lost = isinstance(exc, Permanent) or self._task is None
            level = logging.ERROR if lost else logging.WARNING
            self._log.say(level, "refused", f"The metrics of model calls were refused: {exc}")
        else:
            self._histograms.forget_exemplars()

    async def _keep_flushing(self) -> None:
        while True:
            await self._sleep(self._config.flush_interval)
            try:
                await self.flush()
            except Exception as exc:  # a fault must not end what makes the metrics
                message = "The metrics of model calls could not be sent"
                self._log.say(logging.ERROR, "fault", message, exc_info=exc)

    def _resource(self, resource: Resource) -> Labels:
        kept = self._config.resource_attributes
        return tuple(
            [(key, text) for key in kept if (text := label_text(resource.attributes.get(key)))]
        )

    def _labels(self, span: Span, observation: Observation) -> Labels:
        labels = call_labels(span, observation)
        for key in self._config.dimensions:
            value = span.attributes.get(key, span.resource.attributes.get(key))
            text = label_text(value)
            if text:
                labels += ((key, text),)
        return labels

    def _exemplars(self, span: Span) -> Callable[[float], Exemplar | None]:
        if not self._config.exemplars:
            return lambda _value: None
        return lambda value: Exemplar(
            time_ns=span.end_ns, value=value, trace_id=span.trace_id, span_id=span.span_id
        )


FACTORY: Final = ConnectorFactory(
    "genai_metrics",
    GenaiMetricsConfig,
    GenaiMetrics,
    frozenset({Route(Signal.TRACES, Signal.METRICS)}),
)
