"""Killing the collector at random moments while clients send and destinations have moods.

Kinds of kill, drawn from the seed: while it runs; during start-up, any time after exec; and, where
`strace` works, aimed: the kernel kills it as it enters its n-th write or fsync of a file, which is
the middle of a commit; or after a while on a disk that fails: every few writes or fsyncs give EIO
or ENOSPC. Two destinations, over HTTP and gRPC, have a queue each: a span counts as safe only when
both have it, so both are compared with what clients were told.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash import config
from tests.crash.books import Books, acknowledged, when_all_arrived
from tests.crash.processes import Closing, Life, Lives, Sinks, clients, end, kill, strace_works
from tests.support.running import free_port

_RUNS_S: Final = (0.05, 1.2)
_STARTS_IN_S: Final = 1.0
_AIMED_S: Final = 12.0
"""Starting takes five seconds when every call is looked at."""
_SETTLES_S: Final = 90.0
_MOODS: Final = ("ok", "ok", "ok", "slow", "503", "hang")
_KINDS: Final = ("running", "running", "running", "start-up", "aimed", "failing disk")
_FAILS_S: Final = 4.0
_QUICK: Final = "--seccomp-bpf"
"""Only the calls in question stop the process. Signals are not injected then, errors are."""
_COMMIT_CALLS: Final = ("pwrite64", "fdatasync")
_ERRORS: Final = ("EIO", "ENOSPC")


def _strace(call: str, inject: str, *options: str) -> list[str]:
    """A command that execs another and has these calls of it go wrong."""
    return ["strace", "-D", "-f", *options, "-qq", "-o", "/dev/null", "-e", f"trace={call}",
            "-e", f"inject={call}:{inject}"]  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """How one life ended."""

    number: int
    kind: str
    mood: str
    after_s: float
    was_ready: bool
    acknowledged: int
    """So far, by all clients."""

    @property
    def line(self) -> str:
        ready = "ready" if self.was_ready else "not ready"
        return (
            f"kill {self.number:3}  {self.kind:<16} after {self.after_s:5.2f} s, {ready:<9}  "
            f"destinations {self.mood:<5}{self.acknowledged:7} acknowledged"
        )


@dataclass
class Outcome:
    """The end of a run."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    ready_after_s: list[float] = field(default_factory=list)
    books: list[Books] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    exit_code: int = 0
    complaints: list[str] = field(default_factory=list)
    """Lines of the collector's logs that must not be there."""

    @property
    def good(self) -> bool:
        return (
            all(books.good for books in self.books)
            and all(closing.adds_up and closing.left == 0 for closing in self.closings)
            and len(self.closings) == len(self.books)
            and self.exit_code == 0
            and not self.complaints
        )

    @property
    def text(self) -> str:
        kinds = Counter(kill.kind.split()[0] for kill in self.kills)
        ways = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        ready = sorted(self.ready_after_s) or [0.0]
        restarts = f"median {statistics.median(ready):.2f} s, longest {ready[-1]:.2f} s"
        lines = [
            f"seed {self.seed}: {len(self.kills)} kills ({ways}); restart to ready: {restarts}",
            *(books.line for books in self.books),
            *(f"closing line of {one.exporter}: {one}" for one in self.closings if not one.adds_up),
            *self.complaints,
            "nothing is lost" if self.good else f"FAILED (exit code {self.exit_code})",
        ]
        return "\n".join(lines)


