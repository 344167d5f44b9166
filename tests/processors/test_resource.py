"""resource: the same actions, once per resource."""

from __future__ import annotations

from typing import Any

from genai_collector.formats.otlp import batch_of
from genai_collector.model import Batch, EntityRef, Resource, Signal, Span
from genai_collector.processors.resource import FACTORY, ResourceConfig
from tests.processors.items import logs, metric, metrics, record, span, spans
from tests.support.fakes import make_context

UPSERT: dict[str, Any] = {"action": "upsert", "key": "env", "value": "prod"}


def _run(batch: Batch, *actions: dict[str, Any]) -> Batch:
    config = ResourceConfig.model_validate({"attributes": list(actions)})
    return FACTORY.create(config, make_context("resource")).process(batch)


def test_every_signal() -> None:
    """Spans, log records and metrics get the changed resource, also on the wire."""
    want = {"service.name": "shop", "env": "prod"}
    assert _run(spans(span()), UPSERT).clone().view_spans()[0].resource.attributes == want
    assert _run(logs(record()), UPSERT).clone().view_logs()[0].resource.attributes == want
    assert _run(metrics(metric("m", {})), UPSERT).view_metrics()[0].resource.attributes == want


def test_resources_are_replaced_and_still_shared() -> None:
    """The old resource is untouched; items that shared one share the new one, with its schema."""
    old = Resource({"a": 1}, 3, [EntityRef("service", ["a"], [])], "schema")
    other = Resource({"b": 1})
    items = [Span(resource=old), Span(resource=other), Span(resource=old)]
    changed = _run(batch_of(Signal.TRACES, items), UPSERT).view_spans()
    assert old.attributes == {"a": 1}
    assert changed[0].resource is changed[2].resource is not changed[1].resource
    new = changed[0].resource
    assert (new.dropped_attributes_count, new.schema_url) == (3, "schema")
    assert new.entity_refs == old.entity_refs
    assert new.attributes == {"a": 1, "env": "prod"}


def test_untouched_resources_stay() -> None:
    """When no action applies, the batch stays the bytes it is; one that changes leaves others."""
    only_update = {"action": "update", "key": "absent", "value": 1}
    assert _run(spans(span()), only_update).is_encoded
    first, second = Resource({"a": 1}), Resource({"b": 1})
    batch = batch_of(Signal.TRACES, [Span(resource=first), Span(resource=second)])
    changed = _run(batch, {"action": "delete", "key": "a"}).view_spans()
    assert changed[0].resource.attributes == {}
    assert changed[1].resource is second
