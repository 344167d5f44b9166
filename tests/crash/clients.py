"""Real OTLP clients, each in a thread of its own, sending numbered spans until SIGTERM.

    python -m tests.crash.clients RUN DIRECTORY HTTP_PORT GRPC_PORT PAUSE_S [HOW_MANY]

The exporters are the OpenTelemetry SDK's, over HTTP and gRPC, plain and compressed in turn. A span
is acknowledged when `export()` returned SUCCESS, and then written to DIRECTORY/client-N.acked; a
client that got anything else goes on with new spans, as an app would. At the end,
DIRECTORY/client-N.sent says how many numbers were used.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.crash import spans

_NUMBERS_EACH: Final = 10_000_000
_MAX_SPANS: Final = 40
_TIMEOUT_S: Final = 2
_AFTER_REFUSAL_S: Final = 0.03


def exporter(client: int, http_port: int, grpc_port: int) -> SpanExporter:
    """The exporter of this client."""
    compressed = client % 4 > 1
    if client % 2 == 0:
        return HttpSpans(
            f"http://127.0.0.1:{http_port}/v1/traces",
            timeout=_TIMEOUT_S,
            compression=Compression.Gzip if compressed else Compression.NoCompression,
        )
    grpc_compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    # By itself, a channel waits one second up to two minutes before it looks for a server again.
    options: Any = tuple(
        (f"grpc.{which}_reconnect_backoff_ms", 100) for which in ("initial", "min", "max")
    )
    return GrpcSpans(
        f"http://127.0.0.1:{grpc_port}",
        insecure=True,
        timeout=_TIMEOUT_S,
        compression=grpc_compression,
        channel_options=options,
    )


def send(
    run: int, client: int, out: SpanExporter, directory: Path, pause_s: float, stop: threading.Event
) -> None:
    """Send until told to stop."""
    rng = random.Random(run + client)
    number = client * _NUMBERS_EACH + 1
    acked = os.open(
        directory / f"client-{client}.acked", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
    )
    while not stop.is_set():
        batch = [spans.span(run, number + n) for n in range(rng.randint(1, _MAX_SPANS))]
        number += len(batch)
        lines = "".join(f"{one.line}\n" for one in spans.sent(batch))
        if out.export(batch) is SpanExportResult.SUCCESS:
            os.write(acked, lines.encode())
            stop.wait(pause_s)
        else:
            stop.wait(_AFTER_REFUSAL_S)
    os.close(acked)
    (directory / f"client-{client}.sent").write_text(str(number - 1 - client * _NUMBERS_EACH))


def main(arguments: list[str]) -> None:
    run, directory = int(arguments[0]), Path(arguments[1])
    http_port, grpc_port = int(arguments[2]), int(arguments[3])
    pause_s, how_many = float(arguments[4]), int(arguments[5]) if len(arguments) > 5 else 4
    logging.disable(logging.CRITICAL)  # refusals are what this is about
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(
            target=send,
            args=(run, n, exporter(n, http_port, grpc_port), directory, pause_s, stop),
            daemon=True,
        )
        for n in range(how_many)
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(0.2):
        pass
    for thread in threads:
        thread.join(15)


if __name__ == "__main__":
    main(sys.argv[1:])
