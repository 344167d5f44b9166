"""The corpus: every recorded document, of every vocabulary, format and signal."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any, Final, NamedTuple

from genai_collector.convert import SOURCES
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Batch, Items, Signal
from tests.redaction.planting import Gardener, plant_log, plant_metric, plant_span
from tests.support.captures import FIXTURES, SHARED
from tests.support.documents import documents

_OTHER_SIGNALS: Final = ((Signal.LOGS, "*/*.logs.pb"), (Signal.METRICS, "*/*.metrics.pb"))
_PLANT: Final[dict[Signal, Any]] = {
    Signal.TRACES: plant_span,
    Signal.LOGS: plant_log,
    Signal.METRICS: plant_metric,
}


class Entry(NamedTuple):
    """One batch of the corpus, as a receiver makes it, and how many secrets are in it."""

    name: str
    batch: Batch
    planted: int


@cache
def clean() -> tuple[tuple[str, Signal, bytes], ...]:
    """(name, signal, OTLP request) of every document, nothing planted."""
    return tuple(_clean())


def _clean() -> Iterator[tuple[str, Signal, bytes]]:
    for document in documents():
        for signal in (Signal.TRACES, Signal.LOGS):
            items = _items(document.format, document.data, signal)
            if items:
                yield f"{document.format}-{document.name}", signal, _bytes(signal, items)
    for signal, pattern in _OTHER_SIGNALS:
        seen: set[bytes] = set()
        for root in (SHARED / "captures", FIXTURES / "otlp"):
            for path in sorted(Path(root).glob(pattern)):
                data = path.read_bytes()
                if data not in seen:
                    seen.add(data)
                    yield f"otlp-{path.parent.name}/{path.name}", signal, data


WHOLE: Final = os.environ.get("REDACTION_CORPUS") == "all"
"""Plant in every document that was recorded; otherwise in a few of each client."""
_FEW: Final = 3


def _chosen(names: Iterable[str]) -> Iterator[bool]:
    """Whether each is one of the first of its folder, that is of its client and format."""
    seen: Counter[str] = Counter()
    for name in names:
        folder = name.rpartition("/")[0]
        seen[folder] += 1
        yield WHOLE or seen[folder] <= _FEW


def planted() -> Iterator[Entry]:
    """Documents of everyone, with secrets where people write, and again with secrets everywhere."""
    chosen = compress(clean(), _chosen(f"{signal}/{name}" for name, signal, _ in clean()))
    for at, (name, signal, data) in enumerate(chosen):
        for everywhere in (False, True):
            gardener = Gardener(at, everywhere=everywhere)
            items: Any = batch_from_protobuf(signal, data)._view()
            for item in items:
                _PLANT[signal](item, gardener)
            yield Entry(name, _received(signal, items), gardener.planted)
    foreign = [one for one in documents() if one.format != "otlp"]
    names = [f"{one.format}/{one.name}" for one in foreign]
    for at, document in enumerate(compress(foreign, _chosen(names))):
        gardener = Gardener(at, everywhere=False)
        data = json.dumps(gardener.json(json.loads(document.data))).encode()
        for signal in (Signal.TRACES, Signal.LOGS):
            items = _items(document.format, data, signal)
            if items:
                name = f"{document.format}-{document.name} before decoding"
                yield Entry(name, _received(signal, items), gardener.planted)


def _items(format_: str, data: bytes, signal: Signal) -> Items:
    if signal is Signal.LOGS and format_ not in ("langfuse", "noveum"):
        return []
    return SOURCES[format_].decode(data, signal).items


def _received(signal: Signal, items: Items) -> Batch:
    return batch_from_protobuf(signal, _bytes(signal, items))


def _bytes(signal: Signal, items: Items) -> bytes:
    return batch_of(signal, items).encoded()
