"""Starting the measured processes and reading their CPU time and memory from the system."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A child process under measurement."""

    def __init__(self, args: list[str], log: pathlib.Path) -> None:
        self._log = log.open("wb")
        self.child = subprocess.Popen(args, stdout=self._log, stderr=subprocess.STDOUT)

    def cpu_s(self) -> float:
        """User and system time so far, in seconds (resolution: one clock tick)."""
        stat = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """Resident memory now, in MiB."""
        pages = pathlib.Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]
        return int(pages) * _PAGE / 2**20

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self._log.close()


def wait_for_port(port: int, process: Process, log: pathlib.Path) -> None:
    """Return when something listens on the port; fail with the process's own words otherwise."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.child.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}:\n{log.read_text(errors='replace')[-4000:]}")


@contextmanager
def started(
    args: list[str], port: int, directory: pathlib.Path, name: str, prefix: Sequence[str] = ()
) -> Iterator[Process]:
    """A module of Python; `prefix` is a command that execs it."""
    log = directory / f"{name}-{port}.log"
    process = Process([*prefix, sys.executable, "-m", *args], log)
    try:
        wait_for_port(port, process, log)
        yield process
    finally:
        process.stop()


@contextmanager
def server(kind: str, directory: pathlib.Path) -> Iterator[tuple[Process, int]]:
    port = free_port()
    with started(["bench.servers", kind, str(port)], port, directory, kind) as process:
        yield process, port


@contextmanager
def collector(
    config: str, port: int, directory: pathlib.Path, prefix: Sequence[str] = ()
) -> Iterator[Process]:
    """The collector on this configuration; ready when its receiver's port answers."""
    path = directory / f"collector-{port}.yaml"
    path.write_text(config)
    args = ["genai_collector", "run", "--config", str(path)]
    with started(args, port, directory, "collector", prefix) as process:
        yield process
