"""Every recorded document of every format, and the converter to carry them around with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from genai_collector.convert import Outcome, convert
from genai_collector.model import Signal
from tests.support.captures import FIXTURES, SHARED

FORMATS: Final = ("langfuse", "litellm", "noveum", "otlp")
_RECORDED: Final = (
    ("langfuse", SHARED / "captures", "litellm_langfuse/*.json"),
    ("langfuse", SHARED / "captures", "langfuse_v2/*/*ingestion.body.json"),
    ("langfuse", FIXTURES, "langfuse/*.json"),
    ("litellm", SHARED / "captures", "litellm_generic*/*.generic.*json"),
    ("litellm", FIXTURES, "litellm/*json"),
    ("noveum", SHARED / "captures", "noveum_logs/*.json"),
    ("noveum", FIXTURES, "noveum/*records.json"),
    ("noveum", FIXTURES, "noveum/derived*.json"),
    ("otlp_proto", SHARED / "captures", "*/*.traces.pb"),
    ("otlp_proto", SHARED / "captures", "langfuse_otel/*/*otel_v1_traces.body.bin"),
    ("otlp_proto", FIXTURES, "otlp/*/*.traces.pb"),
    ("otlp_proto", FIXTURES, "openlit_seed/traces.pb"),
)


class Document(NamedTuple):
    """One document of a format, as it was recorded; OTLP as JSON."""

    name: str
    format: str
    data: bytes


def documents() -> Iterator[Document]:
    """All traces that were recorded; without the shared material those of the fixtures."""
    seen: set[bytes] = set()
    for format_, root, pattern in _RECORDED:
        for path in sorted(root.glob(pattern)):
            for document in _of_file(format_, path, str(path.relative_to(root))):
                if document.data not in seen:  # many fixtures are copies
                    seen.add(document.data)
                    yield document


def _of_file(format_: str, path: Path, name: str) -> Iterator[Document]:
    data = path.read_bytes()
    if format_ == "otlp_proto":
        yield Document(name, "otlp", written(data, format_, "otlp"))
    elif path.suffix == ".ndjson":
        for at, line in enumerate(data.splitlines()):
            yield Document(f"{name}:{at}", format_, line)
    else:
        yield Document(name, format_, data)


def outcome(data: bytes, source: str, target: str, signal: Signal | None = None) -> Outcome:
    """What became of a document that can be read, with the report; of several signals the first."""
    return outcomes(data, source, target, signal)[0]


def outcomes(data: bytes, source: str, target: str, signal: Signal | None = None) -> list[Outcome]:
    """The same, one for each line that was written."""
    found = list(convert(io.BytesIO(data), source, target, signal=signal, report=True))
    assert found[0].output is not None, found[0].problems
    return found


def written(data: bytes, *way: str) -> bytes:
    """The document after its way through these formats, its own first."""
    for source, target in pairwise(way):
        data = outcome(data, source, target).output or b""
    return data
