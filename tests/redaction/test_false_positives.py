"""What is no secret stays: counted over all recorded documents and over texts that look alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from genai_collector.formats.otlp import batch_from_protobuf
from genai_collector.model import Batch, LogRecord, Metric, Signal, Span
from genai_collector.processors.redact import Redact, RedactConfig
from genai_collector.processors.redact.rules import Rules
from genai_collector.processors.redact.texts import Texts
from tests.redaction.clean import MAKERS, texts
from tests.redaction.material import clean, planted
from tests.redaction.planting import texts_of
from tests.support.fakes import make_context

_ODD = 10_000


def _items(batch: Batch) -> list[Any]:
    if batch.signal is Signal.TRACES:
        return batch.view_spans()
    return batch.view_logs() if batch.signal is Signal.LOGS else batch.view_metrics()


def _texts(item: Span | LogRecord | Metric) -> Iterator[str]:
    yield from texts_of(item.resource.attributes)
    if isinstance(item, Metric):
        for point in item.points:
            yield from texts_of(point.attributes)
        return
    yield from texts_of(item.attributes)
    if isinstance(item, LogRecord):
        yield from texts_of(item.body)
        return
    yield item.name
    for event in item.read_events():
        yield from texts_of(event.attributes)


def test_recorded_documents_stay() -> None:
    """Of the texts that real clients sent, under 1 % change; what they hold are no secrets, so each
    change is a false one. What has none stays the bytes it came in."""
    redact = Redact(RedactConfig(), make_context())
    count = changed = 0
    for _name, signal, data in clean():
        before = [list(_texts(item)) for item in _items(batch_from_protobuf(signal, data))]
        result = redact.process(batch_from_protobuf(signal, data))
        after = [list(_texts(item)) for item in _items(result)]
        count += sum(map(len, before))
        wrong = sum(
            old != new
            for olds, news in zip(before, after, strict=True)
            for old, new in zip(olds, news, strict=True)
        )
        changed += wrong
        assert wrong or result.encoded() == data
    assert count > 5_000
    assert changed / count < 0.01, f"{changed} of {count}"


def test_look_alikes_stay() -> None:
    """Of ten thousand texts with numbers, ids, code and prices, under 1 % change, and of no kind
    more than 3 %."""
    found = Texts(Rules(RedactConfig()), fail_closed=True)
    wrong: Counter[str] = Counter()
    examples = {}
    for kind, text in texts(_ODD):
        new = found.change(text)
        if new is not None:
            wrong[kind] += 1
            examples[kind] = (text, new)
    assert wrong.total() / _ODD < 0.01, examples
    of_each = _ODD / len(MAKERS)
    assert not {kind: examples[kind] for kind, count in wrong.items() if count / of_each > 0.03}


def _unchanged(item: Span | LogRecord | Metric) -> tuple[Any, ...]:
    """What no policy may change: ids, times, counts, numbers of every kind."""
    if isinstance(item, Span):
        links = [(link.trace_id, link.span_id) for link in item.read_links()]
        times = [event.time_ns for event in item.read_events()]
        return (item.trace_id, item.span_id, item.parent_span_id, item.start_ns, item.end_ns,
                item.kind, item.status_code, links, times, _numbers(item.attributes))  # fmt: skip
    if isinstance(item, LogRecord):
        return (item.trace_id, item.span_id, item.time_ns, item.severity_number,
                _numbers(item.attributes))  # fmt: skip
    return (len(item.points), [_numbers(point.attributes) for point in item.points])


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _numbers(json.loads(value))
        except ValueError:
            return []
    if isinstance(value, dict):
        # Members under a secret key go whole, and they are the planted ones.
        return [one for key, item in value.items() if key != "Api-Key" for one in _numbers(item)]
    if isinstance(value, list):
        return [one for item in value for one in _numbers(item)]
    return [value] if isinstance(value, int | float) and value != 5500005555555559 else []


def test_ids_tokens_and_costs_stay() -> None:
    """Also among secrets: every id, time, token count, cost and other number is as it was."""
    redact = Redact(RedactConfig(), make_context())
    for name, batch, _ in planted():
        before = list(map(_unchanged, _items(batch_from_protobuf(batch.signal, batch.encoded()))))
        assert list(map(_unchanged, _items(redact.process(batch)))) == before, name


def test_twice_is_once() -> None:
    """What was redacted is redacted: the second time nothing changes, not a byte."""
    redact, second = (Redact(RedactConfig(), make_context()) for _ in range(2))
    for name, batch, _ in planted():
        once = redact.process(batch).encoded()
        again = second.process(batch_from_protobuf(batch.signal, once))
        assert again.encoded() == once, name
