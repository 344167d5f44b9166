"""One exporter as a pipeline sees it: a queue with room or without, emptied by workers.

    put -> queue -> batching -> isolate ( retry ( counted ( timeout ( exporter ))))

Every item that `put` accepts ends as sent or as dropped with a reason, also when a worker is
cancelled, an exporter has a bug, or the deadline of a shutdown passes.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Literal, Self

from genai_collector.component import Context, Exporter
from genai_collector.delivery.batching import Batching, pieces
from genai_collector.delivery.config import DeliveryConfig
from genai_collector.delivery.dead_letters import DeadLetters, Refusal
from genai_collector.delivery.isolate import with_isolation
from genai_collector.delivery.ledger import Account, DeliveryReport, Ledger
from genai_collector.delivery.queue import DeliveryQueue, MemoryQueue, Queued
from genai_collector.delivery.quiet_log import QuietLog
from genai_collector.delivery.rate import DrainRate
from genai_collector.delivery.retry import Patience, Sleep, with_retry
from genai_collector.delivery.stack import Delivery, Layer, counted, stack
from genai_collector.delivery.timeout import with_timeout
from genai_collector.errors import Permanent, QueueFull, Retryable
from genai_collector.model import Batch, Signal

SHUTDOWN: Final = "shutdown"
EXPORTER_ERROR: Final = "exporter_error"
RETRIES_EXHAUSTED: Final = "retries_exhausted"
_CANCEL_GRACE_S: Final = 1.0
_FAULT_PAUSE_S: Final = 1.0


class QueuedExporter:
    """Queue, batching, retry, timeout and counting for one (exporter, signal).

    An async context manager that owns its workers. It does not enter `exporter`, which several
    signals share: whoever built that one enters it before and leaves it after. Leaving without
    `drain` drops (and counts) what is left.
    """

    def __init__(
        self,
        id: str,
        signal: Signal,
        exporter: Exporter,
        config: DeliveryConfig,
        context: Context,
        *,
        queue: DeliveryQueue | None = None,
        dead_letters: DeadLetters | None = None,
        sleep: Sleep = asyncio.sleep,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        self.id = id
        self.signal = signal
        self.when_full: Literal["refuse", "block", "drop"] = config.sending_queue.when_full
        self.may_fail = config.sending_queue.storage is not None or not config.sending_queue.enabled
        self._config = config.sending_queue
        self._context = context
        self._queue = queue or MemoryQueue(config.sending_queue.queue_size)
        self._queue.books = self
        self._dead_letters = dead_letters
        self._batching = Batching(self._queue, config.sending_queue.batch)
        self._ledger = Ledger(id, signal, context.telemetry)
        self._log = QuietLog(context.log, id, signal, context.clock)
        self._rate = DrainRate(context.clock)
        self._patience = Patience(context.clock, sleep, random)
        export = with_timeout(exporter.export, config.timeout)
        self._send = stack(counted(export, self._log, self._bury), self._layers(config))
        self._open: set[Account] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._drained = False

    def _layers(self, config: DeliveryConfig) -> list[Layer]:
        """Outermost first."""
        queued, retry = config.sending_queue.enabled, config.retry_on_failure
        # Without a queue the sender waits and sees the error: it decides what to try again, and
        # trying for ever would leave it without an answer.
        retries = retry.enabled and (queued or retry.max_elapsed_time > 0)
        layers = [with_isolation(self._give_up)] if queued else []
        return [*layers, *([with_retry(retry, self._patience, self._log)] if retries else [])]

    async def __aenter__(self) -> Self:
        telemetry = self._context.telemetry
        telemetry.watch_queue(self.id, self.signal, lambda: self._queue.used, self.capacity)
        telemetry.watch_in_flight(self.id, self.signal, lambda: len(self._open))
        if self._config.enabled:
            self._workers = [
                asyncio.create_task(self._work(), name=f"{self.id}/{self.signal} {n}")
                for n in range(self._config.num_consumers)
            ]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._drained:
            await self.drain(self._context.clock())

    # ---- admission -------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """Bytes. A batch that weighs more can never be admitted: refuse it as TooLarge."""
        return self._queue.capacity

    def has_room(self, weight: int) -> bool:
        return self._queue.has_room(weight)

    def reserve(self, weight: int) -> None:
        """Take room; directly after `has_room`, with no await between. Cannot fail."""
        self._queue.reserve(weight)

    def unreserve(self, weight: int) -> None:
        """Give back room that was reserved and will not be `put`."""
        self._queue.unreserve(weight)

    async def wait_for_room(self, weight: int) -> None:
        """Until `has_room`; ask again afterwards, another sender may have been quicker. Raises
        QueueFull when the collector stops and TooLarge if there never will be room."""
        await self._queue.wait_for_room(weight)

    def refuse_waiting(self) -> None:
        """At shutdown: who waits for room hears now that it must come again, while there still is
        a connection to say so."""
        self._queue.refuse_waiting()

    async def put(self, batch: Batch, weight: int) -> None:
        """Take a batch into room reserved before. The reservation is used up, also if this raises.

        Queued: returns as soon as the queue has it safe. With `sending_queue.enabled: false`:
        returns when it is delivered, and raises the exporter's Permanent or Retryable.
        """
        if self._drained:
            self._queue.unreserve(weight)
            raise QueueFull("the collector is stopping")
        if self._config.enabled:
            self._ledger.accept(batch.count)
            try:
                await self._queue.put(batch, weight)
            except BaseException:
                self._ledger.accept(-batch.count)
                raise
        else:
            await self._export_now(Queued(batch, weight))

    def retry_after(self) -> float:
        """Seconds until half of what is queued now will have drained, between 1 and 60."""
        # What is on disk is weighed compressed, what leaves is not: items can be compared.
        queued = self.report().left if self._queue.keeps else self._queue.used
        return self._rate.wait_for(queued // 2)

    def report(self) -> DeliveryReport:
        return self._ledger.report()

    # ---- what the queue tells ----------------------------------------------------------------

    def found(self, items: int) -> None:
        """Items are on disk from before: they count as accepted now."""
        self._ledger.accept(items)
        if items > 0:
            message = "Items from before are on disk and will be delivered."
            self._log.say(logging.INFO, "found", message, items=items)

    def lost(self, reason: str, items: int) -> None:
        """Items that were accepted cannot be read from disk."""
        self._ledger.book_dropped(reason, items)
        message = "Items that were on disk cannot be read; they are lost."
        self._log.say(logging.ERROR, reason, message, reason=reason, items=items)

    # ---- delivery --------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._leaves_the_rest() and (taken := await self._next()) is not None:
            with self._account(taken) as account:
                await self._deliver([queued.batch for queued in taken], account)

    def _leaves_the_rest(self) -> bool:
        """What had its last try and stays on disk would come again at once."""
        return self._queue.keeps and self._patience.ended.is_set()

    async def _next(self) -> list[Queued] | None:
        while True:
            try:
                return await self._batching.next()
            except Exception as exc:  # a fault of the queue must not end the worker
                message = f"The queue has a fault: {exc!r}"
                self._log.say(logging.ERROR, "queue_error", message, exc_info=exc)
                await self._patience.sleep(_FAULT_PAUSE_S)

    async def _deliver(self, batches: list[Batch], account: Account) -> None:
        """Never raises but for cancellation: a bug must not end the worker."""
        for piece in pieces(batches, self._config.batch):
            delivery = Delivery(piece, account)
            try:
                await self._send(delivery)
            except Exception as exc:
                await self._give_up(delivery, exc)

    async def _export_now(self, queued: Queued) -> None:
        """Export while the sender waits. What fails is not accepted: the sender still has it."""
        self._ledger.accept(queued.batch.count)
        account = Account(self._ledger, queued.batch.count)
        self._open.add(account)
        try:
            await self._send(Delivery(queued.batch, account))
        except (Permanent, Retryable):
            self._context.telemetry.send_failed(self.id, self.signal, account.unsettled)
            raise
        except Exception as exc:
            self._log.say(logging.ERROR, EXPORTER_ERROR, "The exporter has a fault.", exc_info=exc)
            raise Permanent(f"the exporter failed: {exc!r}", reason=EXPORTER_ERROR) from exc
        finally:
            self._ledger.accept(-account.close())
            self._open.discard(account)
            self._finish([queued])

    @contextmanager
    def _account(self, taken: list[Queued]) -> Iterator[Account]:
        """Opens the books for what was taken from the queue and closes them, whatever happens."""
        account = Account(self._ledger, sum(queued.batch.count for queued in taken))
        self._open.add(account)
        try:
            yield account
        finally:
            self._open.discard(account)
            self._settle_rest(account, taken)

    def _settle_rest(self, account: Account, taken: list[Queued]) -> None:
        """Items whose fate nobody knows: the worker was cancelled with them in its hands, or has
        come to its end after everybody stopped waiting for it."""
        if self._queue.keeps and (account.unsettled or self._drained):
            account.close()
            for queued in reversed(taken):
                self._queue.put_back(queued)
            return
        self._drop_unsent(account)
        self._finish(taken)

    def _let_go(self, account: Account) -> None:
        """Of a worker that does not end."""
        if self._queue.keeps:
            account.close()
        else:
            self._drop_unsent(account)

    def _drop_unsent(self, account: Account) -> None:
        lost = account.dropped(SHUTDOWN, account.unsettled)
        if lost:
            message = "The collector stopped before these were delivered; they are lost."
            self._log.say(logging.ERROR, SHUTDOWN, message, reason=SHUTDOWN, items=lost)

    def _finish(self, taken: list[Queued]) -> None:
        for queued in taken:
            self._queue.done(queued)
            self._rate.add(queued.batch.count if self._queue.keeps else queued.weight)

    # ---- loss ------------------------------------------------------------------------------

    async def _give_up(self, delivery: Delivery, exc: Exception) -> None:
        """Keep as a dead letter, count and log what is left of a delivery that cannot be
        completed."""
        reason, items = self._reason(exc), delivery.batch.count
        if reason == SHUTDOWN and self._queue.keeps:
            return  # stays on disk; the worker puts it back
        kept = False
        if reason != SHUTDOWN and delivery.account.unsettled:
            refusal = Refusal(reason, str(exc) or type(exc).__name__, delivery.attempts, items)
            kept = await self._bury(delivery.batch, refusal)
        lost = delivery.account.dropped(reason, items)
        if not lost:
            return
        bug = reason == EXPORTER_ERROR
        what = f"The exporter has a fault: {exc!r}" if bug else str(exc)
        fate = "are kept as dead letters" if kept else "are lost"
        message = f"Sending failed for good; {lost} items {fate}: {what}"
        self._log.say(
            logging.ERROR, reason, message, exc_info=exc if bug else None, reason=reason, items=lost
        )

    async def _bury(self, batch: Batch, refusal: Refusal) -> bool:
        if self._dead_letters is None:
            return False
        kept = await self._dead_letters.bury(batch, refusal)
        if kept:
            self._ledger.dead_letters += refusal.items
        else:
            message = "There is no room for dead letters: look at them, replay or purge them (dlq)."
            self._log.say(logging.ERROR, "dead_letters_full", message, items=refusal.items)
        return kept

    def _reason(self, exc: Exception) -> str:
        if isinstance(exc, Permanent):
            return exc.reason
        if isinstance(exc, Retryable):
            return SHUTDOWN if self._patience.ended.is_set() else RETRIES_EXHAUSTED
        return EXPORTER_ERROR

    # ---- the end ---------------------------------------------------------------------------

    def stop_retrying(self) -> None:
        """At shutdown: what waits between tries goes at once, and everything gets one last try."""
        self._patience.ended.set()

    async def drain(self, deadline: float) -> None:
        """Send what is queued until `deadline` (of the context's clock), then count the rest as
        dropped{shutdown}. A queue that keeps what it has is left alone: only what is in flight is
        waited for, and the rest stays. Admits nothing any more."""
        self._queue.close()
        if self._queue.keeps:
            self.stop_retrying()
        try:
            left_s = max(0.0, deadline - self._context.clock())
            if self._workers:
                await asyncio.wait(self._workers, timeout=left_s)
        finally:
            self.stop_retrying()
            await self._stop_workers()

    async def _stop_workers(self) -> None:
        running = [worker for worker in self._workers if not worker.done()]
        for worker in running:
            worker.cancel()
        if running:
            # An exporter that swallows its cancellation must not hold up the whole service.
            await asyncio.wait(running, timeout=_CANCEL_GRACE_S)
        self._drained = True
        for account in list(self._open):
            self._let_go(account)
        self._drop_queued()
        self._queue.release()
        left = self._ledger.report().left
        if left and self._queue.keeps:
            self._log.say(
                logging.INFO, "kept", "Items stay on disk for the next start.", items=left
            )

    def _drop_queued(self) -> None:
        taken = self._batching.take_held()
        if self._queue.keeps:
            for queued in reversed(taken):
                self._queue.put_back(queued)
            return
        while (waiting := self._queue.poll()) is not None:
            taken.append(waiting)
        if taken:
            with self._account(taken):
                pass
