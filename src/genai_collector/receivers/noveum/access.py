"""Who may send: API keys as bearer tokens, and the gateway's Basic credentials on its own path.

All of them are compared, as digests and in constant time, so that the time taken tells nothing.
"""

from __future__ import annotations

import base64

from genai_collector.receivers.noveum.config import NoveumReceiverConfig
from genai_collector.transport.authentication import find, fingerprint


class Access:
    """What the value of an Authorization header allows."""

    def __init__(self, config: NoveumReceiverConfig) -> None:
        self._keys = [_bearer(key.get_secret_value()) for key in config.api_keys]
        self._gateway = list(self._keys)
        elastic = config.elasticsearch
        if elastic is not None and elastic.username:
            self._gateway.append(_basic(elastic.username, elastic.password.get_secret_value()))

    def api(self, authorization: str) -> bool:
        """Whether it may send records and traces."""
        return _is_one_of(authorization, self._keys)

    def gateway(self, authorization: str) -> bool:
        """Whether it may send on the gateway's path; a key is good there, too."""
        return _is_one_of(authorization, self._gateway)


def _bearer(key: str) -> bytes:
    return fingerprint(b"bearer " + key.encode())


def _basic(username: str, password: str) -> bytes:
    return fingerprint(b"basic " + base64.b64encode(f"{username}:{password}".encode()))


def _is_one_of(authorization: str, allowed: list[bytes]) -> bool:
    scheme, _, value = authorization.strip().partition(" ")
    said = f"{scheme.lower()} {value.strip()}".encode("utf-8", "surrogateescape")
    return not allowed or find(said, allowed) is not None
