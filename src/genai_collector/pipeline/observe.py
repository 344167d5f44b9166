"""The collector's own telemetry as `service.telemetry` asks for it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from opentelemetry.sdk.metrics.export import MetricReader

from genai_collector import __version__
from genai_collector.component import NoTelemetry, Telemetry
from genai_collector.configfile.schema import MetricsConfig, TelemetryConfig
from genai_collector.telemetry.metrics import SdkTelemetry
from genai_collector.telemetry.otlp_export import otlp_reader
from genai_collector.telemetry.prometheus import CONTENT_TYPE
from genai_collector.telemetry.server import PlainServer, Reply

METRICS_PATH: Final = "/metrics"
_ADDRESS: Final = "service.telemetry.metrics.address"
_LAST_EXPORT_S: Final = 3.0


class OwnTelemetry:
    """Counters, and the endpoint that shows them; an async context manager.

    With `level: none` nothing is counted and nothing listens. Nothing is opened before entering.
    """

    def __init__(self, config: TelemetryConfig, log: logging.Logger) -> None:
        self._log = log
        self._sdk: SdkTelemetry | None = None
        self._server: PlainServer | None = None
        self._address = config.metrics.address
        self.telemetry: Telemetry = NoTelemetry()
        if config.metrics.level != "none":
            self._sdk = _sdk(config)
            self.telemetry = self._sdk
            if self._address is not None:
                self._server = PlainServer(self._address, {METRICS_PATH: self._scrape}, _ADDRESS)

    @property
    def port(self) -> int:
        """The port that metrics are served on."""
        assert self._server is not None
        return self._server.port

    async def __aenter__(self) -> Self:
        if self._server is not None:
            await self._server.__aenter__()
            self._log.info(
                "Serving metrics", extra={"endpoint": self._address, "path": METRICS_PATH}
            )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            await self._server.__aexit__(exc_type, exc, traceback)
        if self._sdk is not None:
            # The last export may wait for a network; shutting down must not wait for it.
            last_export = asyncio.to_thread(self._sdk.shutdown)
            try:
                await asyncio.wait_for(last_export, _LAST_EXPORT_S)
            except TimeoutError:
                self._log.warning("The last export of own metrics was given up")

    def reloaded(self, *, successful: bool) -> None:
        """Count that another configuration was to be used."""
        if self._sdk is not None:
            self._sdk.reloaded(successful=successful)

    def _scrape(self) -> Reply:
        assert self._sdk is not None
        return Reply(200, CONTENT_TYPE, self._sdk.scrape())


def _sdk(config: TelemetryConfig) -> SdkTelemetry:
    return SdkTelemetry(resource_of(config), readers=_readers(config.metrics))


def _readers(config: MetricsConfig) -> list[MetricReader]:
    otlp = config.otlp
    if otlp is None:
        return []
    headers = {name: value.get_secret_value() for name, value in otlp.headers.items()}
    reader = otlp_reader(
        otlp.endpoint, otlp.protocol, otlp.interval, headers, insecure=otlp.insecure
    )
    return [reader]


def resource_of(config: TelemetryConfig) -> Mapping[str, str | int | float | bool]:
    """Attributes of the collector itself: otelcol's three, and what the configuration says."""
    attributes: dict[str, str | int | float | bool | None] = {
        "service.name": "genai-collector",
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
        **config.resource,
    }
    return {key: value for key, value in attributes.items() if value is not None}
