"""batch: accepted for compatibility, does nothing."""

from __future__ import annotations

from genai_collector.processors.batch import FACTORY, BatchConfig
from tests.processors.items import span, spans
from tests.support.fakes import make_context


def test_passes_through() -> None:
    """otelcol's keys load; the batch comes out as the object and the bytes that went in."""
    config = BatchConfig.model_validate(
        {"send_batch_size": 10, "timeout": "5s", "send_batch_max_size": 20, "metadata_keys": ["x"]}
    )
    batch = spans(span())
    assert FACTORY.create(config, make_context("batch")).process(batch) is batch
    assert batch.is_encoded
    assert not batch.is_decoded
