"""Cross-origin requests: lets pages in a browser send telemetry. Option names are otelcol's.

An origin pattern may hold one `*` for any text. Naming origins also allows their cookies; the lone
`*` allows everyone and therefore no cookies.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web
from multidict import CIMultiDict
from pydantic import Field, field_validator

from genai_collector.component import Config

_ALWAYS_ALLOWED: Final = ("Accept", "Content-Type", "Origin", "X-Requested-With")


class CorsConfig(Config):
    """Which pages may send to this listener. Off unless origins are named."""

    allowed_origins: list[str] = Field(default_factory=list)
    """Origins such as `https://app.example.com` or `https://*.example.com`; `*` for any."""
    allowed_headers: list[str] = Field(default_factory=list)
    """Request headers to allow beside the usual ones; `*` for any."""
    exposed_headers: list[str] = Field(default_factory=list)
    """Response headers that the page may read."""
    max_age: int = Field(default=0, ge=0)
    """Seconds for which a browser may remember the answer; 0 leaves it to the browser."""

    @field_validator("allowed_origins")
    @classmethod
    def _one_wildcard(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin.count("*") > 1:
                raise ValueError("an origin may contain one * at most")
        return origins


class Cors:
    """The headers that go with a request's origin."""

    def __init__(self, config: CorsConfig, methods: str = "POST") -> None:
        self._config = config
        self._methods = methods
        self._any = "*" in config.allowed_origins
        self._origins = [origin.lower().partition("*") for origin in config.allowed_origins]

    def _allows(self, origin: str) -> bool:
        origin = origin.lower()
        return any(
            len(origin) >= len(head) + len(tail)
            and origin.startswith(head)
            and origin.endswith(tail)
            if star
            else origin == head
            for head, star, tail in self._origins
        )

    def _origin_headers(self, request: web.BaseRequest) -> dict[str, str]:
        origin = request.headers.get("Origin")
        if origin is None or not self._allows(origin):
            return {}
        if self._any:
            return {"Access-Control-Allow-Origin": "*"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
        }

    def is_preflight(self, request: web.BaseRequest) -> bool:
        """Whether a browser asks for permission instead of sending data."""
        headers = request.headers
        return (
            request.method == "OPTIONS"
            and "Origin" in headers
            and "Access-Control-Request-Method" in headers
        )

    def preflight(self, request: web.BaseRequest) -> web.Response:
        """The answer to `is_preflight`; one without permission if the origin is not allowed."""
        headers = self._origin_headers(request)
        if headers:
            asked = request.headers.get("Access-Control-Request-Headers", "")
            allowed = [*_ALWAYS_ALLOWED, *self._config.allowed_headers]
            headers["Access-Control-Allow-Methods"] = self._methods
            headers["Access-Control-Allow-Headers"] = (
                asked if "*" in self._config.allowed_headers else ", ".join(allowed)
            )
            if self._config.max_age:
                headers["Access-Control-Max-Age"] = str(self._config.max_age)
        headers["Vary"] = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
        return web.Response(status=204, headers=headers)

    def add_to(self, headers: CIMultiDict[str], request: web.BaseRequest) -> None:
        """Marks an answer as readable by the page that asked."""
        headers["Vary"] = "Origin"
        granted = self._origin_headers(request)
        headers.update(granted)
        if granted and self._config.exposed_headers:
            headers["Access-Control-Expose-Headers"] = ", ".join(self._config.exposed_headers)
