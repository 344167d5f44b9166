"""health_check: an HTTP answer for load balancers and Kubernetes probes.

    extensions:
      health_check:
        endpoint: localhost:13133
        path: /

200 once every component has started, 503 before that and from the moment shutdown begins.
Keys and the answer's shape are otelcol's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Annotated, Self

import orjson
from pydantic import AfterValidator

from genai_collector.component import Config, Context, ExtensionFactory
from genai_collector.telemetry.server import PlainServer, Reply, split_endpoint


def _is_endpoint(endpoint: str) -> str:
    split_endpoint(endpoint)
    return endpoint


def _is_path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("expected a path that begins with /")
    return path


class ResponseBody(Config):
    """Fixed texts to answer with, instead of JSON."""

    healthy: str
    """With 200."""
    unhealthy: str
    """With 503."""


class HealthCheckConfig(Config):
    """Where to answer."""

    endpoint: Annotated[str, AfterValidator(_is_endpoint)] = "localhost:13133"
    """Host and port."""
    path: Annotated[str, AfterValidator(_is_path)] = "/"
    """Path of the answer."""
    response_body: ResponseBody | None = None
    """What to answer with. Default: JSON with status, upSince and uptime."""


class HealthCheck:
    def __init__(self, config: HealthCheckConfig, context: Context) -> None:
        self._config = config
        self._context = context
        option = f"extensions.{context.id}.endpoint"
        self._server = PlainServer(config.endpoint, {config.path: self.answer}, option)
        self._up_since: tuple[int, float] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    def ready(self) -> None:
        """Everything has started: healthy from now on."""
        self._up_since = (self._context.wall_clock_ns(), self._context.clock())

    def not_ready(self) -> None:
        """Shutdown begins: unhealthy from now on."""
        self._up_since = None

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        self._context.log.info(
            "Starting health_check extension",
            extra={"endpoint": self._config.endpoint, "path": self._config.path},
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(exc_type, exc, traceback)

    def answer(self) -> Reply:
        """What is answered now."""
        up, body = self._up_since, self._config.response_body
        status = 503 if up is None else 200
        if body is not None:
            text = body.unhealthy if up is None else body.healthy
            return Reply(status, "text/plain; charset=utf-8", text.encode())
        return Reply(
            status, "application/json", orjson.dumps(self._report(up, self._context.clock))
        )

    @staticmethod
    def _report(up: tuple[int, float] | None, clock: Callable[[], float]) -> dict[str, str]:
        if up is None:
            # The zero time of otelcol's answer, which probes may parse.
            return {
                "status": "Server not available",
                "upSince": "0001-01-01T00:00:00Z",
                "uptime": "",
            }
        since = datetime.fromtimestamp(up[0] / 1e9, UTC).isoformat().replace("+00:00", "Z")
        return {"status": "Server available", "upSince": since, "uptime": _uptime(clock() - up[1])}


def _uptime(seconds: float) -> str:
    """As Go writes durations: `1h2m3.5s`."""
    hours, rest = divmod(max(0.0, seconds), 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours or minutes:
        text = f"{int(minutes)}m{text}"
    return f"{int(hours)}h{text}" if hours else text


FACTORY = ExtensionFactory("health_check", HealthCheckConfig, HealthCheck)
