"""What every exporter gets: bounded queue, batching, retry, timeout, isolation and the books.

config.py           the keys that users know
queued_exporter.py  QueuedExporter: the whole, as a pipeline sees it
outbox.py           Outbox: from what receivers and connectors keep into the pipelines
reading.py          read_all: what an earlier life of these left in a storage
queue.py            DeliveryQueue, MemoryQueue
durable_queue.py    DurableQueue: over the records of a storage
dead_letters.py     DeadLetters: what is refused for good, kept
batching.py         merge and split between queue and request
stack.py            Delivery, Send, Layer; the innermost layer, which counts
isolate.py  retry.py                   the other layers
timeout.py          the deadline of one attempt
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
from genai_collector.delivery.dead_letters import DeadLetters
from genai_collector.delivery.durable_queue import DurableQueue
from genai_collector.delivery.ledger import DeliveryReport
from genai_collector.delivery.outbox import Outbox
from genai_collector.delivery.queue import DeliveryQueue, MemoryQueue, Queued
from genai_collector.delivery.queued_exporter import QueuedExporter
from genai_collector.delivery.quiet_log import QuietLog

__all__ = [
    "BatchConfig",
    "DeadLetters",
    "DeliveryConfig",
    "DeliveryQueue",
    "DeliveryReport",
    "DurableQueue",
    "MemoryQueue",
    "Outbox",
    "QueueConfig",
    "Queued",
    "QueuedExporter",
    "QuietLog",
    "RetryConfig",
    "SizeWithUnit",
]
