"""Every exporter, with what it would have sent at hand."""

from __future__ import annotations

import gzip
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, get_args

import zstandard
from aiohttp import web

from genai_collector.component import Config, Exporter, ExporterFactory
from genai_collector.components import BUILT_IN
from genai_collector.exporters.debug import Debug, DebugConfig
from genai_collector.exporters.prometheus import Prometheus
from tests.support.fakes import make_context
from tests.support.running import Request, Sink, grpc_sink, http_sink

EXPORTERS: Final = {one.name: one for one in BUILT_IN if isinstance(one, ExporterFactory)}

NETWORK: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "langfuse": ("langfuse", {"public_key": "pk-test", "secret_key": "sk-test"}),
    "langfuse otlp": (
        "langfuse", {"public_key": "pk-test", "secret_key": "sk-test", "mode": "otlp"}),
    "litellm": ("litellm", {"other_spans": "send"}),
    "noveum": ("noveum", {}),
    "noveum traces": ("noveum", {"mode": "traces"}),
    "otlp_http": ("otlp_http", {"compression": "none"}),
    "otlp_http json": ("otlp_http", {"compression": "none", "encoding": "json"}),
}  # fmt: skip
"""Name -> (exporter, options) of those that speak HTTP."""
FILES: Final = ("otlp_json", "otlp_proto", "langfuse", "noveum", "litellm")


class Destinations:
    """All exporters, and everything that left through them."""

    def __init__(self) -> None:
        self.exporters: dict[str, Exporter] = {}
        self.types: set[str] = set()
        self._left: dict[str, Callable[[], bytes]] = {}

    def add(self, name: str, type_: str, exporter: Exporter, left: Callable[[], bytes]) -> None:
        self.exporters[name] = exporter
        self.types.add(type_)
        self._left[name] = left

    def left(self) -> dict[str, bytes]:
        """By exporter, the bytes that a destination would have now."""
        return {name: read() for name, read in self._left.items()}


@asynccontextmanager
async def destinations(directory: Path) -> AsyncIterator[Destinations]:
    async with AsyncExitStack() as stack:
        made = Destinations()
        for name, (type_, options) in NETWORK.items():
            sink = await stack.enter_async_context(http_sink(_accept))
            path = "" if type_ in ("langfuse", "otlp_http") else "/take"
            given = {"endpoint": f"http://127.0.0.1:{sink.port}{path}", **options}
            exporter = await stack.enter_async_context(_make(type_, given))
            made.add(name, type_, exporter, lambda sink=sink: _bodies(sink))  # type: ignore[misc]
        grpc = await stack.enter_async_context(grpc_sink())
        given = {"endpoint": f"127.0.0.1:{grpc.port}", "tls": {"insecure": True}}
        exporter = await stack.enter_async_context(_make("otlp_grpc", given))
        made.add("otlp_grpc", "otlp_grpc", exporter, lambda: _bodies(grpc))
        await _add_local(made, stack, directory)
        yield made


async def _add_local(made: Destinations, stack: AsyncExitStack, directory: Path) -> None:
    for format_ in FILES:
        path = directory / format_
        given = {"path": str(path), "format": format_, "metric_scores": format_ == "langfuse"}
        exporter = await stack.enter_async_context(_make("file", given))
        made.add(f"file {format_}", "file", exporter, path.read_bytes)
    for verbosity in ("normal", "detailed"):
        shown = io.StringIO()
        options = {"verbosity": verbosity, "sampling_initial": 100_000}
        debug = Debug(DebugConfig.model_validate(options), make_context("debug"), shown)
        exporter = await stack.enter_async_context(debug)
        made.add(f"debug {verbosity}", "debug", exporter,
                 lambda shown=shown: shown.getvalue().encode())  # type: ignore[misc]  # fmt: skip
    local: dict[str, Any] = {"endpoint": "127.0.0.1:0",
             "resource_to_telemetry_conversion": {"enabled": True}}  # fmt: skip
    prometheus = _make("prometheus", local)
    assert isinstance(prometheus, Prometheus)
    await stack.enter_async_context(prometheus)
    made.add("prometheus", "prometheus", prometheus, lambda: bytes(prometheus.scrape().body))


def _make(type_: str, options: dict[str, Any]) -> Exporter:
    factory = EXPORTERS[type_]
    config: Config = factory.config.model_validate(options)
    made: Exporter = factory.create(config, make_context(type_))
    return made


def _accept(request: Request) -> web.Response:
    if request.path.endswith("/ingestion"):
        return web.json_response({"successes": [], "errors": []}, status=207)
    return web.json_response({})


def _bodies(sink: Sink) -> bytes:
    """Everything that came, headers included, compressed or not."""
    heads = [
        f"{key}: {value}\n".encode() for one in sink.requests for key, value in one.headers.items()
    ]
    return b"".join([*heads, *(_plain(one.body) for one in sink.requests)])


def _plain(body: bytes) -> bytes:
    if body[:2] == b"\x1f\x8b":
        return gzip.decompress(body)
    if body[:4] == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


def file_formats() -> set[str]:
    """The formats that the file exporter has."""
    field = EXPORTERS["file"].config.model_fields["format"]
    return set(get_args(field.annotation))
