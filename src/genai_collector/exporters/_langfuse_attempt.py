"""What became of each item of a batch, while its events are on their way to Langfuse.

Langfuse answers per event; delivery counts items (spans, log records, data points). An item is
sent when all of its events were taken, tried again when one of them may be taken later, and
dropped when one was refused for good. Only whole spans, records and metrics are tried again.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from genai_collector.component import LEFT_OUT, Sent
from genai_collector.errors import Partial, PipelineError, Refused, Retryable
from genai_collector.formats.langfuse import EncodedEvent
from genai_collector.model import Batch, Items, LogRecord, Metric, Signal, Span

EVENTS_ONLY: Final = "langfuse_events_only"
_EVENTS_ONLY_WORDS: Final = "event type not accepted"
_EVENTS_ONLY_HELP: Final = (
    "this Langfuse server takes traces over OTLP only (v4, events_only): set `mode: otlp`"
)
_MAX_MESSAGE: Final = 200


class EventError(NamedTuple):
    """Why the server did not take an event."""

    status: int
    message: str

    @property
    def is_retryable(self) -> bool:
        return self.status == 429 or self.status >= 500

    @property
    def reason(self) -> str:
        if self.message.lower() == _EVENTS_ONLY_WORDS:
            return EVENTS_ONLY
        return f"langfuse_{self.status}" if 400 <= self.status < 500 else "langfuse_error"


def read_answer(body: bytes) -> dict[str, EventError] | None:
    """Event id -> error, from the body of a 207; None if it is no answer of Langfuse's."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if not isinstance(errors, list) or not isinstance(answer.get("successes"), list):
        return None
    found: dict[str, EventError] = {}
    for error in errors:
        if isinstance(error, dict) and isinstance(error.get("id"), str):
            status, message = error.get("status"), error.get("message")
            found[error["id"]] = EventError(
                status if isinstance(status, int) else 500,
                " ".join(message.split())[:_MAX_MESSAGE] if isinstance(message, str) else "",
            )
    return found


class Recent:
    """What was added lately. Bounded; the oldest is forgotten first, unless it is added again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def add(self, key: Hashable) -> None:
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


class Attempt:
    """The state of one export. Starts with every item unsent."""

    def __init__(self, batch: Batch, events: Sequence[EncodedEvent]) -> None:
        self._batch = batch
        self._missing = Counter(encoded.span_index for encoded in events)
        """Item -> events that are still to be taken."""
        self._reasons: dict[int | None, str] = {}
        self._refusals: dict[int | None, str] = {}
        """Item -> what was said when it was refused, for those that a dead letter can keep."""
        self._message = ""
        self.has_answers = False

    def drop_unexpressed(self, reason: str) -> None:
        """Items that gave no event are dropped."""
        if len(self._missing) < self._batch.count:
            for index in range(self._batch.count):
                if index not in self._missing:
                    self._reasons[index] = reason
                    if reason not in LEFT_OUT:
                        self._refusals[index] = "it has no form in Langfuse"
            self.remark("some items have no form in Langfuse")

    def drop(self, encoded: EncodedEvent, reason: str, message: str) -> None:
        """The event cannot be sent; its item counts as dropped."""
        self._reasons.setdefault(encoded.span_index, reason)
        self._refusals.setdefault(encoded.span_index, message)
        self._missing[encoded.span_index] -= 1
        self.remark(message)

    def remark(self, message: str) -> None:
        """Say this of the export, unless something worse was said."""
        self._message = self._message or message

    def answered(self, part: Sequence[EncodedEvent], errors: Mapping[str, EventError]) -> None:
        """The server's verdict on these events; what it does not name it has taken."""
        self.has_answers = True
        for encoded in part:
            error = errors.get(str(encoded.event["id"])) if errors else None
            if error is None:
                self._missing[encoded.span_index] -= 1
            elif error.is_retryable:
                self._message = f"Langfuse answered {error.status} for an event: {error.message}"
            else:
                self._missing[encoded.span_index] -= 1
                self._reasons.setdefault(encoded.span_index, error.reason)
                is_v4 = error.reason == EVENTS_ONLY
                self._message = _EVENTS_ONLY_HELP if is_v4 else f"{error.status}: {error.message}"
                self._refusals.setdefault(encoded.span_index, self._message)

    def interrupted(self, cause: PipelineError) -> PipelineError:
        """What to raise when a request failed: its own error if nothing was settled before."""
        if not self.has_answers:
            return cause
        wait = cause.retry_after if isinstance(cause, Retryable) else None
        return self._partial(str(cause), wait)

    def result(self) -> Sent:
        """How it ended. Raises Partial if some items are to be tried again."""
        if any(self._missing.values()):
            raise self._partial(self._message, None)
        dropped = Counter(self._reasons.values())
        sent = self._batch.count - dropped.total()
        return Sent(sent, dropped, self._message, self._refused())

    def _refused(self) -> list[Refused]:
        """What was refused and is not to be tried again, a batch for each reason."""
        if not self._refusals:
            return []
        items: dict[str, list[Span | LogRecord | Metric]] = {}
        said: dict[str, str] = {}
        for item, indexes in _units(self._batch):
            at = next((index for index in indexes if index in self._refusals), None)
            if at is None or any(self._missing.get(index) for index in indexes):
                continue
            reason = self._reasons[at]
            items.setdefault(reason, []).append(item)
            said.setdefault(reason, self._refusals[at])
        return [
            Refused(self._batch.with_items(cast("Items", found)), reason, said[reason])
            for reason, found in items.items()
        ]

    def _partial(self, message: str, retry_after: float | None) -> Partial:
        remaining: list[Span | LogRecord | Metric] = []
        dropped: Counter[str] = Counter()
        sent = 0
        for item, indexes in _units(self._batch):
            if any(self._missing.get(index) for index in indexes):
                remaining.append(item)
                continue
            for index in indexes:
                reason = self._reasons.get(index)
                if reason is None:
                    sent += 1
                else:
                    dropped[reason] += 1
        left: Items = remaining  # type: ignore[assignment]  # all of the batch's own kind
        return Partial(
            message or "some events are to be tried again",
            remaining=self._batch.with_items(left),
            sent=sent,
            dropped=dropped,
            refused=self._refused(),
            retry_after=retry_after,
        )


def _units(batch: Batch) -> Iterator[tuple[Span | LogRecord | Metric, Sequence[int]]]:
    """What can be tried again by itself, with the items it counts as."""
    if batch.signal is not Signal.METRICS:
        items: Sequence[Span | LogRecord] = (
            batch.view_spans() if batch.signal is Signal.TRACES else batch.view_logs()
        )
        for index, item in enumerate(items):
            yield item, (index,)
        return
    at = 0
    for metric in batch.view_metrics():
        count = len(metric.points)
        yield metric, range(at, at + count)
        at += count
