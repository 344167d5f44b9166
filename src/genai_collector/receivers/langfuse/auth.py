"""Who is asking: Basic credentials against the configured key pairs.

Langfuse takes `Basic base64(public:secret)` for everything, and `Bearer public` for scores alone.
All pairs are compared, as digests and each in constant time, so that the time taken tells nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from genai_collector.receivers.langfuse.config import ProjectConfig
from genai_collector.transport.authentication import fingerprint


class Access(NamedTuple):
    """What a client may do."""

    project: str
    """The name of its project; empty where none are configured."""
    scores_only: bool = False


class Denied(Exception):
    """No or wrong credentials; the message is for the client."""


class Keys:
    """The key pairs that may send; everyone may if there are none."""

    def __init__(self, projects: Sequence[ProjectConfig]) -> None:
        self._pairs = [
            (
                project.name,
                fingerprint(project.public_key.encode()),
                fingerprint(project.secret_key.get_secret_value().encode()),
            )
            for project in projects
        ]

    @property
    def names(self) -> list[str]:
        """The projects that are configured."""
        return [name for name, _, _ in self._pairs]

    def access(self, authorization: str) -> Access:
        """What the value of an Authorization header allows. Raises Denied."""
        if not self._pairs:
            return Access("")
        scheme, _, value = authorization.strip().partition(" ")
        if scheme.lower() == "bearer":
            return self._find(value.strip().encode("utf-8", "surrogateescape"), None)
        if scheme.lower() != "basic":
            raise Denied(
                "No authorization header" if not authorization else "Invalid authorization header"
            )
        try:
            public, colon, secret = base64.b64decode(value.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            raise Denied("Invalid authorization header") from None
        if not colon:
            raise Denied("Invalid authorization header")
        return self._find(public, secret)

    def _find(self, public: bytes, secret: bytes | None) -> Access:
        found = ""
        shown = fingerprint(public), fingerprint(secret or b"")
        for name, known_public, known_secret in self._pairs:
            matches = hmac.compare_digest(shown[0], known_public)
            if secret is not None:
                matches &= hmac.compare_digest(shown[1], known_secret)
            if matches:
                found = name
        if not found:
            raise Denied("Invalid credentials. Confirm that you've configured the correct host.")
        return Access(found, scores_only=secret is None)
