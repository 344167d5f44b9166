"""Items as people write them: laws over everything that OTLP can hold."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.otlp import batch_of
from genai_collector.model import Items, Signal
from genai_collector.trials.compare import changes, differences, printable
from genai_collector.trials.written import WrittenError, read_items, show_items
from tests.support import strategies

BATCHES = st.one_of(
    st.tuples(st.just(Signal.TRACES), strategies.spans),
    st.tuples(st.just(Signal.LOGS), strategies.log_records),
    st.tuples(st.just(Signal.METRICS), strategies.metrics),
)


@settings(max_examples=100, deadline=None)
@given(BATCHES)
def test_what_is_shown_is_what_is_there(made: tuple[Signal, Items]) -> None:
    """Whatever items hold: what is shown of them holds of them, exactly, and nothing changed."""
    shown = show_items(batch_of(*made))

    assert differences(shown, shown, exact=True) == []
    assert changes(shown, shown) == []


@settings(max_examples=100, deadline=None)
@given(BATCHES)
def test_what_is_shown_can_be_written(made: tuple[Signal, Items]) -> None:
    """Shown spans and log records, through YAML, are items that show the same again."""
    signal, items = made
    if signal is Signal.METRICS:
        return
    shown = show_items(batch_of(signal, items))
    written = yaml.safe_load(yaml.safe_dump(shown, allow_unicode=True))
    for one in written:  # a kind or state that has no word yet is shown as a number
        for name in ("kind", "status"):
            if isinstance(one.get(name), int):
                del one[name]

    again = show_items(batch_of(signal, read_items(signal, written)))

    assert differences(written, again, exact=True) == []


@settings(max_examples=100, deadline=None)
@given(BATCHES, st.data())
def test_a_changed_value_is_found(made: tuple[Signal, Items], data: st.DataObject) -> None:
    """Take anything out of what is shown, and both comparisons say so."""
    shown = show_items(batch_of(*made))
    places = [(at, name) for at, one in enumerate(shown) for name in one]
    if not places:
        return
    at, name = data.draw(st.sampled_from(places))
    other = [dict(one) for one in shown]
    del other[at][name]

    assert differences(shown, other, exact=True)
    assert changes(shown, other)


NOT_ITEMS: dict[str, tuple[Signal, dict[str, Any], str]] = {
    "a name that is no text": (Signal.TRACES, {"name": 1}, "name: expected text"),
    "attributes that are a list": (Signal.TRACES, {"attributes": [1]}, "expected a mapping"),
    "a state": (Signal.TRACES, {"status": "fine"}, "status: expected one of unset, ok, error"),
    "an id": (Signal.LOGS, {"trace_id": "no"}, "cannot be read"),
    "a histogram": (Signal.METRICS, {"type": "histogram"}, "is read from a file only"),
    "an event that is text": (Signal.TRACES, {"events": ["x"]}, "cannot be read"),
    "a field of spans": (Signal.METRICS, {"kind": "client"}, "unknown field of metrics"),
}


@pytest.mark.parametrize(("signal", "item", "message"), NOT_ITEMS.values(), ids=NOT_ITEMS)
def test_what_is_no_item(signal: Signal, item: dict[str, Any], message: str) -> None:
    """It is told which item, and why."""
    with pytest.raises(WrittenError, match=message) as refused:
        read_items(signal, [{}, item])

    assert refused.value.path[0] == 1


def test_nothing_steers_the_terminal() -> None:
    """Controls and lone surrogates are written out; lines and tabs stay."""
    assert printable("a\x1b[2J\x9b\ud800\n\tb") == "a\\x1b[2J\\x9b\\ud800\n\tb"