@dataclass
class Run:
    """One crash run. `strict=False` is for configurations that are meant to lose."""

    directory: Path
    seed: int
    kills: int
    durable: bool = True
    moods: tuple[str, ...] = _MOODS
    kinds: tuple[str, ...] = _KINDS
    pause_s: float = 0.01
    patience_s: float = _SETTLES_S
    tell: Callable[[Kill], None] = lambda _: None

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._aims = strace_works()
        self._ready_after_s: list[float] = []
        self._http, self._grpc = free_port(), free_port()
        addresses = {"http": ("http", free_port()), "grpc": ("grpc", free_port())}
        self._sinks = Sinks(self.directory, free_port(), addresses)
        text = config.collector(
            self.directory, self._http, self._grpc, addresses, durable=self.durable
        )
        self._collector = Lives(self.directory, text)

    def __call__(self) -> Outcome:
        outcome = Outcome(self.seed)
        self._sinks.start()
        try:
            with clients(
                self.seed, self.directory, self._http, self._grpc, pause_s=self.pause_s
            ) as sending:
                for number in range(self.kills):
                    outcome.kills.append(self._one_life(number + 1))
                    self.tell(outcome.kills[-1])
                self._last_life(outcome, sending)
        finally:
            self._collector.close()
            self._sinks.kill()
        outcome.complaints = self._complaints()
        outcome.ready_after_s = self._ready_after_s
        return outcome

    def _one_life(self, number: int) -> Kill:
        kind = self._rng.choice(self.kinds)
        mood = self._rng.choice(self.moods)
        for name in self._sinks.addresses:
            self._sinks.mode(name, mood)
        if kind == "aimed" and self._aims:
            life, kind = self._aimed()
        elif kind == "failing disk" and self._aims:
            life, kind = self._on_a_failing_disk()
        elif kind == "start-up":
            life = self._during_start_up()
        else:
            kind = "running"
            life = self._while_running()
        after_s = time.monotonic() - life.began
        kill(life.process)
        return Kill(number, kind, mood, after_s, life.is_ready, len(acknowledged(self.directory)))

    def _while_running(self) -> Life:
        life = self._collector.start()
        life.wait_ready()
        assert life.ready_after_s is not None
        self._ready_after_s.append(life.ready_after_s)
        time.sleep(self._rng.uniform(*_RUNS_S))
        return life

    def _during_start_up(self) -> Life:
        usual = statistics.median(self._ready_after_s) if self._ready_after_s else _STARTS_IN_S
        life = self._collector.start()
        time.sleep(self._rng.uniform(0, usual * 1.1))
        return life

    def _aimed(self) -> tuple[Life, str]:
        """The kernel kills it; if it never makes so many calls, we do."""
        call = self._rng.choice(_COMMIT_CALLS)
        when = self._rng.randint(1, 150 if call == "pwrite64" else 60)
        life = self._collector.start(_strace(call, f"signal=SIGKILL:when={when}"))
        try:
            life.process.wait(_AIMED_S)
        except subprocess.TimeoutExpired:
            return life, "running traced"
        return life, f"aimed {call[:6]} {when}"

    def _on_a_failing_disk(self) -> tuple[Life, str]:
        """Some calls fail, from the first or a later one on; it may not even start."""
        call, error = self._rng.choice(_COMMIT_CALLS), self._rng.choice(_ERRORS)
        first, every = self._rng.randint(1, 40), self._rng.randint(2, 12)
        life = self._collector.start(_strace(call, f"error={error}:when={first}+{every}", _QUICK))
        try:
            life.process.wait(_FAILS_S)
        except subprocess.TimeoutExpired:
            pass
        return life, f"failing {error}"

    def _last_life(self, outcome: Outcome, sending: subprocess.Popen[bytes]) -> None:
        """Everybody behaves; what is on disk goes out, and then the collector is asked to stop."""
        for name in self._sinks.addresses:
            self._sinks.mode(name, "ok")
        life = self._collector.start()
        life.wait_ready()
        end(sending)
        outcome.books = [
            when_all_arrived(
                self.directory, name, self.patience_s, alive=lambda: life.process.poll() is None
            )
            for name in self._sinks.addresses
        ]
        outcome.exit_code = end(life.process)
        outcome.closings = list(life.closings().values())

    def _complaints(self) -> list[str]:
        words = ("Traceback", "corrupt", "quarantine", "set aside", "malformed", "has a fault")
        return [
            f"{life.log.name}: {line}"
            for life in self._collector.lives
            for line in life.text.splitlines()
            if any(word in line.lower() for word in map(str.lower, words))
        ]
