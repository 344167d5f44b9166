"""batch: accepted so that configurations written for otelcol load; passes everything through.

Batching belongs behind the queue, where a batch can still be refused, retried and counted:
`sending_queue.batch` of each exporter. A batch processor in the pipeline would have to acknowledge
data before any exporter has room for it. The keys are otelcol's and have no effect here.

    processors:
      batch:
        send_batch_size: 8192
        timeout: 200ms
"""

from __future__ import annotations

from genai_collector.component import Config, Context, Duration, ProcessorFactory
from genai_collector.model import Batch


class BatchConfig(Config):
    """otelcol's keys; none has an effect."""

    send_batch_size: int = 8192
    """No effect: see `sending_queue.batch.min_size` of the exporters."""
    timeout: Duration = 0.2
    """No effect: see `sending_queue.batch.flush_timeout` of the exporters."""
    send_batch_max_size: int = 0
    """No effect: see `sending_queue.batch.max_size` of the exporters."""
    metadata_keys: list[str] | None = None
    """No effect."""
    metadata_cardinality_limit: int = 1000
    """No effect."""


class PassThrough:
    def __init__(self, config: BatchConfig, context: Context) -> None:
        context.log.info(
            "The batch processor passes data through; exporters batch for themselves",
            extra={"see": "sending_queue.batch"},
        )

    def process(self, batch: Batch, /) -> Batch:
        return batch


FACTORY = ProcessorFactory("batch", BatchConfig, PassThrough)
