"""OTLP over HTTP, case by case, with a real client on a real port."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import aiohttp
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from genai_collector.component import Acceptance
from genai_collector.errors import (
    ConfigError,
    DecodeError,
    Overloaded,
    Permanent,
    PipelineError,
    QueueFull,
    Retryable,
    TooLarge,
)
from genai_collector.model import Signal
from genai_collector.transport.compression import ENCODINGS, compress
from genai_collector.transport.http_server import HttpListeners
from tests.receivers.harness import (
    EXAMPLES,
    PATHS,
    RecordingConsumer,
    Running,
    build,
    protobuf_request,
    receiving,
)
from tests.support.captures import shared

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MEDIA = [PROTOBUF, JSON]


class Answer:
    """What came back, with its Status if it is a refusal."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def media(self) -> str:
        return self.headers["content-type"]

    def refusal(self) -> tuple[int, str, float | None]:
        """Code, message and retry delay of the google.rpc.Status in the body."""
        if self.media == PROTOBUF:
            status = status_pb2.Status.FromString(self.body)
            for detail in status.details:
                info = error_details_pb2.RetryInfo()
                assert detail.Unpack(info)
                return status.code, status.message, info.retry_delay.ToNanoseconds() / 1e9
            return status.code, status.message, None
        document = json.loads(self.body)
        for detail in document.get("details", []):
            assert detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo"
            return document["code"], document["message"], float(detail["retryDelay"][:-1])
        return document["code"], document["message"], None


async def send(
    running: Running,
    body: Any,
    *,
    path: str = "/v1/traces",
    method: str = "POST",
    media: str = PROTOBUF,
    headers: dict[str, str] | None = None,
) -> Answer:
    headers = {"Content-Type": media, **(headers or {})}
    if isinstance(body, bytes) and body:
        body = io.BytesIO(body)  # the client warns of large bytes
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, running.http + path, data=body, headers=headers) as response,
    ):
        return Answer(response.status, dict(response.headers), await response.read())


