"""What a destination refuses for good is kept, where there is a place for it; counted as ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from genai_collector.component import NO_FORM, Sent
from genai_collector.delivery import DeliveryConfig, QueuedExporter
from genai_collector.delivery.dead_letters import (
    MAX_MESSAGE,
    DeadLetters,
    Letter,
    Refusal,
    open_letter,
    read_letter,
)
from genai_collector.errors import DecodeError, Partial, Permanent, Refused, Retryable
from genai_collector.model import Batch, Signal
from tests.support.builders import batch
from tests.support.fakes import Lifetime, make_context, run_virtual
from tests.support.records import MemoryRecords

Export = Callable[[Batch], Sent]


class Destination(Lifetime):
    """Answers with what `export` makes of each batch."""

    def __init__(self, export: Export) -> None:
        super().__init__()
        self._export = export
        self.seen: list[int] = []

    async def export(self, given: Batch, /) -> Sent:
        self.seen.append(given.count)
        return self._export(given)


class Ended:
    """How it ended for six spans."""

    def __init__(self, letters: list[Letter], sent: int, dropped: Mapping[str, int]) -> None:
        self.letters, self.sent, self.dropped = letters, sent, dropped


def deliver(export: Export, records: MemoryRecords, **config: object) -> Ended:
    """Six spans through a queue to this destination, until all is settled."""

    async def scenario() -> Ended:
        settings = DeliveryConfig.model_validate(config)
        context = make_context("otlp_http/a")
        letters = DeadLetters(records, Signal.TRACES, context)
        queue = QueuedExporter(
            "otlp_http/a",
            Signal.TRACES,
            Destination(export),
            settings,
            context,
            dead_letters=letters,
        )
        async with queue:
            six = batch(6)
            queue.reserve(six.size_bytes)
            await queue.put(six, six.size_bytes)
            await queue.drain(context.clock() + 60)
        report = queue.report()
        assert report.accepted == report.sent + sum(report.dropped.values()) + report.left
        found = [read_letter(one) for one in await records.read()]
        assert report.dead_letters == sum(letter.refusal.items for letter in found)
        return Ended(found, report.sent, report.dropped)

    return run_virtual(scenario())


def _refuse(given: Batch) -> Sent:
    raise Permanent("wrong key", reason="unauthorized")


def _poison_in(given: Batch) -> bool:
    return any(span.span_id == batch(6).view_spans()[3].span_id for span in given.view_spans())


def _poison(given: Batch) -> Sent:
    if _poison_in(given):
        raise Permanent("indigestible", reason="bad_data", data_fault=True)
    return Sent(given.count)


def _says_which(given: Batch) -> Sent:
    lost = given.with_items(given.view_spans()[:2])
    return Sent(given.count - 2, {"langfuse_400": 2}, "bad", [Refused(lost, "langfuse_400", "bad")])


def _says_how_many(given: Batch) -> Sent:
    return Sent(given.count - 2, {"partial_success": 2}, "two were bad")


def _no_form(given: Batch) -> Sent:
    return Sent(given.count - 2, {NO_FORM: 2})


def _part_by_part(given: Batch) -> Sent:
    if given.count == 6:
        spans = given.view_spans()
        raise Partial(
            "busy",
            remaining=given.with_items(spans[3:]),
            sent=2,
            dropped={"too_large": 1},
            refused=[Refused(given.with_items(spans[2:3]), "too_large", "too large")],
        )
    return Sent(given.count)


TABLE: list[tuple[Export, list[tuple[str, int, int]], int]] = [
    (_refuse, [("unauthorized", 6, 6)], 0),
    (_poison, [("bad_data", 1, 1)], 5),
    (_says_which, [("langfuse_400", 2, 2)], 4),
    (_says_how_many, [("partial_success", 6, 2)], 4),
    (_no_form, [], 4),
    (_part_by_part, [("too_large", 1, 1)], 5),
]


@pytest.mark.parametrize(("export", "letters", "sent"), TABLE)
def test_what_is_kept(export: Export, letters: list[tuple[str, int, int]], sent: int) -> None:
    """Letters hold exactly what was refused, or the request where nobody knows which of it was;
    counted are the refused items, and what was left out on purpose leaves no letter."""
    ended = deliver(export, MemoryRecords())
    kept = [(one.refusal.reason, one.items, one.refusal.items) for one in ended.letters]
    assert kept == letters
    assert ended.sent == sent
    assert sum(ended.dropped.values()) == 6 - sent


def test_what_is_written_on_it() -> None:
    """Who, why, when, how often; the message is bounded."""
    long = "x" * 5000

    def export(given: Batch) -> Sent:
        raise Permanent(long, reason="r")

    (letter,) = deliver(export, MemoryRecords()).letters
    assert (letter.exporter, letter.signal) == ("otlp_http/a", Signal.TRACES)
    assert letter.refusal == Refusal("r", long[:MAX_MESSAGE], 1, 6)
    assert letter.time_unix_nano > 0


def test_what_is_in_it() -> None:
    """The refused spans, as they were."""
    records = MemoryRecords()
    deliver(_poison, records)
    (stored,) = records.stored.values()
    (span,) = open_letter(stored, Signal.TRACES).view_spans()
    assert span.span_id == batch(6).view_spans()[3].span_id
    assert span.attributes == batch(6).view_spans()[3].attributes


def test_retries_that_end_leave_a_letter() -> None:
    """With a limit on retrying, what it gives up is kept, with the number of attempts."""

    def export(given: Batch) -> Sent:
        raise Retryable("away")

    retry = {"max_elapsed_time": "5s", "initial_interval": "1s"}
    ended = deliver(export, MemoryRecords(), retry_on_failure=retry)
    (letter,) = ended.letters
    assert letter.refusal.reason in {"retries_exhausted", "shutdown"}
    assert letter.refusal.attempts > 1


def test_a_full_store_loses_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    """Without room the loss is the same as without letters, and the log says what to do."""
    records = MemoryRecords()
    records.full = True
    ended = deliver(_refuse, records)
    assert (ended.letters, ended.dropped) == ([], {"unauthorized": 6})
    assert "replay or purge" in caplog.text


@pytest.mark.parametrize("meta", [b"", b"{}", b"[]", b'{"exporter":"a"}', b"\xff"])
def test_what_is_no_letter_is_told(meta: bytes) -> None:
    """A record that somebody else wrote is named, and nothing more is made of it."""
    records = MemoryRecords()

    async def scenario() -> None:
        await records.append(b"", meta=meta)
        (stored,) = await records.read()
        with pytest.raises(DecodeError, match="record 1 is no dead letter"):
            read_letter(stored)

    run_virtual(scenario())


def test_where_they_are_kept() -> None:
    """With a durable queue, beside it; otherwise where it is said; or nowhere."""
    assert DeliveryConfig().dead_letters_storage is None
    durable = {"sending_queue": {"storage": "file_storage"}}
    assert DeliveryConfig.model_validate(durable).dead_letters_storage == "file_storage"
    elsewhere = {**durable, "dead_letters": {"storage": "file_storage/dlq"}}
    assert DeliveryConfig.model_validate(elsewhere).dead_letters_storage == "file_storage/dlq"
    off = {**durable, "dead_letters": {"enabled": False}}
    assert DeliveryConfig.model_validate(off).dead_letters_storage is None
