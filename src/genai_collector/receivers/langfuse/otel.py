"""Langfuse's OTLP routes: what current SDKs send goes through as the `otlp` receiver takes it.

The bytes stay as they came unless projects are configured: then the project is written onto the
resources, which has to decode them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from genai_collector.component import Acceptance, Consumer, Context
from genai_collector.formats.langfuse.span_attributes import PROJECT
from genai_collector.model import Batch, Metric, Resource, Signal, Span
from genai_collector.receivers.langfuse.config import LangfuseConfig
from genai_collector.receivers.otlp.config import OtlpHttpConfig
from genai_collector.receivers.otlp.http import OtlpHttpHandler
from genai_collector.receivers.otlp.ingest import Ingest


class OfProject:
    """A consumer that first says on every resource which project sent it."""

    def __init__(self, consumer: Consumer, project: str) -> None:
        self._consumer = consumer
        self._project = project

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return self._consumer.admit(size_bytes)

    async def consume(self, batch: Batch, /) -> Acceptance:
        items: list[Span] | list[Metric] = (
            batch.spans if batch.signal is Signal.TRACES else batch.metrics
        )
        marked: dict[int, Resource] = {}
        for item in items:
            _mark(item, self._project, marked)
        return await self._consumer.consume(batch)


def _mark(item: Span | Metric, project: str, marked: dict[int, Resource]) -> None:
    known = item.resource
    if id(known) not in marked:
        marked[id(known)] = known.replace_attributes({**known.attributes, PROJECT: project})
    item.resource = marked[id(known)]


def otlp_handler(
    config: LangfuseConfig, signal: Signal, consumer: Consumer, context: Context, project: str
) -> OtlpHttpHandler:
    """Answers POST with OTLP of this signal for this project."""
    limit = config.max_request_body_size
    http = OtlpHttpConfig(max_request_body_size=limit, read_timeout=config.read_timeout)
    target = OfProject(consumer, project) if project else consumer
    ingest = Ingest(signal, target, context, "http", limit, config.max_request_values)
    return OtlpHttpHandler(http, ingest)
