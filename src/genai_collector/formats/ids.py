"""Foreign ids as OTLP ids, the same way everywhere, so that what belongs together stays together.

OTLP has 16 bytes for a trace and 8 for a span; other formats have any text. Langfuse's own rule is
followed: what is hex of the right length is taken as it is, a UUID is a trace id without its
dashes, and everything else is the beginning of its SHA-256. Callers keep the original text as an
attribute where `is_exact` says that the bytes do not give it back.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

_TRACE_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
_SPAN_HEX: Final = re.compile(r"[0-9a-fA-F]{16}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_LENGTH: Final = 36


def trace_id(text: str) -> bytes:
    """16 bytes, never all zero, for a trace id of any form."""
    if len(text) == _UUID_LENGTH and _UUID.fullmatch(text):
        text = text.replace("-", "")
    return _bytes(text, _TRACE_HEX, 16)


def span_id(text: str) -> bytes:
    """8 bytes, never all zero, for the id of a span or observation of any form."""
    return _bytes(text, _SPAN_HEX, 8)


def is_exact(text: str, made: bytes) -> bool:
    """Whether the bytes written as hex are the original text."""
    return made.hex() == text


def _bytes(text: str, hexadecimal: re.Pattern[str], length: int) -> bytes:
    if len(text) == 2 * length and hexadecimal.fullmatch(text):
        found = bytes.fromhex(text)
        if any(found):
            return found
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:length]
