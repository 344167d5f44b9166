"""The processes of a crash run: collector, destinations, clients. Ended through their handles.

Each writes into one directory; a collector's lives write one log each. Everything waits for facts
(a line in a log, a port that answers), with a limit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.captures import ROOT
from tests.support.running import READY

_PATIENCE_S: Final = 30.0
_POLL_S: Final = 0.01
_CLOSING: Final = "Exporter finished"
_FIELD: Final = re.compile(r"(\w+)=(\S+)")


class TooLong(AssertionError):
    """Something that must happen did not."""


def wait_until(true: Callable[[], bool], what: str, patience_s: float = _PATIENCE_S) -> None:
    """Return as soon as it is true. Raises TooLong."""
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            raise TooLong(f"not within {patience_s:g} s: {what}")
        time.sleep(_POLL_S)


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(
    arguments: Sequence[str], log: Path, prefix: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """A Python module as a process; `prefix` is a command that execs it."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def end(process: subprocess.Popen[bytes], patience_s: float = _PATIENCE_S) -> int:
    """Ask it to stop; kill it if it does not. Returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL: no handler runs, nothing is flushed."""
    process.kill()
    process.wait()


@dataclass(frozen=True)
class Closing:
    """What a collector says of one exporter at the end."""

    exporter: str
    accepted: int
    sent: int
    dropped: int
    reasons: dict[str, int]
    left: int

    @property
    def adds_up(self) -> bool:
        return self.accepted == self.sent + self.dropped + self.left


@dataclass
class Life:
    """One process of the collector, from exec to its end."""

    process: subprocess.Popen[bytes]
    log: Path
    began: float
    ready_after_s: float | None = None

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def is_ready(self) -> bool:
        """Whether it has said so."""
        return READY in self.text

    def wait_ready(self) -> None:
        """Until then; remembers how long it took. Raises TooLong with its log if it has ended."""
        wait_until(lambda: self.is_ready or self.process.poll() is not None, "ready")
        if not self.is_ready:
            raise TooLong(f"the collector ended with {self.process.returncode}:\n{self.text}")
        self.ready_after_s = time.monotonic() - self.began

    def closings(self) -> dict[str, Closing]:
        """Its last lines, by exporter."""
        found = {}
        for line in self.text.splitlines():
            if _CLOSING not in line:
                continue
            said = dict(_FIELD.findall(line))
            reasons = (one.rsplit(":", 1) for one in said.get("reasons", "").split(",") if one)
            found[said["exporter"]] = Closing(
                said["exporter"],
                accepted=int(said["accepted"]),
                sent=int(said["sent"]),
                dropped=int(said["dropped"]),
                reasons={name: int(count) for name, count in reasons},
                left=int(said["left"]),
            )
        return found


@dataclass
class Lives:
    """A collector on one configuration and directory, started and ended many times."""

    directory: Path
    config: str
    lives: list[Life] = field(default_factory=list)

    def start(self, prefix: Sequence[str] = ()) -> Life:
        path = self.directory / "collector.yaml"
        path.write_text(self.config)
        log = self.directory / f"collector-{len(self.lives)}.log"
        arguments = ["genai_collector", "run", "--config", str(path)]
        began = time.monotonic()
        life = Life(start(arguments, log, prefix), log, began)
        self.lives.append(life)
        return life

    def close(self) -> None:
        for life in self.lives:
            if life.process.poll() is None:
                kill(life.process)


@dataclass
class Sinks:
    """One process with destinations, each at an address that it keeps."""

    directory: Path
    control_port: int
    addresses: dict[str, tuple[str, int]]
    """Name to kind (`http` or `grpc`) and port."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        addresses = [f"{name}:{kind}:{port}" for name, (kind, port) in self.addresses.items()]
        arguments = ["tests.crash.sink", str(self.directory), str(self.control_port), *addresses]
        log = self.directory / f"sink-{self.control_port}.log"
        self.process = start(arguments, log)
        wait_until(lambda: answers(self.control_port), "the destinations listen")

    def kill(self) -> None:
        if self.process is not None:
            kill(self.process)
            self.process = None

    def mode(self, name: str, mode: str) -> None:
        url = f"http://127.0.0.1:{self.control_port}/{name}/{mode}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
            pass

    def requests(self, name: str, mode: str) -> int:
        """How many requests met these manners."""
        url = f"http://127.0.0.1:{self.control_port}/"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: dict[str, dict[str, int]] = json.load(answer)
        return found[name].get(mode, 0)


@contextmanager
def clients(
    run: int, directory: Path, http_port: int, grpc_port: int, *, pause_s: float, how_many: int = 4
) -> Iterator[subprocess.Popen[bytes]]:
    """The clients, running. `end` them to have their last requests answered."""
    ports = [str(http_port), str(grpc_port)]
    arguments = ["tests.crash.clients", str(run), str(directory), *ports, str(pause_s)]
    process = start([*arguments, str(how_many)], directory / "clients.log")
    try:
        yield process
    finally:
        end(process)


def strace_works() -> bool:
    """Whether system calls can be traced here."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    try:
        probe = [strace, "-D", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=none", "true"]
        return subprocess.run(probe, check=False, capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False
