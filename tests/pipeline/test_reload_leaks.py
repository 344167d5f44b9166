"""Many reloads in one process leave nothing behind: no task, no thread, no open file."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from genai_collector.components import all_factories
from genai_collector.configfile import load
from genai_collector.configfile.schema import Loaded
from genai_collector.model import Signal
from genai_collector.pipeline import Host, build
from tests.pipeline.house import LOG
from tests.receivers.harness import protobuf_request

RELOADS = 20
BODY = protobuf_request(Signal.TRACES)
HEADERS = {"Content-Type": "application/x-protobuf"}
_CONFIG = """
extensions:
  file_storage: {{ directory: {directory}/storage }}
receivers:
  otlp:
    protocols:
      http: {{ endpoint: "127.0.0.1:0" }}
      grpc: {{ endpoint: "127.0.0.1:0" }}
  langfuse: {{ endpoint: "127.0.0.1:0", assembly: {{ storage: file_storage }} }}
connectors:
  genai_events: {{ storage: file_storage }}
exporters:
  file:
    path: {directory}/out.jsonl
    timeout: {number}s
    sending_queue: {{ storage: file_storage, num_consumers: {consumers} }}
  file/other:
    path: {directory}/other.jsonl
service:
  extensions: [file_storage]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces/in: {{ receivers: [otlp, langfuse], exporters: [genai_events, file/other] }}
    traces: {{ receivers: [genai_events], exporters: [file] }}
    logs: {{ receivers: [otlp, langfuse], exporters: [genai_events] }}
"""


@pytest.fixture(autouse=True)
def _same_garbage_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Held:
    """What the process has open."""

    def __init__(self) -> None:
        gc.collect()
        self.tasks = len(asyncio.all_tasks())
        self.threads = sum("storage" in thread.name for thread in threading.enumerate())
        self.files = len(list(Path("/proc/self/fd").iterdir()))


async def test_many_reloads_leave_nothing(tmp_path: Path) -> None:
    """After the last as after the second: as many tasks, threads and files; the queue on disk
    has been handed from one to the next, and all that was sent has arrived."""
    numbers = count(1)

    def loaded() -> Loaded:
        number = next(numbers)
        text = _CONFIG.format(directory=tmp_path, number=number, consumers=1 + number % 3)
        return load([f"yaml:{text}"], [], all_factories(), {})

    host = Host(build(loaded().config, log=LOG), LOG, load=loaded)
    running = asyncio.create_task(host.run())
    otlp = host.service.component("receiver", "otlp")
    while not otlp.endpoints():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    held: list[Held] = []
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(RELOADS):
                otlp = host.service.component("receiver", "otlp")
                url = next(one for one in otlp.endpoints() if one.startswith("http://"))
                async with session.post(f"{url}/v1/traces", data=BODY, headers=HEADERS) as answer:
                    assert answer.status == 200
                assert await host.reload()
                while host._retiring:
                    await asyncio.wait(host._retiring)
                held.append(Held())
    finally:
        host.ask_to_stop()
        assert await running == 0
    # What waits and tries again comes and goes; what is left behind would be one of each reload.
    assert held[-1].tasks <= held[1].tasks + 4
    assert held[-1].threads == held[1].threads
    assert held[-1].files <= held[1].files + 4
    for name in ("out.jsonl", "other.jsonl"):
        assert (tmp_path / name).read_text().count('"spanId"') == RELOADS * 3
