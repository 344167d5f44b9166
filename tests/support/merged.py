"""What Langfuse's server stores of a batch."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from genai_collector.formats import langfuse

Merged = dict[tuple[str, str], dict[str, Any]]


def merged(data: bytes) -> Merged:
    """Traces and observations by kind and id, with times as numbers."""
    folded = langfuse.fold(langfuse.parse_ingestion(data).events)
    return {
        ("trace" if one.kind == "trace" else "observation", str(one.body["id"])): {
            "type": one.kind,
            **one.body,
            **{key: instant(str(one.body[key])) for key in _TIMES & one.body.keys()},
        }
        for one in (*folded.traces, *folded.observations)
    }


_TIMES: Final = frozenset({"completionStartTime", "endTime", "startTime", "timestamp"})


def instant(text: str) -> float:
    """Seconds; the same moment may be written in any zone."""
    return datetime.fromisoformat(text).timestamp()
