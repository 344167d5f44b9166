"""Queue, batching, isolation, log and rate, each by itself."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import NoTelemetry
from genai_collector.delivery.batching import Batching, pieces, split
from genai_collector.delivery.config import BatchConfig, RetryConfig
from genai_collector.delivery.isolate import with_isolation
from genai_collector.delivery.ledger import Account, Ledger
from genai_collector.delivery.queue import MemoryQueue, Queued
from genai_collector.delivery.quiet_log import QuietLog
from genai_collector.delivery.rate import DrainRate
from genai_collector.delivery.retry import bounds
from genai_collector.delivery.stack import Delivery
from genai_collector.errors import DecodeError, Permanent
from genai_collector.model import Batch, Compressed, Items, Signal
from tests.support.fakes import FakeClock, LineCodec, line_batch, loop_time, names_of, run_virtual


def batching(min_size: int, max_size: int = 0, flush: float = 0.2) -> BatchConfig:
    return BatchConfig.model_validate(
        {"min_size": f"{min_size}B", "max_size": f"{max_size}B", "flush_timeout": f"{flush}s"}
    )


async def fill(queue: MemoryQueue, *sizes: int) -> None:
    for number, size in enumerate(sizes):
        queue.reserve(1)
        await queue.put(line_batch([str(number) * (size - 1)]), 1)


def sizes(taken: list[Queued] | None) -> list[int]:
    return [queued.batch.size_bytes for queued in taken or ()]


# ---- batching ------------------------------------------------------------------------------


def test_small_batches_are_collected_until_there_is_enough() -> None:
    """At min_size it goes at once, without waiting for the timeout."""

    async def scenario() -> None:
        queue = MemoryQueue(1000)
        collector = Batching(queue, batching(100))
        await fill(queue, 40, 40, 40, 40)
        assert sizes(await collector.next()) == [40, 40, 40]
        assert loop_time() < 0.001

    run_virtual(scenario())


def test_what_is_too_little_goes_after_the_timeout() -> None:
    """A lone small batch waits flush_timeout for company, no longer."""

    async def scenario() -> None:
        queue = MemoryQueue(1000)
        collector = Batching(queue, batching(100, flush=0.2))
        await fill(queue, 40)
        assert sizes(await collector.next()) == [40]
        assert loop_time() == pytest.approx(0.2, abs=0.01)

    run_virtual(scenario())


def test_closing_ends_the_wait() -> None:
    """At shutdown nobody waits for company; closed and empty is the end."""

    async def scenario() -> None:
        queue = MemoryQueue(1000)
        collector = Batching(queue, batching(100, flush=50))
        await fill(queue, 40)
        asyncio.get_running_loop().call_later(1, queue.close)
        assert sizes(await collector.next()) == [40]
        assert loop_time() == pytest.approx(1, abs=0.01)
        assert await collector.next() is None

    run_virtual(scenario())


def test_a_large_batch_is_never_merged() -> None:
    """One that alone has min_size goes alone, so that its compressed form can be passed on."""

    async def scenario() -> None:
        queue = MemoryQueue(1000)
        collector = Batching(queue, batching(100))
        await fill(queue, 100, 40, 120, 40)
        assert sizes(await collector.next()) == [100]
        assert sizes(await collector.next()) == [40]
        assert sizes(await collector.next()) == [120]

    run_virtual(scenario())


def test_merging_stays_below_the_maximum() -> None:
    """What would make the request too large starts the next one."""

    async def scenario() -> None:
        queue = MemoryQueue(1000)
        collector = Batching(queue, batching(100, 100))
        await fill(queue, 60, 60, 30)
        assert sizes(await collector.next()) == [60]
        assert sizes(await collector.next()) == [60, 30]

    run_virtual(scenario())


def test_a_single_batch_is_sent_as_the_object_it_is() -> None:
    """Nothing to merge and nothing to split: compressed bytes survive."""
    batch = line_batch(["a"])
    batch.compressed = Compressed("gzip", b"...")
    assert pieces([batch], BatchConfig()) == [batch]
    assert pieces([batch], None) == [batch]


def test_a_batch_that_cannot_be_read_does_not_cost_the_others() -> None:
    """If merging fails, each batch goes by itself and the exporter finds the bad one."""

    class Broken(LineCodec):
        def decode(self, signal: Signal, data: bytes, /) -> Items:
            raise DecodeError("no")

    good = line_batch(["a"]).with_items(line_batch(["a"]).view_spans())
    bad = Batch(Signal.TRACES, Broken(), encoded=b"x", count=1)
    assert pieces([good, bad], BatchConfig()) == [good, bad]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_splitting_keeps_everything_and_the_limit(lengths: list[int], limit: int) -> None:
    """All items, in order; no piece over the limit, but for a single item that is too long."""
    names = [f"{n:02}" + "x" * length for n, length in enumerate(lengths)]
    parts = split(line_batch(names), limit)
    assert [name for part in parts for name in names_of(part)] == names
    assert all(part.count == 1 or len(part.encoded()) <= limit for part in parts)


# ---- isolation -----------------------------------------------------------------------------


def isolate(count: int, poisoned: set[int], reason: str = "bad_request") -> tuple[int, int, int]:
    """Requests made, items lost and items sent, when these of `count` items are poisoned."""
    sends = 0
    account = Account(Ledger("x", Signal.TRACES, NoTelemetry()), count)
    lost: list[str] = []
    sent: list[str] = []

    async def send(delivery: Delivery) -> None:
        nonlocal sends
        sends += 1
        names = names_of(delivery.batch)
        if poisoned.intersection(map(int, names)):
            raise Permanent("bad", reason=reason, data_fault=True)
        sent.extend(names)

    async def give_up(delivery: Delivery, _error: Exception) -> None:
        lost.extend(names_of(delivery.batch))

    async def scenario() -> None:
        delivery = Delivery(line_batch(str(n) for n in range(count)), account)
        try:
            await with_isolation(give_up)(send)(delivery)
        except Permanent as exc:
            await give_up(delivery, exc)

    run_virtual(scenario())
    assert len(sent) + len(lost) == count
    assert len(set(sent + lost)) == count
    return sends, len(lost), len(sent)


@given(st.integers(1, 300), st.data())
@settings(max_examples=100, deadline=None)
def test_isolation_finds_single_poisoned_items(count: int, data: st.DataObject) -> None:
    """One bad item costs itself and about 2 log2(n) requests, wherever it is."""
    bad = data.draw(st.integers(0, count - 1))
    sends, lost, _ = isolate(count, {bad})
    assert lost == 1
    assert sends <= 1 + 2 * count.bit_length()


@pytest.mark.parametrize(
    ("count", "poisoned", "reason", "sends_at_most", "lost"),
    [
        (1, {0}, "bad_request", 1, 1),
        (8000, set(range(8000)), "bad_request", 15, 8000),
        (64, set(range(64)), "too_large", 127, 64),
        (64, {3, 40}, "bad_request", 30, 2),
    ],
    ids=["one-item", "all-bad-is-hopeless", "too-large-is-halved-to-the-end", "two-bad"],
)
def test_isolation_is_bounded(
    count: int, poisoned: set[int], reason: str, sends_at_most: int, lost: int
) -> None:
    """A destination that refuses everything gets 15 requests for a batch, not twice its items."""
    sends, really_lost, _ = isolate(count, poisoned, reason)
    assert sends <= sends_at_most
    assert really_lost == lost


def test_isolation_ends_when_its_halvings_are_used_up() -> None:
    """Every second item bad: 64 halvings, then what is still suspect is lost, the rest sent."""
    sends, lost, sent = isolate(4096, set(range(0, 4096, 2)))
    assert sends <= 1 + 2 * 64
    assert lost + sent == 4096


def test_a_bug_in_one_half_does_not_cost_the_other() -> None:
    """While a poisoned item is searched for, whatever else fails costs its own part only."""
    lost: list[tuple[list[str], str]] = []

    async def send(delivery: Delivery) -> None:
        names = names_of(delivery.batch)
        if len(names) == 4:
            raise Permanent("bad", reason="bad_request", data_fault=True)
        if "a" in names:
            raise ZeroDivisionError
        if "d" in names:
            raise Permanent("no", reason="unauthorized")

    async def give_up(delivery: Delivery, error: Exception) -> None:
        lost.append((names_of(delivery.batch), type(error).__name__))

    async def scenario() -> None:
        account = Account(Ledger("x", Signal.TRACES, NoTelemetry()), 4)
        await with_isolation(give_up)(send)(Delivery(line_batch("abcd"), account))

    run_virtual(scenario())
    assert lost == [(["a", "b"], "ZeroDivisionError"), (["c", "d"], "Permanent")]


def test_a_wrong_key_is_not_halved() -> None:
    """What is no fault of the data is raised at once."""

    async def send(_delivery: Delivery) -> None:
        raise Permanent("no", reason="unauthorized")

    async def give_up(_delivery: Delivery, _error: Exception) -> None:
        raise AssertionError("nobody asked")

    async def scenario() -> None:
        account = Account(Ledger("x", Signal.TRACES, NoTelemetry()), 2)
        with pytest.raises(Permanent, match="no"):
            await with_isolation(give_up)(send)(Delivery(line_batch("ab"), account))

    run_virtual(scenario())


# ---- the rest ------------------------------------------------------------------------------


def test_backoff_grows_to_its_maximum() -> None:
    """initial_interval, times multiplier, at most max_interval."""
    config = RetryConfig(initial_interval=1.0, multiplier=2.0, max_interval=5.0)
    waits = bounds(config)
    assert [next(waits) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_the_books_never_take_more_than_was_accepted() -> None:
    """Claims beyond what a worker holds are cut; nothing is booked after closing."""
    ledger = Ledger("x", Signal.TRACES, NoTelemetry())
    ledger.accept(5)
    account = Account(ledger, 5)
    account.settle(5, sent=9, dropped={"odd": 2}, remaining=1)
    assert (ledger.sent, ledger.dropped, account.unsettled) == (2, {"odd": 2}, 1)
    assert account.close() == 1
    account.sent(1)
    assert account.dropped("late", 1) == 0
    assert ledger.report().left == 1


def test_a_repeating_line_is_logged_once_per_interval(caplog: pytest.LogCaptureFixture) -> None:
    """The next line of its kind says how many were left out; other kinds are not held back."""
    clock = FakeClock()
    log = QuietLog(logging.getLogger("test.quiet"), "out", Signal.LOGS, clock, interval_s=10)
    for _ in range(5):
        log.say(logging.WARNING, "retry", "again")
    log.say(logging.ERROR, "loss", "gone")
    clock.advance(10)
    log.say(logging.WARNING, "retry", "again", items=3)
    assert [record.getMessage() for record in caplog.records] == [
        "again",
        "gone",
        "again (4 more like this since the last line)",
    ]
    assert caplog.records[-1].__dict__["items"] == 3
    assert caplog.records[-1].__dict__["signal"] == "logs"


def test_the_rate_forgets() -> None:
    """A burst long ago says nothing about now."""
    clock = FakeClock()
    rate = DrainRate(clock)
    for _ in range(100):
        clock.advance(1)
        rate.add(500)
    assert rate.per_second() == pytest.approx(500, rel=0.1)
    clock.advance(60)
    assert rate.per_second() < 2
    assert rate.wait_for(1000) == 60
