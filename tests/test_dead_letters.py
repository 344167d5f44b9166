"""Dead letters, as an operator meets them: left by a running collector, listed, sent again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from genai_collector.cli.dead_letters import _shown
from genai_collector.delivery.dead_letters import records_name
from genai_collector.formats.otlp import CODEC
from genai_collector.model import Signal, Span
from genai_collector.storage import open_directory
from tests.support.builders import batch, spans
from tests.support.running import Request, collector, free_port, http_sink

CONFIG = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  otlp_http/first:
    endpoint: http://127.0.0.1:{first}
    headers: {{authorization: "Bearer planted-secret"}}
    sending_queue: {{storage: file_storage, batch: {{flush_timeout: 10ms}}}}
  otlp_http/second: {{endpoint: "http://127.0.0.1:{second}"}}
extensions:
  file_storage: {{directory: {directory}}}
service:
  extensions: [file_storage]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_http/first]}}
    traces/second: {{receivers: [otlp], exporters: [otlp_http/second]}}
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


async def dlq(*arguments: str | Path) -> Ran:
    """Run `genai-collector dlq ...` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "genai_collector", "dlq", *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def until(directory: Path, items: int) -> None:
    """Wait until dead letters hold so many items; the test's timeout ends a wait in vain."""
    owner, name = "exporter.otlp_http/first", records_name(Signal.TRACES)
    with open_directory(directory) as storage:
        while storage.records(owner, name).totals.items < items:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.01)


async def listed(config: Path) -> list[dict[str, Any]]:
    ran = await dlq("list", "--config", config, "--format", "json")
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def decoded(bodies: list[bytes]) -> Iterator[Span]:
    for body in bodies:
        yield from CODEC.decode(Signal.TRACES, body)  # type: ignore[misc]


def poisoned(body: bytes) -> bool:
    return any(span.name == "poison" for span in decoded([body]))


class Destination:
    """Refuses requests with the poisoned span, until it is healed."""

    def __init__(self) -> None:
        self.healed = False

    def answer(self, request: Request) -> web.Response:
        if not self.healed and poisoned(request.body):
            return web.Response(status=400, text="cannot digest this")
        return web.Response()


async def test_one_poisoned_span_is_kept_and_sent_again(tmp_path: Path) -> None:
    """The batch is bisected to the poisoned span, which waits on disk, is shown without secrets,
    and is delivered when the destination is mended; the rest was delivered long before."""
    one = Destination()
    sent = spans(40)
    sent[17].name = "poison"
    async with http_sink(one.answer) as first, http_sink(lambda _: web.Response()) as second:
        text = CONFIG.format(
            port=(port := free_port()),
            first=first.port,
            second=second.port,
            directory=tmp_path / "storage",
        )
        async with collector(text, tmp_path), aiohttp.ClientSession() as client:
            config = tmp_path / "collector.yaml"
            response = await client.post(
                f"http://127.0.0.1:{port}/v1/traces",
                data=batch(*sent).encoded(),
                headers={"Content-Type": "application/x-protobuf"},
            )
            assert response.status == 200
            await until(tmp_path / "storage", 1)
            (letter,) = await listed(config)
            assert letter["items"] == letter["refused"] == 1
            assert letter["exporter"] == "otlp_http/first"
            assert letter["attempts"] >= 1
            assert "cannot digest this" in letter["message"]
            shown = await dlq("show", letter["letter"], "--config", config)
            assert '"poison"' in shown.out
            assert "planted-secret" not in shown.out + shown.err
            failed = await dlq("replay", "-c", config, "--all", "--patience", "0")
            assert failed.code == 1
            assert "1 stay" in failed.out
            one.healed = True
            done = await dlq("replay", "-c", config, letter["letter"])
            assert (done.code, await listed(config)) == (0, []), done.err
        taken = [r.body for r in first.requests if not poisoned(r.body)]
        arrived = [span.span_id for span in decoded(taken)]
        replayed = [span.name for span in decoded([first.requests[-1].body])]
        assert sorted(arrived) == sorted(s.span_id for s in sent if s.name != "poison")
        assert replayed == ["poison"]


async def test_to_another_exporter_and_purge(tmp_path: Path) -> None:
    """`--to` sends elsewhere; `purge` forgets; both also without a running collector."""
    one = Destination()
    async with http_sink(one.answer) as first, http_sink(lambda _: web.Response()) as second:
        text = CONFIG.format(
            port=(port := free_port()),
            first=first.port,
            second=second.port,
            directory=tmp_path / "storage",
        )
        config = tmp_path / "collector.yaml"
        async with collector(text, tmp_path), aiohttp.ClientSession() as client:
            for number in range(3):
                bad = spans(1)
                bad[0].name = "poison"
                bad[0].span_id = bytes([number + 1] * 8)
                response = await client.post(
                    f"http://127.0.0.1:{port}/v1/traces",
                    data=batch(*bad).encoded(),
                    headers={"Content-Type": "application/x-protobuf"},
                )
                assert response.status == 200
            await until(tmp_path / "storage", 3)
        before = len(second.requests)
        first_letter = (await listed(config))[0]
        done = await dlq("replay", "-c", config, first_letter["letter"], "--to", "otlp_http/second")
        assert done.code == 0, done.err
        assert len(second.requests) == before + 1
        directory = tmp_path / "storage"
        asked = await dlq("purge", "--directory", directory, "--all")
        assert asked.code == 1, "without an answer nothing is forgotten"
        purged = await dlq("purge", "--directory", directory, "--all", "--yes")
        assert purged.code == 0
        assert await listed(config) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["list", "--directory", "nowhere"], "no such directory"),
        (["replay", "--config", "{config}"], "name the letters, or give --all"),
        (["replay", "--config", "{config}", "a:traces:1"], "there is no letter a:traces:1"),
        (["list", "--config", "missing.yaml"], "missing.yaml"),
    ],
)
async def test_mistakes_are_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    """Wrong use is one clear line and an exit code that is not 0."""
    config = tmp_path / "c.yaml"
    directory = tmp_path / "storage"
    directory.mkdir()
    config.write_text(CONFIG.format(port=0, first=1, second=2, directory=directory))
    ran = await dlq(*(one.format(config=config) for one in arguments))
    assert ran.code in (1, 2)
    assert told in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err


def test_a_message_does_not_steer_the_terminal() -> None:
    """What a destination said has no escapes, line breaks or changes of direction when shown."""
    assert _shown("no \x1b[2Jway\n\x9b31m\u202e \u00e9") == "no  [2Jway  31m  \u00e9"
