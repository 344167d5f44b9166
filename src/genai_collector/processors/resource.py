"""resource: insert, change and delete attributes of resources.

    processors:
      resource:
        attributes:
          - {key: deployment.environment.name, action: upsert, value: production}

Once per distinct resource, not per item. Resources are shared and treated as frozen: a changed one
is a new one, set on the items that had the old one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from genai_collector.component import Config, Context, ProcessorFactory
from genai_collector.model import Batch, LogRecord, Metric, Resource, Signal, Span
from genai_collector.processors._actions import ActionConfig, compile_actions


class ResourceConfig(Config):
    """Which attributes of resources to change."""

    attributes: Annotated[list[ActionConfig], Field(min_length=1)]
    """What to do, in this order."""


class EditResource:
    def __init__(self, config: ResourceConfig, context: Context) -> None:
        self._edit = compile_actions(config.attributes)

    def process(self, batch: Batch, /) -> Batch:
        old = {id(item.resource): item.resource for item in _view(batch)}
        new = {key: self._edited(resource) for key, resource in old.items()}
        if all(new[key] is old[key] for key in old):
            return batch  # stays the bytes it is
        for item in _own(batch):
            item.resource = new[id(item.resource)]
        return batch

    def _edited(self, resource: Resource) -> Resource:
        attributes = dict(resource.attributes)
        return resource.replace_attributes(attributes) if self._edit(attributes) else resource


def _view(batch: Batch) -> list[Span] | list[LogRecord] | list[Metric]:
    if batch.signal is Signal.TRACES:
        return batch.view_spans()
    return batch.view_logs() if batch.signal is Signal.LOGS else batch.view_metrics()


def _own(batch: Batch) -> list[Span] | list[LogRecord] | list[Metric]:
    if batch.signal is Signal.TRACES:
        return batch.spans
    return batch.logs if batch.signal is Signal.LOGS else batch.metrics


FACTORY = ProcessorFactory("resource", ResourceConfig, EditResource)
