"""truncate: inside the structure, longest first, never in the middle of a letter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genai_collector.model import Event, LogRecord, Span, Value
from genai_collector.processors._truncate_texts import SHORTEST, cut_bytes, size_of
from genai_collector.processors.truncate import Truncate, TruncateConfig
from tests.processors.items import logs, metric, metrics, record, span, spans
from tests.support.fakes import CountingTelemetry, make_context


def truncate(telemetry: CountingTelemetry | None = None, /, **options: Any) -> Truncate:
    context = make_context("truncate", telemetry=telemetry)
    return Truncate(TruncateConfig.model_validate(options), context)


def one(value: Value, **options: Any) -> Value:
    """What an attribute becomes."""
    batch = spans(Span(attributes={"note": value}))
    return truncate(**options).process(batch).view_spans()[0].attributes["note"]


def test_a_text() -> None:
    """As many bytes as allowed, with the number of those that went."""
    short = one("x" * 1000, max_text=300)
    assert short == "x" * 275 + "…[truncated 725 bytes]"
    assert isinstance(short, str)
    assert len(short.encode()) <= 300
    assert one("x" * 300, max_text=300) == "x" * 300


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(st.sampled_from('aé漢🙂\n"'), min_size=50, max_size=400),
    limit=st.integers(256, 600),
)
def test_letters_stay_whole(text: str, limit: int) -> None:
    """No UTF-8 sequence is parted, the marker tells the truth, and cutting twice is cutting to the
    shorter length at once."""
    data = text.encode()
    cut = cut_bytes(data, limit)
    assert len(cut) <= limit
    said = cut.decode()
    if cut != data:
        kept, _, count = said.rpartition("…[truncated ")
        assert text.startswith(kept)
        assert int(count.removesuffix(" bytes]")) == len(data) - len(kept.encode())
    assert cut_bytes(cut_bytes(data, limit + 100), limit) == cut


def test_inside_json() -> None:
    """Messages keep their number, roles and structure; what JSON holds JSON is cut inside; all that
    is short, numbers and spacing stay as written."""
    arguments = json.dumps({"query": "q" * 2000, "limit": 3})
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": "t" * 5000}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "arguments": arguments}]},
    ]
    text = f'{{ "a":1.50, "m":{json.dumps(messages)}}}'
    cut = one(text, max_text=500)
    assert isinstance(cut, str)
    assert cut.startswith('{ "a":1.50, "m":[{"role"')
    first, second = json.loads(cut)["m"]
    assert first["parts"][0]["content"].endswith("…[truncated 4525 bytes]")
    assert len(first["parts"][0]["content"].encode()) == 500
    inner = json.loads(second["parts"][0]["arguments"])
    assert inner["limit"] == 3
    assert len(inner["query"].encode()) == 500


def test_a_value_is_cut_where_it_is_longest() -> None:
    """The longest texts first, all to one length; the short ones stay."""
    value = json.dumps([{"role": "user", "content": "a" * length} for length in (8000, 4000, 300)])
    cut = one(value, max_value=3000)
    assert isinstance(cut, str)
    assert size_of(cut) <= 3000
    lengths = [len(message["content"].encode()) for message in json.loads(cut)]
    assert lengths[0] == lengths[1] > 1000
    assert lengths[2] == 300


def test_an_item_as_a_whole() -> None:
    """Attributes and events together; ids and numbers stay, and so do resource and scope."""
    big = span(gen_ai__usage__input_tokens=7, gen_ai__response__id="r1", prompt="p" * 9000)
    big.events = [Event("e", 1, {"body": "b" * 9000, "n": 1.5})]
    telemetry = CountingTelemetry()
    [found] = truncate(telemetry, max_item=4096).process(spans(big)).view_spans()
    values = [*found.attributes.values(), *found.events[0].attributes.values()]
    assert sum(map(size_of, values)) <= 4096
    assert found.attributes["gen_ai.usage.input_tokens"] == 7
    assert found.attributes["gen_ai.response.id"] == "r1"
    assert found.events[0].attributes["n"] == 1.5
    assert len(str(found.attributes["prompt"])) == len(str(found.events[0].attributes["body"]))
    assert (found.trace_id, found.resource.attributes) == (big.trace_id, big.resource.attributes)
    assert telemetry.counts == {("truncated", "truncate", "item"): 2}


def test_logs() -> None:
    """Bodies, also structured ones, are values."""
    odd = LogRecord(body={"text": "t" * 1000, "n": 1, "raw": b"\xff" * 1000})
    first, second = truncate(max_text=256).process(logs(record("b" * 1000), odd)).view_logs()
    assert str(first.body).endswith("bytes]")
    assert isinstance(second.body, dict)
    assert second.body["n"] == 1
    assert size_of(second.body) < 600


@pytest.mark.parametrize(
    "batch",
    [spans(span(note="n" * 300)), logs(record("b" * 300)), metrics(metric("m", {"k": "v" * 900}))],
    ids=["spans", "logs", "metrics"],
)
def test_what_is_small_enough_stays_bytes(batch: Any) -> None:
    """Nothing over a limit: the very bytes that came; metrics in any case."""
    data = batch.encoded()
    assert truncate(max_text=300, max_value=400, max_item=2000).process(batch).encoded() is data


def test_what_cannot_be_made_small_enough() -> None:
    """Texts of up to 256 bytes are not cut, whatever the limit; it is counted."""
    value = json.dumps(["x" * SHORTEST] * 100)
    telemetry = CountingTelemetry()
    batch = truncate(telemetry, max_value=1000).process(spans(Span(attributes={"note": value})))
    assert batch.view_spans()[0].attributes["note"] == value
    assert telemetry.counts == {("truncated", "truncate", "value_still_too_large"): 1}


_leaves = st.one_of(st.text(max_size=900), st.integers(), st.floats(allow_nan=False), st.none())
_trees = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


def _shape(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _shape(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_shape(item) for item in tree]
    return "text" if isinstance(tree, str) else tree


@settings(max_examples=150, deadline=None)
@given(
    tree=_trees,
    nested=st.booleans(),
    escaped=st.booleans(),
    limits=st.fixed_dictionaries(
        {},
        optional={
            "max_text": st.integers(256, 800),
            "max_value": st.integers(256, 3000),
            "max_item": st.integers(256, 3000),
        },
    ).filter(bool),
)
def test_laws(tree: Any, nested: bool, escaped: bool, limits: dict[str, int]) -> None:
    """JSON stays JSON of the same shape and numbers, nothing grows, and twice is once."""
    value = json.dumps([tree, json.dumps(tree)] if nested else tree, ensure_ascii=escaped)
    once = one(value, **limits)
    assert isinstance(once, str)
    assert one(once, **limits) == once
    assert len(once.encode()) <= len(value.encode())
    if isinstance(tree, dict | list) or nested:
        before, after = json.loads(value), json.loads(once)
        assert _shape(before) == _shape(after)
        if nested and isinstance(tree, dict | list):
            assert _shape(json.loads(after[1])) == _shape(tree)


@pytest.mark.parametrize(
    "options", [{}, {"max_text": 255}, {"max_value": "1KiB", "max": 5}], ids=str
)
def test_bad_configurations(options: dict[str, Any]) -> None:
    """A limit is needed, and none below 256 bytes."""
    with pytest.raises(ValidationError):
        TruncateConfig.model_validate(options)
