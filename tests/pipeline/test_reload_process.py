"""The real command: what makes it reload, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from genai_collector.pipeline import FileWatch
from tests.pipeline.test_reload_traffic import Sent, World, post, said, world
from tests.support.running import free_port

IN_USE = "The new configuration is in use"
KEEPS = "keeps running"


@asynccontextmanager
async def _here(directory: Path) -> AsyncIterator[World]:
    async with world(directory) as here:
        yield here
        assert await here.running.stop() == 0
        assert "Traceback" not in "".join(here.running.log)


async def test_a_changed_file_is_enough(tmp_path: Path) -> None:
    """Without a signal: written in place, replaced by another file, and the log's level with it."""
    async with _here(tmp_path) as here:
        here.write(1)
        await said(here.running, IN_USE, 1)
        other = tmp_path / "other.yaml"
        text = here.config.read_text().replace("telemetry: {", "telemetry: { logs: {level: warn},")
        other.write_text(text.replace('value: "1"', 'value: "2"'))
        other.rename(here.config)
        await said(here.running, "A configuration file has changed", 2)
        broken = here.config.read_text().replace("exporters: [otlp_http]", "exporters: [nobody]")
        here.config.write_text(broken)
        await said(here.running, KEEPS, 1)
    # Nothing below WARN since the level has changed, and still what is wrong with the third one.
    at = max(n for n, line in enumerate(here.running.log) if "has changed" in line)
    assert not [line for line in here.running.log[at + 1 :] if "\tinfo\t" in line][2:]


async def test_what_is_wrong_and_where(tmp_path: Path) -> None:
    """Every fault with its line; a port that is taken; a certificate that is not there. Each time
    the old configuration serves on, and a good one is taken after that."""
    async with _here(tmp_path) as here:
        good = here.config.read_text()
        here.config.write_text(
            good.replace("compression: none", "compresion: none") + "\nnope: 1\n"
        )
        here.running.process.send_signal(signal.SIGHUP)
        await said(here.running, KEEPS, 1)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            here.config.write_text(
                good.replace(f"localhost:{here.ports['http']}", f"127.0.0.1:{port}")
            )
            here.running.process.send_signal(signal.SIGHUP)
            await said(here.running, KEEPS, 2)
        tls = "tls: { cert_file: none.crt, key_file: none.key }"
        here.config.write_text(good.replace("idle_timeout:", f"{tls}, idle_timeout:"))
        here.running.process.send_signal(signal.SIGHUP)
        await said(here.running, KEEPS, 3)
        assert await here.metric("otelcol_config_last_reload_successful") == {
            "otelcol_config_last_reload_successful": 0
        }
        here.write(1)
        here.running.process.send_signal(signal.SIGHUP)
        await said(here.running, IN_USE, 1)
        reloads = await here.metric("otelcol_config_reloads")
    log = "".join(here.running.log)
    assert "did you mean 'compression'" in log
    assert f"at={here.config}:" in log
    assert "keeps running: 2 faults" in log
    assert f"cannot listen on 127.0.0.1:{port}: address already in use" in log
    assert "none.crt" in log
    assert {labels.split('"')[1]: count for labels, count in reloads.items()} == {
        "failure": 3.0,
        "success": 1.0,
    }


async def test_signals_before_anything_runs(tmp_path: Path) -> None:
    """While it still loads, SIGHUP does not end it, and SIGTERM is a clean end: not ignored, as it
    is by default for the first process of a container, and no traceback."""
    config = tmp_path / "collector.yaml"
    os.mkfifo(config)  # reading it waits, so the command is surely not running yet
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "genai_collector", "run", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    writing = await asyncio.to_thread(os.open, config, os.O_WRONLY)  # returns when it reads
    try:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        os.close(writing)
    assert (process.returncode, output) == (0, b"")


async def test_two_interrupts(tmp_path: Path) -> None:
    """Ctrl-C twice ends it at once with 1, also while a destination does not answer."""
    async with world(tmp_path) as here:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            silent.setblocking(False)
            text = here.config.read_text()
            here.config.write_text(
                text.replace(f":{here.sink.port}", f":{silent.getsockname()[1]}")
            )
            here.running.process.send_signal(signal.SIGHUP)
            await said(here.running, IN_USE, 1)
            async with aiohttp.ClientSession() as session:
                await post(session, here.ports["http"], Sent())
            loop = asyncio.get_running_loop()
            connection, _ = await asyncio.wait_for(loop.sock_accept(silent), 10)
            with connection:
                here.running.process.send_signal(signal.SIGINT)
                await said(here.running, "Starting shutdown", 1)
                here.running.process.send_signal(signal.SIGINT)
                assert await asyncio.wait_for(here.running.process.wait(), 10) == 1
    assert "reasons=shutdown:1" in "".join(here.running.log)


