"""Dead letters: what a destination refused for good, kept instead of lost.

A letter is a batch of refused items, as OTLP protobuf, with who refused it, why, when and after how
many attempts. It is counted as dropped like any other loss (it is not delivered), but it can be
looked at and sent again (`genai-collector dlq`). Refusals on purpose (`LEFT_OUT`) leave no letter.

Where the destination does not say which items of a request it refused (OTLP's partial success), the
whole request is kept, with the number: sending it again sends the accepted ones again too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from genai_collector.component import Context, Records, Stored
from genai_collector.errors import DecodeError, PipelineError
from genai_collector.formats.otlp import batch_from_protobuf
from genai_collector.model import Batch, Signal

RECORDS: Final = "dead_letters"
MAX_MESSAGE: Final = 500


def records_name(signal: Signal) -> str:
    """Under which an exporter keeps the letters of a signal."""
    return f"{RECORDS}.{signal}"


class Refusal(NamedTuple):
    """Why a batch is dead."""

    reason: str
    """The label it is counted under."""
    message: str
    attempts: int
    """Requests that it was part of."""
    items: int
    """How many of the batch's items were refused; fewer than it has where nobody knows which."""


class Letter(NamedTuple):
    """What is written on a dead letter."""

    id: int
    exporter: str
    signal: Signal
    refusal: Refusal
    time_unix_nano: int
    items: int
    """In the batch."""
    size: int
    """Bytes of the batch as OTLP protobuf."""


class DeadLetters:
    """The store of one exporter and signal."""

    def __init__(self, records: Records, signal: Signal, context: Context) -> None:
        self.records = records
        self._signal = signal
        self._context = context

    async def bury(self, batch: Batch, refusal: Refusal) -> bool:
        """Keep a batch; False if there is no room for it, or no way to write it."""
        meta = {
            "exporter": self._context.id,
            "signal": self._signal.value,
            "time_unix_nano": self._context.wall_clock_ns(),
            **refusal._replace(message=refusal.message[:MAX_MESSAGE])._asdict(),
        }
        try:
            written = json.dumps(meta).encode()
            await self.records.append(batch.encoded(), meta=written, items=batch.count)
        except PipelineError:
            return False
        except Exception:  # a batch that cannot be encoded: that may be what was wrong with it
            return False
        return True


def read_letter(stored: Stored) -> Letter:
    """What is written on it. Raises DecodeError for what is none."""
    try:
        meta: Mapping[str, object] = json.loads(stored.meta)
        return Letter(
            id=stored.id,
            exporter=str(meta["exporter"]),
            signal=Signal(str(meta["signal"])),
            refusal=Refusal(
                str(meta["reason"]),
                str(meta["message"]),
                int(str(meta["attempts"])),
                int(str(meta["items"])),
            ),
            time_unix_nano=int(str(meta["time_unix_nano"])),
            items=stored.items,
            size=len(stored.data),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise DecodeError(f"record {stored.id} is no dead letter") from exc


def open_letter(stored: Stored, signal: Signal) -> Batch:
    """What is in it. Raises DecodeError."""
    return batch_from_protobuf(signal, stored.data)
