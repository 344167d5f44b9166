"""What every exporter gets: bounded queue, batching, retry, timeout, isolation and the books.

config.py           the keys that users know
queued_exporter.py  QueuedExporter: the whole, as a pipeline sees it
queue.py            DeliveryQueue (the seam for a durable one), MemoryQueue
batching.py         merge and split between queue and request
stack.py            Delivery, Send, Layer; the innermost layer, which counts
isolate.py  retry.py  timeout.py       the other layers
ledger.py           accepted == sent + dropped{reason} + left
http_errors.py  grpc_errors.py         status -> Permanent | Retryable, the one table each
rate.py  quiet_log.py                  when to come back; a log that cannot be flooded
"""

from genai_collector.delivery.config import (
    BatchConfig,
    DeliveryConfig,
    QueueConfig,
    RetryConfig,
    SizeWithUnit,
)
from genai_collector.delivery.ledger import DeliveryReport
from genai_collector.delivery.queue import DeliveryQueue, MemoryQueue, Queued
from genai_collector.delivery.queued_exporter import QueuedExporter
from genai_collector.delivery.quiet_log import QuietLog

__all__ = [
    "BatchConfig",
    "DeliveryConfig",
    "DeliveryQueue",
    "DeliveryReport",
    "MemoryQueue",
    "QueueConfig",
    "Queued",
    "QueuedExporter",
    "QuietLog",
    "RetryConfig",
    "SizeWithUnit",
]
