"""What processors do with batches."""

from __future__ import annotations

from genai_collector.model import Batch, Signal


def give_up_bytes(batch: Batch) -> None:
    """Say that the items were changed in place; they stay the same objects."""
    if batch.signal is Signal.TRACES:
        _ = batch.spans
    elif batch.signal is Signal.LOGS:
        _ = batch.logs
    else:
        _ = batch.metrics