@pytest.mark.parametrize(
    ("before", "after"),
    [("otlp_http", "otlp_http/new"), ("./storage", "./elsewhere")],
    ids=["renamed", "moved"],
)
async def test_what_nobody_delivers_any_more(tmp_path: Path, before: str, after: str) -> None:
    """An exporter with a queue on disk that is not empty gets another name or directory: a warning
    says what is left. Nothing of the kind when only its options change, or its queue is empty."""
    orphaned = "Nothing delivers what is left on disk"
    async with _here(tmp_path) as here:
        here.write(1, storage="file_storage")
        await said(here.running, IN_USE, 1)
        away = here.config.read_text().replace(f":{here.sink.port}", f":{free_port()}")
        here.config.write_text(away)
        await said(here.running, IN_USE, 2)
        async with aiohttp.ClientSession() as session:
            await post(session, here.ports["http"], Sent())
        here.config.write_text(away.replace("compression: none", "compression: gzip"))
        await said(here.running, "Exporter finished", 3)
        assert not [line for line in here.running.log if orphaned in line]
        here.config.write_text(away.replace(before, after))
        await said(here.running, orphaned, 1)
    (line,) = [line for line in here.running.log if orphaned in line]
    assert "\twarn\t" in line
    assert "exporter=otlp_http signal=traces items=1" in line


# ---- files -----------------------------------------------------------------------------------


class Seconds:
    """Time in which things happen: each sleep does the next one, and the watch looks after it."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.happenings = list(happenings)
        self.slept = 0

    async def __call__(self, _seconds: float) -> None:
        if self.slept == len(self.happenings):
            raise TimeoutError
        self.happenings[self.slept]()
        self.slept += 1


def _nothing() -> None:
    """A second in which nothing happens."""


def _link(path: Path, target: str) -> Callable[[], object]:
    """As Kubernetes updates a ConfigMap: the link is replaced by another one."""

    def swap() -> None:
        new = path.with_name("..new")
        new.symlink_to(target)
        new.rename(path)

    return swap


async def _seconds_until_changed(file: Path, *happenings: Callable[[], object]) -> int | None:
    seconds = Seconds(*happenings)
    watch = FileWatch(lambda: [str(file)], sleep=seconds)
    try:
        await watch.changed()
    except TimeoutError:
        return None
    return seconds.slept


async def test_file_watch(tmp_path: Path) -> None:
    """Another content is a change, a second after the last one; another time stamp is none."""
    file = tmp_path / "a.yaml"
    file.write_text("1")

    def write(text: str) -> Callable[[], object]:
        return lambda: file.write_text(text)

    changed = _seconds_until_changed
    assert await changed(file, write("2"), _nothing, _nothing) == 2
    assert await changed(file, write("3"), write("4"), _nothing, _nothing) == 3
    assert await changed(file, lambda: os.utime(file, (1, 1)), _nothing, _nothing) is None
    assert await changed(file, write("5"), write("4"), _nothing, _nothing) is None
    assert await changed(file, file.unlink, _nothing, _nothing) == 2
    assert await changed(file, write("6"), _nothing) == 2


async def test_a_swapped_link_is_a_change(tmp_path: Path) -> None:
    """The two links of a Kubernetes volume: `collector.yaml` -> `..data/...`, `..data` -> a
    folder that is replaced as a whole."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "collector.yaml").write_text(name)
    (tmp_path / "..data").symlink_to("one")
    file = tmp_path / "collector.yaml"
    file.symlink_to("..data/collector.yaml")
    swap = _link(tmp_path / "..data", "two")
    assert await _seconds_until_changed(file, swap, _nothing) == 2


async def test_a_file_that_is_watched_anew_is_no_change(tmp_path: Path) -> None:
    """A configuration that includes another file than before does not reload because of that."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    paths = [str(tmp_path / "a")]
    seconds = Seconds(lambda: paths.append(str(tmp_path / "b")), _nothing, _nothing)
    waiting: Awaitable[None] = FileWatch(lambda: paths, sleep=seconds).changed()
    with pytest.raises(TimeoutError):
        await waiting
