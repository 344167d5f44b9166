"""Destinations that misbehave, all at once, each behind an exporter of its own.

One collector, one pipeline, a destination per kind of misbehaviour. Each behaves, misbehaves, and
behaves again, while clients send. At the end every acknowledged span has arrived there, or the
destination refused it for good and the collector counted it under the reason that is expected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.crash import config
from tests.crash.books import Books, wait_for_acknowledged, when_all_arrived
from tests.crash.processes import Closing, Lives, Sinks, clients, end, wait_until
from tests.support.running import free_port

_SETTLES_S: Final = 60.0
DIES: Final = "dies"


class Case(NamedTuple):
    """A misbehaviour, and what may come of it."""

    mode: str
    kind: str
    what: str
    reason: str = ""
    """Under which refused items are counted; empty = all arrive."""

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.mode}"


CASES: Final = (
    Case(DIES, "http", "killed, started again on the same port"),
    Case("hang", "http", "accepts and never answers"),
    Case("slow", "http", "answers late"),
    Case("429", "http", "429 with Retry-After: 1"),
    Case("503", "http", "503"),
    Case("500", "http", "500, which the specification says not to try again", "http_5xx"),
    Case("partial", "http", "200, all but one", "partial_success"),
    Case("garbage", "http", "200 with a body that is no answer"),
    Case("truncated", "http", "200 with a body that breaks off"),
    Case("close", "http", "takes the data, hangs up without an answer"),
    Case(DIES, "grpc", "killed, started again on the same port"),
    Case("hang", "grpc", "accepts and never answers"),
    Case("slow", "grpc", "answers late"),
    Case("unavailable", "grpc", "UNAVAILABLE"),
    Case("exhausted", "grpc", "RESOURCE_EXHAUSTED with RetryInfo"),
    Case("internal", "grpc", "INTERNAL", "grpc_internal"),
    Case("partial", "grpc", "OK, all but one", "partial_success"),
    Case("garbage", "grpc", "OK with bytes that are no answer"),
)


@dataclass(frozen=True)
class Row:
    """How one destination fared."""

    case: Case
    books: Books
    closing: Closing
    misbehaved: int
    """Requests that met the misbehaviour."""

    @property
    def faults(self) -> list[str]:
        """Everything that is not as it must be."""
        closing, books = self.closing, self.books
        expected = {self.case.reason: books.rejected} if self.case.reason else {}
        faults = {
            "missing": bool(books.missing),
            "altered": bool(books.altered),
            "does not add up": not closing.adds_up or closing.left != 0,
            "dropped and not counted, or counted and not dropped": closing.reasons != expected,
            "was never asked to misbehave": not self.misbehaved and self.case.mode != DIES,
        }
        return [fault for fault, is_so in faults.items() if is_so]

    @property
    def line(self) -> str:
        books, closing = self.books, self.closing
        reasons = ",".join(f"{why}:{count}" for why, count in closing.reasons.items()) or "-"
        verdict = "; ".join(self.faults) or "ok"
        return (
            f"{self.case.name:<17}{self.case.what:<50}{self.misbehaved or '':>6}"
            f"{books.acknowledged:>8}{books.arrived:>8}{len(books.missing):>8}"
            f"{books.duplicates:>8}  {reasons:<22}{verdict}"
        )


HEADER: Final = (
    f"{'destination':<17}{'misbehaviour':<50}{'times':>6}{'acked':>8}{'arrived':>8}"
    f"{'missing':>8}{'again':>8}  {'dropped':<22}verdict"
)


@dataclass
class Table:
    """All cases against one collector."""

    directory: Path
    cases: tuple[Case, ...] = CASES
    seed: int = 1
    durable: bool = True
    spell_s: float = 3.0
    """How long they misbehave, at least; before, they behave until something was acknowledged."""
    least: int = 200
    rows: list[Row] = field(default_factory=list)

    def __call__(self) -> list[Row]:
        # Those that die are processes of their own.
        mortal = {case.name: (case.kind, free_port()) for case in self.cases if case.mode == DIES}
        others = {case.name: (case.kind, free_port()) for case in self.cases if case.mode != DIES}
        living = Sinks(self.directory, free_port(), others)
        dying = Sinks(self.directory, free_port(), mortal)
        http, grpc = free_port(), free_port()
        text = self._config(http, grpc, mortal | others)
        collector = Lives(self.directory, text)
        try:
            living.start()
            dying.start()
            life = collector.start()
            life.wait_ready()
            with clients(self.seed, self.directory, http, grpc, pause_s=0.05) as sending:
                wait_for_acknowledged(self.directory, self.least)
                misbehaved = self._misbehave(living, dying)
                end(sending)
                found = self._books(lambda: life.process.poll() is None)
            end(life.process)
            closings = life.closings()
            self.rows = [
                Row(
                    case,
                    found[case.name],
                    closings[f"otlp_{case.kind}/{case.name}"],
                    misbehaved.get(case.name, 0),
                )
                for case in self.cases
            ]
        finally:
            collector.close()
            living.kill()
            dying.kill()
        return self.rows

    def _config(self, http: int, grpc: int, addresses: Mapping[str, tuple[str, int]]) -> str:
        queue = "queue_size: 64MiB, batch: { flush_timeout: 20ms }"
        return config.collector(
            self.directory, http, grpc, addresses, durable=self.durable, queue=queue
        )

    def _misbehave(self, living: Sinks, dying: Sinks) -> dict[str, int]:
        for case in self.cases:
            if case.mode != DIES:
                living.mode(case.name, case.mode)
        dying.kill()
        time.sleep(self.spell_s)
        modes = {case.name: case.mode for case in self.cases if case.mode != DIES}
        for name, mode in modes.items():
            wait_until(
                lambda name=name, mode=mode: living.requests(name, mode) > 0,  # type: ignore[misc]
                f"{name} is asked",
            )
        misbehaved = {name: living.requests(name, mode) for name, mode in modes.items()}
        for name in modes:
            living.mode(name, "ok")
        dying.start()
        return misbehaved

    def _books(self, alive: Callable[[], bool]) -> dict[str, Books]:
        deadline = time.monotonic() + _SETTLES_S
        return {
            case.name: when_all_arrived(
                self.directory, case.name, max(0.0, deadline - time.monotonic()), alive=alive
            )
            for case in self.cases
        }
