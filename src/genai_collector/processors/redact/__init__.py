"""redact: secrets and personal data out of everything that flows, by one policy.

    processors:
      redact:
        action: mask
        detectors: {email: hash, ipv4: "on", phone: "off"}
        keys: {names: ["*.user_password", ssn]}
        custom:
          - {name: employee, pattern: 'EMP-[0-9]{6}'}
        allow: {patterns: ['.*@example\\.com']}
        hash_key: ${env:REDACT_KEY}

What is searched, how, and what is not found is in docs/redaction.md. Put it behind `normalize` and
in front of `truncate`. Deterministic; doing it twice is doing it once. A batch in which nothing is
found stays the bytes it came in, and is mostly not even decoded.
"""

from __future__ import annotations

from typing import Final

from genai_collector.component import Context, ProcessorFactory
from genai_collector.model import Batch
from genai_collector.processors._batches import give_up_bytes
from genai_collector.processors.redact.config import RedactConfig
from genai_collector.processors.redact.items import Items
from genai_collector.processors.redact.rules import Rules
from genai_collector.processors.redact.texts import Texts
from genai_collector.processors.redact.values import Values

__all__ = ["FACTORY", "Redact", "RedactConfig"]


class Redact:
    def __init__(self, config: RedactConfig, context: Context) -> None:
        self._id = context.id
        self._telemetry = context.telemetry
        self._rules = Rules(config)
        self._texts = Texts(self._rules, fail_closed=config.fail_closed)
        self._values = Values(self._texts)

    def process(self, batch: Batch, /) -> Batch:
        """Changes items in place. A secret is counted each time a batch comes by with it, also when
        the batch is refused behind this processor and comes again."""
        rules = self._rules
        may_hold = None if rules.looks_everywhere else rules.may_be_held
        if may_hold is not None and batch.is_encoded and not may_hold(batch.encoded()):
            return batch
        self._texts.begin_batch()
        items = Items(self._values, may_hold)
        items.change(batch)
        if items.changed:
            give_up_bytes(batch)
        for rule, count in self._texts.taken_counts().items():
            self._telemetry.redacted(self._id, batch.signal, rule, count)
        return batch


FACTORY: Final = ProcessorFactory("redact", RedactConfig, Redact)
