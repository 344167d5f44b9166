"""The `litellm` exporter: bodies, what is left out, answers, and the file format."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.exporters.file import File, FileConfig
from genai_collector.exporters.litellm import Litellm, LitellmConfig
from genai_collector.formats import litellm
from genai_collector.formats.equal import same_span
from genai_collector.formats.otlp import batch_of
from genai_collector.model import Batch, Signal, Span
from genai_collector.transport.http_client import Response
from tests.formats.litellm.material import PAYLOADS
from tests.support.fakes import FakeClock, FakeTransport, make_context

URL = "http://logs.example/litellm"


def call(number: int) -> Span:
    return Span(
        trace_id=b"\1" * 16,
        span_id=bytes([number] * 8),
        name=f"chat {number}",
        start_ns=1_700_000_000_000_000_000,
        end_ns=1_700_000_001_000_000_000,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"},
    )


CALLS = [call(number) for number in (1, 2, 3)]
OTHER = Span(trace_id=b"\1" * 16, span_id=b"\7" * 8, name="GET")


def batch(spans: Sequence[Span]) -> Batch:
    return batch_of(Signal.TRACES, list(spans))


def exporter(*answers: Response | Exception, **options: Any) -> tuple[Litellm, FakeTransport]:
    transport = FakeTransport(*answers)
    config = LitellmConfig.model_validate({"endpoint": URL, **options})
    return Litellm(config, make_context(), transport), transport


@pytest.mark.parametrize("send", ["array", "ndjson", "single"])
async def test_bodies(send: str) -> None:
    """One array, one object per line, or one object per request; always application/json; what
    arrives is the spans again."""
    made, transport = exporter(send=send)
    sent = await made.export(batch(CALLS))
    assert (sent.items, sent.dropped) == (3, {})
    bodies = [body for _, body, _ in transport.requests]
    assert len(bodies) == (3 if send == "single" else 1)
    assert bodies[0][:1] == (b"[" if send == "array" else b"{")
    assert {url for url, _, _ in transport.requests} == {URL}
    assert {headers["Content-Type"] for _, _, headers in transport.requests} == {"application/json"}
    arrived = [payload for body in bodies for payload in litellm.parse(body)]
    assert all(map(same_span, litellm.decode_payloads(arrived), CALLS))
    again, second = exporter(send=send)
    await again.export(batch(CALLS))
    assert second.requests == transport.requests


async def test_payloads_pass_through() -> None:
    """What came from LiteLLM leaves as it came."""
    made, transport = exporter()
    await made.export(batch(litellm.decode_payloads(PAYLOADS)))
    [(_, body, _)] = transport.requests
    assert json.loads(body) == PAYLOADS


async def test_other_spans() -> None:
    """Spans that are no call of a model are counted as dropped, or sent when asked for."""
    made, transport = exporter()
    sent = await made.export(batch([OTHER, *CALLS]))
    assert (sent.items, sent.dropped) == (3, {"not_genai": 1})
    made, transport = exporter(other_spans="send")
    sent = await made.export(batch([OTHER]))
    assert (sent.items, sent.dropped) == (1, {})
    assert json.loads(transport.requests[0][1])[0]["call_type"] == "otel_span"
    made, transport = exporter()
    sent = await made.export(batch([OTHER]))
    assert (sent.items, sent.dropped) == (0, {"not_genai": 1})
    assert not transport.requests


@pytest.mark.parametrize("send", ["array", "ndjson"])
async def test_requests_are_bounded(send: str) -> None:
    """A request stays under its limit; a payload that is larger goes alone."""
    size = len(litellm.dump(litellm.encode_spans(CALLS[:1])[0]))
    for limit, requests in ((2 * size + 10, 2), (3 * size + 10, 1), (10, 3)):
        made, transport = exporter(send=send, max_batch_bytes=limit)
        assert (await made.export(batch(CALLS))).items == 3
        assert len(transport.requests) == requests
        assert all(len(body) <= max(limit, size + 2) for _, body, _ in transport.requests)


async def test_compression() -> None:
    """gzip where it is asked for."""
    made, transport = exporter(compression="gzip")
    await made.export(batch(CALLS))
    [(_, body, headers)] = transport.requests
    assert headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_try_again(status: int) -> None:
    """What may be taken later is retried."""
    made, _ = exporter(Response(status, {"Retry-After": "7"}))
    with pytest.raises(Retryable) as caught:
        await made.export(batch(CALLS))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(("status", "data_fault"), [(400, True), (413, True), (401, False)])
async def test_refused(status: int, data_fault: bool) -> None:
    """A refusal is for good, and says whether the data is to blame."""
    made, _ = exporter(Response(status))
    with pytest.raises(Permanent) as caught:
        await made.export(batch(CALLS))
    assert caught.value.data_fault is data_fault


async def test_what_was_sent_is_not_sent_again() -> None:
    """An attempt of several requests that fails midway leaves only the rest."""
    made, _ = exporter(Response(200), Response(503), send="single")
    with pytest.raises(Partial) as caught:
        await made.export(batch([OTHER, *CALLS]))
    assert caught.value.sent == 1
    assert caught.value.dropped == {"not_genai": 1}
    assert [span.name for span in caught.value.remaining.view_spans()] == ["chat 2", "chat 3"]


async def test_a_bad_record_alone() -> None:
    """One payload that is refused among others is dropped, the others go."""
    made, _ = exporter(Response(200), Response(400), Response(200), send="single")
    sent = await made.export(batch(CALLS))
    assert (sent.items, sent.dropped) == (2, {"bad_request": 1})


async def test_a_long_attempt_ends_in_good_time() -> None:
    """At half its timeout an attempt leaves the rest to the next one."""
    clock = FakeClock()

    class Slow(FakeTransport):
        async def post(self, url: str, body: bytes, headers: Any) -> Response:
            clock.advance(6)
            return await super().post(url, body, headers)

    config = LitellmConfig(endpoint=URL, send="single", timeout=10.0)
    made = Litellm(config, make_context(clock=clock), Slow())
    with pytest.raises(Partial) as caught:
        await made.export(batch(CALLS))
    assert (caught.value.sent, caught.value.remaining.count) == (1, 2)


def test_configuration() -> None:
    """The address is required; unknown keys and formats are refused; headers stay secret."""
    for wrong in ({}, {"endpoint": URL, "send": "xml"}, {"endpoint": URL, "sned": "array"}):
        with pytest.raises(ValidationError):
            LitellmConfig.model_validate(wrong)
    config = LitellmConfig.model_validate(
        {"endpoint": URL, "headers": {"Authorization": "Bearer secret"}}
    )
    assert "secret" not in repr(config)


async def test_file_format(tmp_path: Path) -> None:
    """`format: litellm` writes one payload per line; metrics and logs have no form."""
    path = tmp_path / "out.jsonl"
    config = FileConfig.model_validate({"path": str(path), "format": "litellm"})
    async with File(config, make_context()) as file:
        sent = await file.export(batch([OTHER, *CALLS]))
        assert (sent.items, sent.dropped) == (4, {})
        assert (await file.export(batch_of(Signal.LOGS, []))).items == 0
    lines = path.read_bytes().splitlines()
    assert len(lines) == 4
    again = litellm.decode_payloads(litellm.parse(path.read_bytes()))
    assert all(map(same_span, again, [OTHER, *CALLS]))
