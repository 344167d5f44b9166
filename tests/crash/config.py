"""The configurations of crash runs. `durable=False` is the queue in memory, which loses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RECEIVERS = """
receivers:
  otlp:
    protocols:
      http: {{ endpoint: "127.0.0.1:{http}" }}
      grpc: {{ endpoint: "127.0.0.1:{grpc}" }}
"""
RETRY = "retry_on_failure: { initial_interval: 100ms, max_interval: 500ms }"
SERVICE = """
service:
  {extensions}
  shutdown_timeout: {shutdown}
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [{exporters}] }}
"""


def exporter(name: str, kind: str, port: int, *, queue: str, timeout: str) -> str:
    """One exporter; `queue` is the inside of `sending_queue`."""
    host = f"127.0.0.1:{port}"
    where = f"http://{host}" if kind == "http" else host
    tls = "" if kind == "http" else "\n    tls: { insecure: true }"
    return f"""
  otlp_{kind}/{name}:
    endpoint: "{where}"{tls}
    compression: {"gzip" if kind == "http" else "none"}
    timeout: {timeout}
    {RETRY}
    sending_queue: {{ {queue} }}
"""


def collector(
    directory: Path,
    http: int,
    grpc: int,
    destinations: Mapping[str, tuple[str, int]],
    *,
    durable: bool = True,
    queue: str = "queue_size: 64MiB",
    storage: str = "",
    timeout: str = "2s",
    shutdown: str = "25s",
) -> str:
    """OTLP in, every destination out. `storage` is the rest of the extension's options."""
    queue = f"{queue}, storage: file_storage" if durable else queue
    exporters = [
        exporter(name, kind, port, queue=queue, timeout=timeout)
        for name, (kind, port) in destinations.items()
    ]
    extension = (
        f'extensions: {{ file_storage: {{ directory: "{directory}/storage" {storage} }} }}\n'
    )
    return (
        RECEIVERS.format(http=http, grpc=grpc)
        + "exporters:"
        + "".join(exporters)
        + (extension if durable else "")
        + SERVICE.format(
            extensions="extensions: [file_storage]" if durable else "",
            shutdown=shutdown,
            exporters=", ".join(f"otlp_{kind}/{name}" for name, (kind, _) in destinations.items()),
        )
    )
