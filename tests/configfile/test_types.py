"""What of a configuration may be shown."""

from __future__ import annotations

import pytest

from genai_collector.configfile.types import hide_in_urls

TABLE = [
    ("https://user:pass@host/p", "https://user:[REDACTED]@host/p"),
    ("https://host/v1?api_key=s3cret", "https://host/v1?api_key=[REDACTED]"),
    ("https://host/v1?a=1&b=two&c#top", "https://host/v1?a=[REDACTED]&b=[REDACTED]&c#top"),
    ("http://u:p@host?token=x;y=z", "http://u:[REDACTED]@host?token=[REDACTED];y=[REDACTED]"),
    ("see https://host/?k=v for more?", "see https://host/?k=[REDACTED] for more?"),
    ("https://host/path", "https://host/path"),
    ("what = this?", "what = this?"),
    ("localhost:4318", "localhost:4318"),
]


@pytest.mark.parametrize(("text", "shown"), TABLE)
def test_urls_are_shown_without_their_secrets(text: str, shown: str) -> None:
    """Passwords and query values are hidden wherever a URL stands; all else is shown as it is."""
    assert hide_in_urls(text) == shown