def json_request(items: int = 3) -> bytes:
    spans = [
        {"traceId": "01" * 16, "spanId": "02" * 8, "name": str(at), "unknownField": {"a": [1]}}
        for at in range(items)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


def body_of(media: str) -> bytes:
    return protobuf_request(Signal.TRACES) if media == PROTOBUF else json_request()


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("encoding", ["", "identity", "none", *ENCODINGS])
async def test_protobuf_accepted(signal: Signal, encoding: str) -> None:
    """Every signal and coding is taken, answered with no bytes, counted, and kept as it came."""
    request = protobuf_request(signal)
    body = compress(encoding, request)
    headers = {"Content-Encoding": encoding} if encoding else {}
    async with receiving() as running:
        answer = await send(running, body, path=PATHS[signal], headers=headers)
        assert (answer.status, answer.media, answer.body) == (200, PROTOBUF, b"")
        [batch] = running.consumers[signal].batches
        assert (batch.signal, batch.count, batch.encoded()) == (signal, 3, request)
        if encoding in ENCODINGS:
            assert batch.compressed == (encoding, body)
        else:
            assert batch.compressed is None
        assert running.consumers[signal].admitted == [len(body)]
        assert running.telemetry.counts == {("received", "otlp", "http"): 3}


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("encoding", ["", *ENCODINGS])
async def test_json_examples_accepted(signal: Signal, encoding: str) -> None:
    """The specification's own JSON examples are taken, and answered with an empty object."""
    body = compress(encoding, shared(f"schemas/otlp_examples/{EXAMPLES[signal]}").read_bytes())
    headers = {"Content-Encoding": encoding} if encoding else {}
    async with receiving() as running:
        answer = await send(running, body, path=PATHS[signal], media=JSON, headers=headers)
        assert (answer.status, answer.media, answer.body) == (200, JSON, b"{}")
        [batch] = running.consumers[signal].batches
        assert batch.count == (4 if signal is Signal.METRICS else 1)
        assert batch.compressed is None


async def test_large_bodies_are_taken() -> None:
    """Bodies far above the size from which threads do the work come through whole."""
    request = protobuf_request(Signal.TRACES, 400, "x" * 10_000)
    document = json_request(20_000)
    async with receiving() as running:
        for encoding in ("", *ENCODINGS):
            headers = {"Content-Encoding": encoding}
            assert (await send(running, compress(encoding, request), headers=headers)).status == 200
            body = compress(encoding, document)
            answer = await send(running, body, media=JSON, headers=headers)
            assert answer.status == 200
        assert [batch.count for batch in running.batches] == [400, 20_000] * 4
        assert all(batch.encoded() == request for batch in running.batches[::2])


@pytest.mark.parametrize(
    ("media", "body"),
    [(PROTOBUF, b""), (JSON, b""), (JSON, b"{}"), (JSON, b'{"resourceSpans":[]}')],
)
async def test_empty_request_succeeds(media: str, body: bytes) -> None:
    """A request without items succeeds and reaches nobody."""
    async with receiving() as running:
        for headers in ({}, {"Content-Encoding": "gzip"}):
            answer = await send(running, compress(headers.get("Content-Encoding", ""), body),
                                media=media, headers=headers)  # fmt: skip
            assert (answer.status, answer.media) == (200, media)
            assert answer.body == (b"" if media == PROTOBUF else b"{}")
        assert (await send(running, b"", headers={"Content-Encoding": "gzip"})).status == 200
        assert not running.batches


async def test_content_type_parameters_are_ignored() -> None:
    """charset and upper case do not matter."""
    async with receiving() as running:
        answer = await send(running, json_request(), media="Application/JSON; charset=utf-8")
        assert (answer.status, answer.media) == (200, JSON)


async def test_chunked_body() -> None:
    """A body of unknown length is admitted as size 0 and taken."""

    async def pieces() -> Any:
        request = protobuf_request(Signal.TRACES)
        yield request[:10]
        yield request[10:]

    async with receiving() as running:
        assert (await send(running, pieces())).status == 200
        assert running.traces.admitted == [0]
        assert running.batches[0].count == 3


async def test_expect_continue() -> None:
    """A client that asks first, as curl does for large bodies, is told to go on."""
    async with receiving() as running, aiohttp.ClientSession() as session:
        headers = {"Content-Type": PROTOBUF}
        body = protobuf_request(Signal.TRACES)
        url = running.url(Signal.TRACES)
        async with session.post(url, data=body, headers=headers, expect100=True) as response:
            assert response.status == 200


SMALL = {"http": {"endpoint": "127.0.0.1:0", "max_request_body_size": 1000}}

REFUSED: list[tuple[str, dict[str, Any], int, int, dict[str, str]]] = [
    # (what, how to send, HTTP status, code in the Status, headers that must come)
    ("malformed", {"body": b"\xff\xff"}, 400, 3, {}),
    ("damaged gzip", {"body": b"\xff", "headers": {"Content-Encoding": "gzip"}}, 400, 3, {}),
    ("damaged zstd", {"body": b"\xff", "headers": {"Content-Encoding": "zstd"}}, 400, 3, {}),
    ("damaged zlib", {"body": b"\xff", "headers": {"Content-Encoding": "deflate"}}, 400, 3, {}),
    ("unknown path", {"path": "/v1/profiles"}, 404, 5, {}),
    ("longer path", {"path": "/v1/traces/"}, 404, 5, {}),
    ("get", {"method": "GET"}, 405, 12, {"allow": "OPTIONS, POST"}),
    ("put", {"method": "PUT"}, 405, 12, {"allow": "OPTIONS, POST"}),
    ("delete", {"method": "DELETE"}, 405, 12, {"allow": "OPTIONS, POST"}),
    ("too large", {"body": b"\n" * 1001}, 413, 8, {}),
    (
        "too large inside",
        {"body": compress("gzip", b"\n" * 1001), "headers": {"Content-Encoding": "gzip"}},
        413, 8, {},
    ),
    (
        "unknown coding",
        {"headers": {"Content-Encoding": "br"}},
        415, 3, {"accept-encoding": "gzip, deflate, zstd"},
    ),
    (
        "two codings",
        {"headers": {"Content-Encoding": "gzip, gzip"}},
        415, 3, {"accept-encoding": "gzip, deflate, zstd"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize(
    ("how", "http", "code", "headers"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
async def test_refusals(
    media: str, how: dict[str, Any], http: int, code: int, headers: dict[str, str]
) -> None:
    """Each kind of bad request gets its status, and a google.rpc.Status in its own encoding."""
    async with receiving(SMALL) as running:
        answer = await send(running, **{"body": b"", "media": media, **how})
        assert (answer.status, answer.media) == (http, media)
        found, message, delay = answer.refusal()
        assert (found, delay) == (code, None)
        assert message
        assert "retry-after" not in answer.headers
        assert {name: answer.headers.get(name) for name in headers} == headers
        assert not running.batches


async def test_too_large_is_final_when_queues_are_full() -> None:
    """What never fits is 413 although nothing has room now: 503 would bring it back for ever."""
    async with receiving(SMALL) as running:
        running.consumers[Signal.TRACES].refuse_entry = QueueFull("full")
        answer = await send(running, b"\n" * 1001)
        assert (answer.status, answer.headers.get("retry-after")) == (413, None)
        assert (await send(running, b"\n" * 1000)).status == 503


@pytest.mark.parametrize("media", ["", "text/plain", "application/grpc", "application/protobuf"])
async def test_unknown_content_type(media: str) -> None:
    """Another content type is 415 with what is accepted, in JSON."""
    async with receiving() as running:
        answer = await send(running, b"", media=media)
        assert (answer.status, answer.media) == (415, JSON)
        assert answer.refusal()[0] == 3
        assert answer.headers["accept"] == "application/x-protobuf, application/json"


async def test_head_and_options() -> None:
    """HEAD is no way to send: 405 without a body. OPTIONS says what is."""
    async with receiving() as running:
        head = await send(running, b"", method="HEAD")
        assert (head.status, head.body) == (405, b"")
        options = await send(running, b"", method="OPTIONS")
        assert (options.status, options.headers["allow"]) == (204, "OPTIONS, POST")
        assert (await send(running, b"", method="OPTIONS", path="/")).status == 404


async def test_signal_without_pipeline() -> None:
    """A signal that no pipeline takes has no path."""
    async with receiving(signals=frozenset({Signal.METRICS})) as running:
        assert (await send(running, b"")).status == 404
        assert (await send(running, b"", path="/v1/metrics")).status == 200


RAISED: list[tuple[PipelineError, int, int, float | None, str | None]] = [
    # (raised, HTTP status, code, RetryInfo, Retry-After)
    (QueueFull("full"), 503, 14, 1.0, "1"),
    (QueueFull("full", retry_after=2.25), 503, 14, 2.25, "3"),
    (Overloaded("memory", retry_after=60), 503, 14, 60.0, "60"),
    (Retryable("later", retry_after=0), 503, 14, 0.0, "1"),
    (DecodeError("bad"), 400, 3, None, None),
    (TooLarge("big"), 413, 8, None, None),
    (Permanent("no"), 500, 13, None, None),
    (Permanent("cannot be encoded", data_fault=True), 400, 3, None, None),
]


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize(
    ("raised", "http", "code", "delay", "retry_after"),
    RAISED,
    ids=[f"{type(row[0]).__name__}-{row[3]}" for row in RAISED],
)
async def test_pipelines_refuse(
    media: str,
    raised: PipelineError,
    http: int,
    code: int,
    delay: float | None,
    retry_after: str | None,
) -> None:
    """What the pipelines raise, before reading or after, becomes status, Status and Retry-After."""
    async with receiving() as running:
        running.traces.refuse = raised
        late = await send(running, body_of(media), media=media)
        assert running.telemetry.counts == {("refused", "otlp", "http"): 3}
        running.traces.refuse_entry = raised
        early = await send(running, body_of(media), media=media)
        assert running.telemetry.counts == {("refused", "otlp", "http"): 3}
        for answer in (late, early):
            assert (answer.status, answer.media) == (http, media)
            assert answer.refusal() == (code, str(raised), delay)
            assert answer.headers.get("retry-after") == retry_after


async def test_refused_before_reading() -> None:
    """Overload is answered although the body has not arrived yet."""
    async with receiving() as running:
        running.traces.refuse_entry = Overloaded("memory")
        host, _, port = running.http.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
        writer.close()


@pytest.mark.parametrize("media", MEDIA)
async def test_partial_success(media: str) -> None:
    """What the pipelines refuse for good is told with its number and reason, and counted."""
    async with receiving() as running:
        running.traces.answer = Acceptance(rejected=2, message="too old")
        answer = await send(running, body_of(media), media=media)
        assert answer.status == 200
        if media == JSON:
            partial = {"rejectedSpans": "2", "errorMessage": "too old"}
            assert json.loads(answer.body) == {"partialSuccess": partial}
        else:
            response = ExportTraceServiceResponse.FromString(answer.body)
            assert response.partial_success.rejected_spans == 2
            assert response.partial_success.error_message == "too old"
        assert running.telemetry.counts == {
            ("received", "otlp", "http"): 1,
            ("refused", "otlp", "http"): 2,
        }


async def test_partial_success_of_other_signals() -> None:
    """Metrics and logs have their own field for the number."""
    async with receiving() as running:
        for signal in (Signal.METRICS, Signal.LOGS):
            running.consumers[signal].answer = Acceptance(rejected=1, message="no")
        body = protobuf_request(Signal.METRICS)
        answer = await send(running, body, path="/v1/metrics")
        metrics = ExportMetricsServiceResponse.FromString(answer.body)
        assert metrics.partial_success.rejected_data_points == 1
        answer = await send(running, protobuf_request(Signal.LOGS), path="/v1/logs")
        logs = ExportLogsServiceResponse.FromString(answer.body)
        assert logs.partial_success.rejected_log_records == 1
        example = shared("schemas/otlp_examples/metrics.json").read_bytes()
        answer = await send(running, example, path="/v1/metrics", media=JSON)
        assert json.loads(answer.body)["partialSuccess"]["rejectedDataPoints"] == "1"


async def test_warning() -> None:
    """A message without rejected items is a warning to the client, not a failure."""
    async with receiving() as running:
        running.traces.answer = Acceptance(message="careful")
        answer = await send(running, json_request(), media=JSON)
        assert json.loads(answer.body) == {"partialSuccess": {"errorMessage": "careful"}}
        response = ExportTraceServiceResponse.FromString(
            (await send(running, protobuf_request(Signal.TRACES))).body
        )
        assert response.partial_success.error_message == "careful"


async def test_json_items_that_are_none() -> None:
    """Spans that are not spans are rejected one by one; the others are taken."""
    spans = [{"traceId": "01" * 16, "spanId": "02" * 8}, {"traceId": "not hex"}, 5]
    document = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    async with receiving() as running:
        answer = await send(running, json.dumps(document).encode(), media=JSON)
        assert answer.status == 200
        partial = json.loads(answer.body)["partialSuccess"]
        assert partial["rejectedSpans"] == "2"
        assert "spans[1]" in partial["errorMessage"]
        assert [batch.count for batch in running.batches] == [1]
        assert running.telemetry.counts == {
            ("received", "otlp", "http"): 1,
            ("refused", "otlp", "http"): 2,
        }


@pytest.mark.parametrize("media", MEDIA)
async def test_a_bug_is_answered_and_logged_without_content(
    media: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception nobody foresaw is a 500 Status; the log has its place once, and no payload."""
    async with receiving() as running:
        running.traces.refuse = ZeroDivisionError("secret prompt")
        with caplog.at_level(logging.DEBUG, "genai_collector"):
            for _ in range(3):
                answer = await send(running, body_of(media), media=media)
                assert (answer.status, answer.media) == (500, media)
                assert answer.refusal() == (13, "internal error", None)
    assert "secret" not in caplog.text
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 3
    assert ["harness.py" in record.getMessage() for record in errors] == [True] * 3
    assert ["\n" in record.getMessage() for record in errors] == [True, False, False]
    assert not any(record.exc_info for record in errors)


async def test_own_paths() -> None:
    """The paths are configurable, with or without the leading slash."""
    own = {"endpoint": "127.0.0.1:0", "traces_url_path": "in/traces", "logs_url_path": "/l"}
    async with receiving({"http": own}) as running:
        assert (await send(running, b"", path="/in/traces")).status == 200
        assert (await send(running, b"", path="/l?token=1")).status == 200
        assert (await send(running, b"", path="/v1/traces")).status == 404


async def test_compression_algorithms() -> None:
    """Codings can be switched off, no compression too."""
    http = {"endpoint": "127.0.0.1:0", "compression_algorithms": ["zstd"]}
    body = protobuf_request(Signal.TRACES)
    async with receiving({"http": http}) as running:
        for encoding, status in (("zstd", 200), ("gzip", 415), ("", 415)):
            headers = {"Content-Encoding": encoding} if encoding else {}
            answer = await send(running, compress(encoding, body), headers=headers)
            assert answer.status == status
            assert answer.headers.get("accept-encoding") == (None if status == 200 else "zstd")


async def test_receivers_share_the_hosts_listeners() -> None:
    """Two receivers on one endpoint are one server, which the host opens and closes."""
    listeners = HttpListeners()
    first, second = RecordingConsumer(), RecordingConsumer()
    own = {"endpoint": "127.0.0.1:0", "traces_url_path": "/second"}
    receivers = [
        build({"http": {"endpoint": "127.0.0.1:0"}}, {Signal.TRACES: first}, None, listeners),
        build({"http": own}, {Signal.TRACES: second}, None, listeners, id="otlp/2"),
    ]
    async with receivers[0], receivers[1]:
        assert receivers[0].endpoints() == []
        await listeners.start()
        [url] = receivers[0].endpoints()
        assert receivers[1].endpoints() == [url]
        headers = {"Content-Type": PROTOBUF}
        async with aiohttp.ClientSession() as session:
            for path in ("/v1/traces", "/second"):
                body = protobuf_request(Signal.TRACES)
                async with session.post(url + path, data=body, headers=headers) as response:
                    assert response.status == 200
        await listeners.stop(1)
    assert (len(first.batches), len(second.batches)) == (1, 1)


def test_receivers_that_cannot_share() -> None:
    """One path for two receivers, or two sizes for one endpoint, is a configuration error."""
    for options, said in (
        ({}, "already served by receivers.otlp.protocols.http"),
        ({"max_request_body_size": "1MiB"}, "max_request_body_size"),
    ):
        listeners = HttpListeners()
        endpoint = {"endpoint": "127.0.0.1:0"}
        consumers = {Signal.TRACES: RecordingConsumer()}
        build({"http": endpoint}, consumers, None, listeners)
        with pytest.raises(ConfigError, match=rf"receivers\.otlp/2\.protocols\.http.*{said}"):
            build({"http": {**endpoint, **options}}, consumers, None, listeners, id="otlp/2")


async def test_two_codings() -> None:
    """Two Content-Encoding headers, or a list of codings in one, are unsupported."""
    async with receiving() as running, aiohttp.ClientSession() as session:
        for headers in (
            [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")],
            [("Content-Encoding", "gzip, gzip")],
            [("Content-Encoding", "identity"), ("Content-Encoding", "identity")],
        ):
            async with session.post(
                running.url(Signal.TRACES),
                data=b"",
                headers=[("Content-Type", "application/x-protobuf"), *headers],
            ) as response:
                assert response.status == 415
                assert "gzip" in response.headers["Accept-Encoding"]
        assert running.telemetry.turned_away == {("http", "unsupported"): 3}


@pytest.mark.parametrize("body", [b"[" + b"{}," * 4000 + b"{}]", b"[" + b"0," * 40_000 + b"0]"])
async def test_too_many_values(body: bytes) -> None:
    """A document of more values than asked for is refused before it is parsed."""
    http = {"endpoint": "127.0.0.1:0", "max_request_values": 3000}
    async with receiving({"http": http}) as running, aiohttp.ClientSession() as session:
        for sent in (body, body.replace(b"{}", b"1").replace(b"0,", b"")):
            async with session.post(
                running.url(Signal.TRACES), data=sent, headers={"Content-Type": "application/json"}
            ) as response:
                assert response.status == (413 if sent is body else 400)
