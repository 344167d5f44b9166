"""Where the recorded payloads and the shared judges are, and what to do when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "proto_fixtures"
SHARED = ROOT.parent / "shared"


def shared(path: str) -> Path:
    """A path in the shared material, or skip the test with a clear message where it is absent."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"needs the shared material beside the checkout: {path}")
    return found
