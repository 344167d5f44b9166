"""A queue that is full, and a disk that is: new requests get 503, and later they do not.

    python -m tests.crash.disk DIRECTORY SEED disk|stranger    # in a mount namespace of its own

Three ways to be full. `quota`: the queue has taken as many bytes as it may. `disk`: the file system
is too small for what the queue may hold. `stranger`: somebody else takes every last block of it, in
the middle of commits (ENOSPC from the kernel). For the latter two the storage lies on a tmpfs of a
few MiB, mounted in a namespace of this process, where the collector can be killed and started again
on it. Where namespaces may not be made, these two cannot be shown.

The destination is away until clients are refused; then the collector is killed and started on what
there is, which must work and still refuse; then the destination takes data (with a stranger: until
everything is delivered from a disk without a free block, after which the stranger goes), and
clients get through again without anybody's help. Nothing acknowledged is missing at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path
from typing import Final, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from tests.crash import config, spans
from tests.crash.books import Books, wait_for_acknowledged, when_all_arrived
from tests.crash.processes import (
    Life,
    Lives,
    Sinks,
    TooLong,
    clients,
    end,
    kill,
    start,
    wait_until,
)
from tests.support.running import free_port

_PROBE: Final = 9
_BEFORE_STRANGER: Final = 500
_DISK: Final = "12m"
_FILLS_S: Final = 60.0
_SETTLES_S: Final = 60.0
WAYS: Final = {
    "disk": f"file system of {_DISK}",
    "stranger": f"file system of {_DISK}, filled by somebody else",
}
UNSHARE: Final = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--mount-proc",
                  "--fork", "--kill-child")  # fmt: skip
"""Whoever kills it kills everything in it."""


class Answer(NamedTuple):
    status: int
    retry_after: str | None


@dataclass
class Probe:
    """A client of our own, to see statuses and headers; what it is told is booked as well."""

    directory: Path
    port: int
    run: int
    number: int = _PROBE * 10_000_000

    def __call__(self) -> Answer:
        self.number += 1
        batch = [spans.span(self.run, self.number)]
        url = f"http://127.0.0.1:{self.port}/v1/traces"
        headers = {"Content-Type": "application/x-protobuf"}
        body = encode_spans(batch).SerializeToString()
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10):
                pass
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers["Retry-After"])
        with (self.directory / f"client-{_PROBE}.acked").open("a") as file:
            file.writelines(f"{one.line}\n" for one in spans.sent(batch))
        return Answer(200, None)


@dataclass
class Full:
    """What was seen."""

    what: str
    books: Books
    refused_with: str
    """Status and Retry-After of the first refusal."""
    filled_in_s: float
    bytes_left: int
    """Free on the file system when the collector was killed."""
    recovered_in_s: float
    adds_up: bool
    exit_code: int

    @property
    def good(self) -> bool:
        return self.books.good and self.adds_up and self.exit_code == 0

    @property
    def text(self) -> str:
        return (
            f"{self.what}: full after {self.filled_in_s:.1f} s, then {self.refused_with}; "
            f"killed and started again with {self.bytes_left} bytes free, still refusing; "
            f"clients got through {self.recovered_in_s:.1f} s after there was room\n"
            f"{self.books.line}\n"
            f"{'nothing is lost' if self.good else f'FAILED (exit code {self.exit_code})'}"
        )


class Scenario:
    """One run on a storage below `directory`."""

    def __init__(self, directory: Path, what: str, seed: int, *, queue: str) -> None:
        self._directory = directory
        self._what = what
        self._seed = seed
        self._http, self._grpc = free_port(), free_port()
        addresses = {"http": ("http", free_port())}
        self._sinks = Sinks(directory, free_port(), addresses)
        text = config.collector(directory, self._http, self._grpc, addresses, queue=queue)
        self._lives = Lives(directory, text)
        self._probe = Probe(directory, self._http, seed)

    def run(self, *, stranger: bool = False) -> Full:
        self._sinks.start()
        self._sinks.mode("http", "503")
        try:
            life = self._lives.start()
            life.wait_ready()
            with clients(
                self._seed, self._directory, self._http, self._grpc, pause_s=0.0
            ) as sending:
                return self._with_clients(life, sending, stranger)
        finally:
            self._lives.close()
            self._sinks.kill()

    def _with_clients(self, life: Life, sending: subprocess.Popen[bytes], stranger: bool) -> Full:
        began = time.monotonic()
        if stranger:
            wait_for_acknowledged(self._directory, _BEFORE_STRANGER)
            self._take_every_block()
        refusal = _until_status(self._probe, 503, life)
        filled_in_s = time.monotonic() - began
        free = os.statvfs(self._directory / "storage")
        kill(life.process)
        life = self._lives.start()
        life.wait_ready()
        # Small ones may still fit, and a kill can free what was not committed.
        _until_status(self._probe, 503, life)
        self._sinks.mode("http", "ok")
        if stranger:
            self._arrived(life)
            self._strangers.unlink()
        began = time.monotonic()
        _until_status(self._probe, 200, life)
        recovered_in_s = time.monotonic() - began
        end(sending)
        books = self._arrived(life)
        exit_code = end(life.process)
        closings = life.closings().values()
        return Full(
            self._what,
            books,
            refused_with=f"{refusal.status} with Retry-After: {refusal.retry_after}",
            filled_in_s=filled_in_s,
            bytes_left=free.f_bavail * free.f_frsize,
            recovered_in_s=recovered_in_s,
            adds_up=bool(closings) and all(one.adds_up and one.left == 0 for one in closings),
            exit_code=exit_code,
        )

    @property
    def _strangers(self) -> Path:
        return self._directory / "storage" / "somebody-elses"

    def _take_every_block(self) -> None:
        with self._strangers.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def _arrived(self, life: Life) -> Books:
        return when_all_arrived(
            self._directory, "http", _SETTLES_S, alive=lambda: life.process.poll() is None
        )


def _until_status(probe: Probe, status: int, life: Life) -> Answer:
    """Ask until it is answered so; 200 and 503 are the only answers there may be."""
    answer = Answer(0, None)

    def answered() -> bool:
        nonlocal answer
        if life.process.poll() is not None:
            raise TooLong(f"the collector ended with {life.process.returncode}:\n{life.text}")
        answer = probe()
        if answer.status not in (200, 503):
            raise AssertionError(f"answered {answer.status}")
        return answer.status == status

    wait_until(answered, f"answers {status}", _FILLS_S)
    return answer


def quota(directory: Path, seed: int) -> Full:
    """The queue may hold 2 MiB."""
    return Scenario(directory, "quota of 2 MiB", seed, queue="queue_size: 2MiB").run()


def namespaces_work() -> bool:
    """Whether this process may mount a tmpfs where nobody else sees it."""
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(probe, check=False, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def full_disk(directory: Path, seed: int, way: str = "disk") -> Full:
    """`disk` or `stranger`, in a namespace of its own, with which the file system goes."""
    log = directory / "disk.log"
    process = start(["tests.crash.disk", str(directory), str(seed), way], log, UNSHARE)
    try:
        process.wait(4 * _FILLS_S)
    finally:
        if process.poll() is None:
            kill(process)
    result = directory / "disk.json"
    if not result.exists():
        raise AssertionError(f"no result:\n{log.read_text()}")
    found = loads(result.read_text())
    books = found.pop("books")
    return Full(books=Books(**{**books, "missing": frozenset(books["missing"])}), **found)


def main(directory: Path, seed: int, way: str) -> None:
    """In the namespace: mount, run, write down what was seen."""
    storage = directory / "storage"
    storage.mkdir()
    size = f"size={_DISK},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(storage)], check=True)
    scenario = Scenario(directory, WAYS[way], seed, queue="queue_size: 1GiB")
    found = scenario.run(stranger=way == "stranger")
    (directory / "disk.json").write_text(dumps(asdict(found), default=sorted))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
