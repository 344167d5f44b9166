"""Every recorded payload goes through the codec and comes back meaning the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from genai_collector.formats import otlp
from genai_collector.formats.otlp import json_text
from genai_collector.model import Signal
from tests.formats.otlp.public import parse
from tests.support.captures import FIXTURES, SHARED, shared
from tests.support.plain import plain

CAPTURES = sorted(path.name for path in (SHARED / "captures").glob("*") if path.is_dir())


def _payloads(folder: Path) -> list[tuple[Signal, bytes]]:
    found = [(Signal(path.name.split(".")[-2]), path) for path in sorted(folder.rglob("*.pb"))]
    found += [(Signal.TRACES, path) for path in sorted(folder.rglob("*v1_traces.body.bin"))]
    return [(signal, path.read_bytes()) for signal, path in found]


def _assert_lossless(signal: Signal, data: bytes) -> None:
    items = otlp.decode(signal, data)
    wanted = parse(signal, data)
    assert parse(signal, otlp.encode(signal, items)) == wanted
    text = otlp.encode_json(signal, items)
    again = otlp.decode_json(signal, text)
    assert (again.rejected, again.errors) == (0, [])
    assert parse(signal, otlp.encode(signal, again.items)) == wanted
    assert otlp.encode_json(signal, again.items) == text
    assert plain(again.items) == plain(items)


@pytest.mark.parametrize("folder", CAPTURES or ["openlit"])
def test_recorded_payloads_survive_both_encodings(folder: str) -> None:
    """encode(decode(pb)) means what pb means, for every capture, in protobuf and in JSON."""
    for signal, data in _payloads(shared(f"captures/{folder}")):
        _assert_lossless(signal, data)


@pytest.mark.parametrize(
    "path",
    sorted([*(FIXTURES / "otlp").rglob("*.pb"), *(FIXTURES / "openlit_seed").glob("*.pb")]),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_fixtures_survive_both_encodings(path: Path) -> None:
    """The same for the payloads kept beside the code, whose readable JSON says the same."""
    signal = Signal(path.name.split(".")[-2])
    data = path.read_bytes()
    _assert_lossless(signal, data)
    readable = otlp.decode_json(signal, path.with_suffix(".json").read_bytes())
    assert readable.rejected == 0
    assert plain(readable.items) == plain(otlp.decode(signal, data))


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("trace", Signal.TRACES),
        ("metrics", Signal.METRICS),
        ("logs", Signal.LOGS),
        ("events", Signal.LOGS),
    ],
)
def test_official_json_examples(name: str, signal: Signal) -> None:
    """The examples of the OTLP repository go JSON -> items -> protobuf -> items -> JSON whole."""
    text = shared(f"schemas/otlp_examples/{name}.json").read_bytes()
    read = otlp.decode_json(signal, text)
    assert (read.rejected, read.errors) == (0, [])
    data = otlp.encode(signal, read.items)
    assert otlp.check(signal, data) > 0
    items = otlp.decode(signal, data)
    assert plain(items) == plain(read.items)
    assert _as_written(otlp.encode_json(signal, items)) == _as_written(text)


def _as_written(text: bytes) -> object:
    """A JSON request up to the liberties of its writer: letter case of ids, 5 for 5.0, the order
    of keys, and fields spelt out though they have their default (zeroThreshold, scale)."""
    return _normal(json_text.loads(text))


def _normal(node: object) -> object:
    if isinstance(node, dict):
        return {
            key: value.lower() if key in ("traceId", "spanId", "parentSpanId") else _normal(value)
            for key, value in node.items()
            if not (key in ("zeroThreshold", "scale") and value == 0)
        }
    return [_normal(each) for each in node] if isinstance(node, list) else node
